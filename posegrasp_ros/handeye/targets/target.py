# SPDX-License-Identifier: Apache-2.0
"""Target: the interface of what a camera is calibrated with; SeenTarget: where it is in an image."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from posegrasp_ros.board.plane_pose import LEAST_SIGMA_PX, PlanePose, plane_pose
from posegrasp_ros.estimation.solve import pose_covariance
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.runtime.errors import InvalidInputError, quoted


class TargetError(InvalidInputError):
    """A target that cannot be used."""


class SeenTarget(NamedTuple):
    """Where a target is in an image.

    :param camera_from_target: (4, 4)
    :param covariance: (6, 6) in the camera frame, see :func:`posegrasp_ros.geometry.transforms.perturb`
    """

    camera_from_target: np.ndarray
    covariance: np.ndarray


class Target(Protocol):
    """What a camera is calibrated with.

    :ivar size_m: length of the axes that a picture shows
    """

    size_m: float

    def __str__(self) -> str:
        """One line."""

    def find(self, image: np.ndarray, camera: Camera) -> SeenTarget:
        """Where it is.

        :param image: (H, W, 3) uint8 blue green red
        :raises posegrasp_ros.board.plane_pose.NotSeen: saying why it is not found
        """


def seen_plane(points_m: np.ndarray, pixels: np.ndarray, camera: Camera, spacing_m: float,
               fewest: int) -> SeenTarget:
    """The pose of a flat target from its points (N, 3) and their pixels (N, 2) in the image as taken.

    :raises posegrasp_ros.board.plane_pose.NotSeen: saying why there is none
    """
    straight = camera.undistorted(pixels)
    is_known = np.isfinite(straight).all(axis=1)
    found: PlanePose = plane_pose(points_m[is_known], straight[is_known], camera.matrix, spacing_m, fewest)
    covariance = pose_covariance(found.points_m, found.pixels, found.camera_from_plane, camera.matrix,
                                 LEAST_SIGMA_PX)
    return SeenTarget(found.camera_from_plane, covariance)


def parts_of(text: str, form: str, counts: range) -> list[str]:
    """The parts of a stated target after its kind.

    :param form: as the help shows it
    :raises TargetError: when there are more or fewer
    """
    parts = text.split(':')[1:]
    if len(parts) not in counts or not all(parts):
        raise TargetError(f'--target: expected {form}, got {quoted(text)}')
    return parts


def grid_of(part: str, form: str) -> tuple[int, int]:
    """Columns and rows of ``14x9``.

    :raises TargetError: when it is something else
    """
    columns, _, rows = part.partition('x')
    if not (columns.isdecimal() and rows.isdecimal() and 3 <= int(columns) <= 200 and 3 <= int(rows) <= 200):
        raise TargetError(f'--target: expected {form} with COLUMNSxROWS from 3 to 200 each, got {quoted(part)}')
    return int(columns), int(rows)


def length_of(part: str, form: str) -> float:
    """Metres of a length in millimetres.

    :raises TargetError: when it is none between 1 and 5000
    """
    try:
        length_mm = float(part)
    except ValueError:
        length_mm = float('nan')
    if not 1 <= length_mm <= 5000:
        raise TargetError(f'--target: expected {form} with a length from 1 to 5000 mm, got {quoted(part)}')
    return length_mm / 1000
