# SPDX-License-Identifier: Apache-2.0
"""Samples taken from images: the target, the arm's pose of the same stamp, and what the time between them adds."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from posegrasp_ros.board.left_out import LeftOut
from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.overlay import draw_axes
from posegrasp_ros.handeye.arm_track import ArmTrack
from posegrasp_ros.handeye.sample import Sample
from posegrasp_ros.handeye.targets.target import Target

WIDTH, JPEG_QUALITY = 320, 80
CLOCK_S = 0.005
"""Standard deviation of the time between an image and the arm's pose of the same stamp."""
FASTEST_M_S, FASTEST_RAD_S = 0.25, np.radians(60.0)
"""Looks at a faster arm say nothing."""


@dataclass
class TakenSamples:
    """What was found in images.

    :ivar samples: in the order of time
    :ivar pictures: JPEG of each sample's image, small, with the target's axes
    :ivar left_out: images without a sample
    :ivar topic: of the images
    :ivar recording: name of the recording; empty for a live camera
    :ivar first_ns: stamp of the first image; None before it
    :ivar camera_frame: that the images name
    :ivar is_complete: False after an interruption
    """

    samples: list[Sample] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    topic: str = ''
    recording: str = ''
    first_ns: int | None = None
    camera_frame: str = ''
    is_complete: bool = True


def take_sample(frame: BagFrame, target: Target, track: ArmTrack) -> tuple[Sample, bytes]:
    """The sample of a usable frame, and a small JPEG of its image with the target's axes drawn in.

    :raises NotSeen: when there is none: the target is not found, or the arm's pose not known or not at rest
    """
    base_from_tool = track.at(frame.stamp_ns)
    if base_from_tool is None:
        raise NotSeen('no_arm_pose', "the arm's pose is not known at the stamp of the image, and not extrapolated")
    speed_m, speed_rad = track.speed(frame.stamp_ns)
    if speed_m > FASTEST_M_S or speed_rad > FASTEST_RAD_S:
        raise NotSeen('fast', f'the arm moves at {speed_m:.2f} m/s and {np.degrees(speed_rad):.0f} degrees/s')
    image, camera = frame.view()
    seen = target.find(image, camera)
    covariance = seen.covariance + _of_time(speed_m, speed_rad, seen.camera_from_target)
    picture = image.copy()
    draw_axes(picture, camera, seen.camera_from_target, target.size_m, max(2, image.shape[1] // 240))
    small = cv2.resize(picture, (WIDTH, round(WIDTH * picture.shape[0] / picture.shape[1])),
                       interpolation=cv2.INTER_AREA)
    done, jpeg = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError('OpenCV cannot encode JPEG')
    return Sample(base_from_tool, seen.camera_from_target, covariance, frame.stamp_ns), jpeg.tobytes()


def _of_time(speed_m: float, speed_rad: float, camera_from_target: np.ndarray) -> np.ndarray:
    """(6, 6) of a target seen a moment before or after the arm's pose, in any direction.

    An unknown speed counts as none.
    """
    speed_rad = float(np.nan_to_num(speed_rad))
    across = float(np.nan_to_num(speed_m)) + speed_rad * float(np.linalg.norm(camera_from_target[:3, 3]))
    return np.diag(np.repeat([(CLOCK_S * across) ** 2, (CLOCK_S * speed_rad) ** 2], 3))
