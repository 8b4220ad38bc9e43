# SPDX-License-Identifier: Apache-2.0
"""The poses that a model estimates in a recording, as another node would publish them."""

from __future__ import annotations

from pathlib import Path

from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import CAMERA_FRAME
from posegrasp_ros.estimation.create import create_estimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.perception_stage import PerceptionStage
from posegrasp_ros.pose_sources.stated_pose import StatedPose
from posegrasp_ros.runtime.progress import Progress


def stated_by_model(bag: str | Path, folder: str | Path, progress: bool = True) -> dict[int, StatedPose]:
    """By the stamp of its image the best pose in it.

    :param folder: of the model
    """
    card = load_model_card(folder)
    stage = PerceptionStage(create_estimator('onnx', card), card.identity)
    reader = BagReader(bag, BagTopics(base_frame=None))
    stated: dict[int, StatedPose] = {}
    for packed in Progress(reader.undecoded(), total=reader.image_count, unit='frame', disable=not progress):
        found = stage.perceive(packed).estimation.poses
        frame_id = getattr(packed.image, 'frame_id', '') or CAMERA_FRAME
        if found:
            stated[packed.stamp_ns] = StatedPose(found[0].camera_from_object, packed.stamp_ns, frame_id,
                                                 packed.stamp_ns, found[0].covariance, found[0].score)
    return stated
