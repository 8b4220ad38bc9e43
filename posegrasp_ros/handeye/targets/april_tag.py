# SPDX-License-Identifier: Apache-2.0
"""AprilTags and ArUco markers."""

from __future__ import annotations

import cv2
import numpy as np

from posegrasp_ros.board.charuco_pattern import dictionary_of
from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.handeye.targets.target import SeenTarget, TargetError, length_of, parts_of, seen_plane
from posegrasp_ros.runtime.errors import quoted

FORM = 'apriltag:FAMILY:NUMBER:SIDE_MM'
FAMILIES = {'16h5': 'DICT_APRILTAG_16h5', '25h9': 'DICT_APRILTAG_25h9', '36h10': 'DICT_APRILTAG_36h10',
            '36h11': 'DICT_APRILTAG_36h11'}


class AprilTag:
    """One tag; the side is that of its black square. Its origin is in the middle, x to the right, y down.

    :param text: see :data:`FORM`
    :raises TargetError: when it describes no tag
    """

    def __init__(self, text: str):
        family, number, side = parts_of(text, FORM, range(3, 4))
        if family.removeprefix('tag') not in FAMILIES:
            raise TargetError(f'--target: expected a family of AprilTags, {", ".join(FAMILIES)}, got '
                              f'{quoted(family)}')
        dictionary = dictionary_of(FAMILIES[family.removeprefix('tag')])
        if not number.isdecimal() or int(number) >= len(dictionary.bytesList):
            raise TargetError(f'--target: expected a tag number from 0 to {len(dictionary.bytesList) - 1} of '
                              f'{family}, got {quoted(number)}')
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        self._detector = cv2.aruco.ArucoDetector(dictionary, parameters)
        self._text, self._number, self.size_m = text, int(number), length_of(side, FORM)
        half = self.size_m / 2
        self._corners_m = np.array([(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)])

    def __str__(self) -> str:
        return self._text

    def find(self, image: np.ndarray, camera: Camera) -> SeenTarget:
        """Where it is."""
        corners, numbers, _ = self._detector.detectMarkers(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        places = [] if numbers is None else np.flatnonzero(numbers.ravel() == self._number)
        if len(places) != 1:
            raise NotSeen('no_board' if not len(places) else 'ambiguous',
                          f'tag {self._number} was found {len(places)} times, expected once')
        return seen_plane(self._corners_m, corners[places[0]].reshape(4, 2).astype(float), camera, self.size_m, 4)
