# SPDX-License-Identifier: Apache-2.0
"""The rows of YOLO pose networks: known poses written in both layouts, and read back."""

import numpy as np
import pytest

from posegrasp_ros.estimation.decoders.keypoints import solve_keypoints
from posegrasp_ros.estimation.decoders.yolo_pose import OutputLayout, decode_yolo_pose, layouts
from posegrasp_ros.geometry.transforms import (
    make_transform,
    project,
    rotation_angle,
    rotation_from_vector,
    transform_points,
)

CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * (0.06, 0.03, 0.0225)
MATRIX = np.array([[600.0, 0, 319.5], [0, 600, 319.5], [0, 0, 1]])
NEAR = make_transform(rotation_from_vector([0.5, -0.7, 0.3]), [-0.08, 0.03, 0.5])
FAR = make_transform(rotation_from_vector([-0.4, 0.9, 1.2]), [0.12, -0.04, 0.7])


def keypoints(pose: np.ndarray) -> np.ndarray:
    return project(transform_points(pose, CORNERS), MATRIX)


def encode(layout: OutputLayout, instances) -> np.ndarray:
    """Output of instances, each (pixels (K, 2), visibility (K,), class, score), among many of little score."""
    rows = []
    for pixels, visible, class_id, score in instances:
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        values = np.column_stack([pixels, visible])[:, :layout.values].ravel()
        if layout.name == 'rows':
            scores = np.full(layout.classes, 0.01)
            scores[class_id] = score
            rows.append([*(low + high) / 2, *(high - low), *scores, *values])
        else:
            rows.append([*low, *high, score, class_id, *values])
    noise = np.random.default_rng(0).uniform(0, 0.2, (300, layout.channels))
    rows = np.vstack([np.array(rows).reshape(-1, layout.channels), noise]).astype(np.float32)
    return rows.T if layout.name == 'rows' else rows[:300]


def assert_pose(instance, pose: np.ndarray, within_m: float = 1e-4, within_deg: float = 0.05) -> None:
    found = solve_keypoints(CORNERS[instance.seen], instance.pixels[instance.seen], 1.5, MATRIX).pose
    assert np.linalg.norm(found[:3, 3] - pose[:3, 3]) < within_m
    assert np.degrees(rotation_angle(found[:3, :3].T @ pose[:3, :3])) < within_deg


EVERY_LAYOUT = [layout for classes in (1, 3) for layout in layouts(8, classes)]


@pytest.mark.parametrize('layout', EVERY_LAYOUT, ids=str)
def test_poses_come_back_the_surest_first(layout):
    instances = [(keypoints(pose), np.ones(8), 0, score) for pose, score in ((FAR, 0.6), (NEAR, 0.9))]
    found = decode_yolo_pose(encode(layout, instances), layout)
    assert [each.confidence for each in found] == pytest.approx([0.9, 0.6])
    for each, pose in zip(found, (NEAR, FAR)):
        np.testing.assert_allclose(each.pixels, keypoints(pose), atol=1e-3)
        assert each.seen.all()
        assert_pose(each, pose)


@pytest.mark.parametrize('layout', layouts(8, classes=3), ids=str)
def test_another_class_is_no_answer(layout):
    output = encode(layout, [(keypoints(NEAR), np.ones(8), 2, 0.9)])
    assert [len(decode_yolo_pose(output, layout, class_id)) for class_id in range(3)] == [0, 0, 1]


@pytest.mark.parametrize('values', [2, 3])
def test_overlapping_candidates_are_one_object(values):
    layout = OutputLayout('rows', 8, values, 1)
    pixels, seen = keypoints(NEAR), np.ones(8)
    output = encode(layout, [(pixels + shift, seen, 0, 0.9 - 0.1 * abs(shift)) for shift in (-2, -1, 0, 1, 2)])
    [found] = decode_yolo_pose(output, layout)
    np.testing.assert_allclose(found.pixels, pixels, atol=1e-3)
    assert len(decode_yolo_pose(output, layout, overlap=1.0)) == 5


@pytest.mark.parametrize('name', ['rows', 'end_to_end'])
def test_keypoints_of_little_visibility_are_not_seen(name):
    layout = OutputLayout(name, 8, 3, 1)
    visible, pixels = np.ones(8), keypoints(NEAR)
    visible[[1, 6]], pixels[[1, 6]] = 0.1, (320, 320)
    [found] = decode_yolo_pose(encode(layout, [(pixels, visible, 0, 0.9)]), layout)
    assert np.flatnonzero(~found.seen).tolist() == [1, 6]
    assert_pose(found, NEAR)


def test_a_wrong_keypoint_is_voted_down_and_noise_is_borne():
    layout, pixels = OutputLayout('rows', 8, 2, 1), keypoints(NEAR)
    pixels = pixels + np.random.default_rng(1).normal(0, 0.5, pixels.shape)
    pixels[4] += (30, 20)
    [found] = decode_yolo_pose(encode(layout, [(pixels, np.ones(8), 0, 0.9)]), layout)
    assert_pose(found, NEAR, within_m=0.005, within_deg=2.0)


def test_little_score_is_no_answer():
    for layout in EVERY_LAYOUT:
        assert decode_yolo_pose(encode(layout, []), layout) == []
        assert decode_yolo_pose(encode(layout, [(keypoints(NEAR), np.ones(8), 0, 0.5)]), layout,
                                threshold=0.6) == []


@pytest.mark.parametrize('shape, expected', [
    ([1, 21, 8400], ['rows [1, 21, A]']),
    ([1, 29, 8400], ['rows [1, 29, A]']),
    ([1, 300, 22], ['end_to_end [1, N, 22]']),
    ([1, 300, 30], ['end_to_end [1, N, 30]']),
    ([1, 300, 31], []),
    ([1, 21], []),
    ([1, 29, 22], ['rows [1, 29, A]', 'end_to_end [1, N, 22]']),
])
def test_the_shape_tells_the_layout(shape, expected):
    assert [str(layout) for layout in layouts(8, 1) if layout.fits(shape)] == expected


@pytest.mark.parametrize('count', [4, 5, 6])
def test_few_keypoints_on_a_plane_give_the_pose(count):
    flat = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0), (0.3, 0.1, 0), (-0.5, 0.6, 0)])[:count] * 0.05
    pixels = project(transform_points(NEAR, flat), MATRIX)
    solution = solve_keypoints(flat, pixels, 1.0, MATRIX)
    np.testing.assert_allclose(solution.pose, NEAR, atol=1e-3)
    assert solution.inlier_share == 1.0


def test_keypoints_that_fit_no_pose_give_none():
    pixels = np.random.default_rng(3).uniform(0, 640, (8, 2))
    assert solve_keypoints(CORNERS, pixels, 1.0, MATRIX) is None


def test_the_covariance_holds_the_truth_as_often_as_it_says():
    rng, inside, clean = np.random.default_rng(5), 0, keypoints(NEAR)
    for _ in range(100):
        solution = solve_keypoints(CORNERS, clean + rng.normal(0, 1.5, clean.shape), 1.5, MATRIX)
        shift = NEAR[:3, 3] - solution.pose[:3, 3]
        # the 90 % quantile of chi-squared with three degrees of freedom
        inside += shift @ np.linalg.solve(solution.covariance[:3, :3], shift) < 6.25
    assert 80 <= inside <= 98
