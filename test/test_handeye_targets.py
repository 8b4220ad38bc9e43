# SPDX-License-Identifier: Apache-2.0
"""Targets of a hand-eye calibration: found where they are, refused where they are not one, each kind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from arm_views import CAMERA, photograph, random_view
from board_views import PX_PER_MM, board_picture, box_board
from scipy import stats

from posegrasp_ros.board.board_file import save_board
from posegrasp_ros.board.plane_pose import NotSeen
from posegrasp_ros.geometry.transforms import make_transform, rotation_angle, vector_from_rotation
from posegrasp_ros.handeye.targets.target import TargetError
from posegrasp_ros.handeye.targets.target_kinds import target_of
from posegrasp_ros.runtime.errors import InvalidInputError

VIEWS = 12
PX_PER_SQUARE = 120


def charuco():
    """ChArUco board of 9 x 6 squares of 30 mm; OpenCV's frame has its origin at the top left."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
    board = cv2.aruco.CharucoBoard((9, 6), 0.03, 0.022, dictionary)
    picture = board.generateImage((9 * PX_PER_SQUARE, 6 * PX_PER_SQUARE), marginSize=0)
    return 'charuco:9x6:30:22:DICT_5X5_100', picture, PX_PER_SQUARE / 0.03, (0.0, 0.0), True


def chessboard():
    """Chessboard of 9 x 6 squares of 30 mm with a white margin; its origin is the first inner corner."""
    rows, columns = np.mgrid[:6, :9]
    squares = np.where((rows + columns) % 2 == 0, 0, 255).astype(np.uint8)
    picture = np.kron(squares, np.ones((PX_PER_SQUARE, PX_PER_SQUARE), np.uint8))
    picture = cv2.copyMakeBorder(picture, *(4 * (PX_PER_SQUARE // 2,)), cv2.BORDER_CONSTANT, value=255)
    return 'chessboard:9x6:30', picture, PX_PER_SQUARE / 0.03, (-0.045, -0.045), True


def april_tag():
    """Tag of 150 mm with a white margin."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    picture = cv2.aruco.generateImageMarker(dictionary, 7, 600)
    picture = cv2.copyMakeBorder(picture, 100, 100, 100, 100, cv2.BORDER_CONSTANT, value=255)
    return 'apriltag:36h11:7:150', picture, 600 / 0.15, (-0.1, -0.1), True


@pytest.mark.parametrize('made', [charuco, chessboard, april_tag], ids=lambda made: made.__name__)
def test_flat_targets_are_found_as_exactly_as_they_say(made):
    rng = np.random.default_rng(0)
    text, picture, px_per_m, corner_m, y_down = made()
    target = target_of(text)
    assert str(target) == text
    position, rotation, inside = [], [], []
    for _ in range(VIEWS):
        # drawn with y down, z goes into the target: seen from the front, it goes away from the camera
        middle = np.append(np.array(corner_m) + np.array(picture.shape[::-1]) / px_per_m / 2, 0)
        true = make_transform(None, (0, 0, 0.15)) @ random_view(rng, 0.35) @ make_transform(
            np.diag([1.0, -1.0, -1.0])) @ make_transform(None, -middle)
        seen = target.find(photograph(picture, px_per_m, corner_m, y_down, true), CAMERA)
        off = np.concatenate([seen.camera_from_target[:3, 3] - true[:3, 3],
                              vector_from_rotation(seen.camera_from_target[:3, :3] @ true[:3, :3].T)])
        position.append(np.linalg.norm(off[:3]))
        rotation.append(np.linalg.norm(off[3:]))
        inside.append(off @ np.linalg.solve(seen.covariance, off) < stats.chi2(6).ppf(0.9))
    assert np.median(position) < 2e-3 and np.median(rotation) < np.radians(0.7)
    assert np.mean(inside) >= 0.75


def test_the_printed_board_is_a_target(tmp_path):
    layout, board = box_board(measured_mm=100.0)
    save_board(tmp_path / 'board.yaml', board)
    target = target_of(str(tmp_path / 'board.yaml'))
    picture = board_picture(layout)
    width_m, height_m = board.pattern.size_m
    true = make_transform(random_view(np.random.default_rng(1))[:3, :3], (-0.02, 0.01, 0.5))
    true[:3, 3] -= true[:3, :3] @ (width_m / 2, height_m / 2, 0)
    image = photograph(picture, 1000 * PX_PER_MM, (0.0, height_m), False, true)
    seen = target.find(image, CAMERA)
    assert np.linalg.norm(seen.camera_from_target[:3, 3] - true[:3, 3]) < 2e-3
    assert rotation_angle(seen.camera_from_target[:3, :3].T @ true[:3, :3]) < np.radians(0.5)
    with pytest.raises(NotSeen, match='no marker'):
        target.find(np.full_like(image, 90), CAMERA)


@pytest.mark.parametrize('text, expected', [
    ('charuco:9x6:30', 'charuco:COLUMNSxROWS:SQUARE_MM:MARKER_MM'),
    ('charuco:9x6:30:40', 'markers smaller than their squares'),
    ('charuco:9x6:30:22:DICT_7', 'a dictionary of OpenCV'),
    ('charuco:9x:30:22', 'COLUMNSxROWS from 3 to 200'),
    ('charuco:9x6:nan:22', 'a length from 1 to 5000 mm'),
    ('chessboard:9x7:30', 'the same after half a turn'),
    ('chessboard:9x6', 'chessboard:COLUMNSxROWS:SQUARE_MM'),
    ('apriltag:52h13:1:100', 'a family of AprilTags, 16h5'),
    ('apriltag:36h11:587:100', 'a tag number from 0 to 586'),
    ('apriltag:36h11:1:-5', 'a length from 1 to 5000 mm'),
    ('can', 'an object without symmetries'),
])
def test_what_is_no_target_is_refused_in_one_line(text, expected):
    with pytest.raises(TargetError) as refused:
        target_of(text)
    assert expected in str(refused.value) and '\n' not in str(refused.value)


def test_an_unknown_model_is_refused():
    with pytest.raises(InvalidInputError):
        target_of('no_such_model')


@pytest.mark.parametrize('text', ['charuco:9x6:30:22', 'apriltag:36h11:1:100'])
def test_an_opencv_that_finds_no_boards_is_named(monkeypatch, text):
    """That of Ubuntu 24.04 is 4.6."""
    monkeypatch.delattr(cv2.aruco, 'CharucoDetector')
    with pytest.raises(InvalidInputError, match=r'OpenCV: expected version 4\.7 or later'):
        target_of(text)
