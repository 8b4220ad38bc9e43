# SPDX-License-Identifier: Apache-2.0
"""ObjectTruth: the pose of an object that stands on a board, with all that makes it uncertain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.board.board_file import BoardFile
from posegrasp_ros.board.board_pose import BoardFinder, BoardPose
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import move_covariance, rotate_covariance


@dataclass(frozen=True, eq=False)
class ObjectTruth:
    """Pose of an object.

    :param camera_from_object: (4, 4)
    :param covariance: (6, 6) in the camera's frame, see :func:`posegrasp_ros.geometry.transforms.perturb`
    :param board: the board's pose that it follows from
    """

    camera_from_object: np.ndarray
    covariance: np.ndarray
    board: BoardPose


class TruthFinder:
    """Finds the pose of the object on a board in images.

    :raises posegrasp_ros.board.charuco_pattern.PatternError: when OpenCV cannot find boards
    """

    def __init__(self, board: BoardFile):
        self._board = board
        self._finder = BoardFinder(board)

    def find(self, image: np.ndarray, camera: Camera) -> ObjectTruth:
        """The object's pose.

        :param image: (H, W, 3) uint8 blue green red
        :raises posegrasp_ros.board.plane_pose.NotSeen: saying why there is none
        """
        return object_truth(self._board, self._finder.find(image, camera))


def object_truth(board: BoardFile, seen: BoardPose) -> ObjectTruth:
    """The object's pose from the board's: to first order, independent errors of board, scale and placement."""
    rotation, board_from_object = seen.camera_from_board[:3, :3], board.placed_object
    lever_m = rotation @ board_from_object[:3, 3]
    of_board = move_covariance(seen.covariance, lever_m)
    # A larger print moves the board's estimate, and the object with its outline against it.
    along_m = rotation @ (board_from_object[:3, 3] * (1.0, 1.0, 0.0))
    by_scale = seen.per_scale.copy()
    by_scale[:3] += np.cross(by_scale[3:], lever_m) - along_m
    of_scale = (board.scale_sigma / board.scale) ** 2 * np.outer(by_scale, by_scale)
    from_outline_m = board_from_object[:3, 3] - board.outline_centre
    of_place = rotate_covariance(move_covariance(_placement(board), from_outline_m), rotation)
    covariance = of_board + of_scale + of_place
    return ObjectTruth(seen.camera_from_board @ board_from_object, (covariance + covariance.T) / 2, seen)


def _placement(board: BoardFile) -> np.ndarray:
    """(6, 6) of the object on its outline, at the outline's centre, board frame."""
    sigmas = board.sigmas
    tilt, turn = np.radians(sigmas.tilt_deg), np.radians(sigmas.turn_deg)
    across, height = sigmas.position_mm / 1000, sigmas.height_mm / 1000
    return np.diag(np.square([across, across, height, tilt, tilt, turn]))
