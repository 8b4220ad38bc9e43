# SPDX-License-Identifier: Apache-2.0
"""WatchStages: perception and planning of one model, as evaluation and the nodes run them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from posegrasp_ros.datasets.frame import Undecoded
from posegrasp_ros.estimation.create import create_estimator
from posegrasp_ros.estimation.model_card import ModelCard, ModelCardError
from posegrasp_ros.estimation.perception_stage import Perceived, PerceptionStage
from posegrasp_ros.estimation.tracking.pose_tracker import with_tracking
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.geometry.transforms import rotate_covariance
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene
from posegrasp_ros.grasping.planning.planning_stage import PlanningAnswer, PlanningStage

LOGGER = logging.getLogger(__name__)
LOOKING_DOWN = np.diag([1.0, -1.0, -1.0, 1.0])
"""base_from_camera where nothing is known: grasps come from the camera's side."""
NOTHING_AROUND = Scene(support_height_m=None)


class Looked(NamedTuple):
    """What the stages say of a frame.

    :param base_from_camera: (4, 4) that was planned with
    """

    perceived: Perceived
    planned: PlanningAnswer | None
    base_from_camera: np.ndarray


@dataclass(frozen=True)
class WatchOptions:
    """How frames are processed.

    :param estimator: one of :func:`posegrasp_ros.estimation.create.estimator_names`
    :param tracking: how the object is followed; None for not at all
    :param base_from_camera: (4, 4) of a camera that does not move; None where the frames tell, or nobody does
    :param support_height_m: in the base frame; counts where the camera's pose is known
    """

    estimator: str = 'onnx'
    threads: int | None = None
    tracking: TrackingOptions | None = None
    base_from_camera: np.ndarray | None = None
    support_height_m: float = 0.0


class WatchStages:
    """Looks at frames.

    :param planner: None for poses alone
    """

    def __init__(self, card: ModelCard, options: WatchOptions, planner: GraspPlanner | None = None):
        estimator = create_estimator(options.estimator, card, threads=options.threads)
        if options.tracking:
            estimator = with_tracking(estimator, LOGGER.warning, options.tracking)
        self._perception, self._card = PerceptionStage(estimator, card.identity), card
        self._base_from_camera = options.base_from_camera
        self._around = Scene(options.support_height_m)
        self._planning = PlanningStage(planner, self._around, card.identity) if planner else None
        self._planning_free = PlanningStage(planner, NOTHING_AROUND, card.identity) if planner else None

    def look(self, undecoded: Undecoded, shift_ns: int = 0) -> Looked:
        """Poses and grasps in a frame.

        :param shift_ns: added to the stamp for estimators that remember
        :raises ModelCardError: when the network is not what its card says
        """
        perceived = self._perception.perceive(undecoded, undecoded.stamp_ns + shift_ns)
        if isinstance(perceived.error, ModelCardError):
            raise perceived.error
        if perceived.error:
            # As in the node: a bug costs this frame and is logged, it does not end the run.
            LOGGER.error('the estimator failed on the image of %d ns', undecoded.stamp_ns,
                         exc_info=perceived.error)
        known = perceived.frame.base_from_camera if self._base_from_camera is None else self._base_from_camera
        base_from_camera = LOOKING_DOWN if known is None else known
        planning = self._planning_free if known is None else self._planning
        poses = perceived.estimation.poses
        if planning is None or not poses:
            return Looked(perceived, None, base_from_camera)
        others = [BoxObstacle.around(self._card.mesh, base_from_camera @ pose.camera_from_object)
                  for pose in poses[1:]]
        covariance = rotate_covariance(poses[0].covariance, base_from_camera[:3, :3])
        planned = planning.plan(base_from_camera @ poses[0].camera_from_object, covariance, others)
        return Looked(perceived, planned, base_from_camera)
