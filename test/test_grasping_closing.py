# SPDX-License-Identifier: Apache-2.0
"""Pads that close: where they touch, how far they go, what they hold by."""

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry.transforms import invert, make_transform, random_rotation, transform_points
from posegrasp_ros.grasping.generation.closing import close_on
from posegrasp_ros.grasping.gripper import load_gripper

GRIPPER = load_gripper()
OPEN = np.array([0.08])


def close(solid, object_from_tcp=None, openings_m=OPEN):
    poses = np.eye(4)[None] if object_from_tcp is None else object_from_tcp
    return close_on(poses, openings_m, GRIPPER, solid)


def test_pads_stop_at_the_sides_of_a_box_with_all_their_face():
    grip = close(trimesh.creation.box((0.05, 0.06, 0.07)))
    np.testing.assert_allclose(grip.points[0], [[-0.025, 0, 0], [0.025, 0, 0]], atol=1e-5)
    np.testing.assert_allclose(grip.inward_normals[0], [[1, 0, 0], [-1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(grip.travels_m, 0.015, atol=1e-5)
    np.testing.assert_allclose(grip.coverage, 1.0)
    assert grip.holds.tolist() == [True]


def test_object_off_the_middle_is_met_by_one_pad_first():
    grip = close(trimesh.creation.box((0.04, 0.06, 0.07), transform=make_transform(translation=(0.01, 0, 0))))
    np.testing.assert_allclose(grip.travels_m, [[0.03, 0.01]], atol=1e-5)
    np.testing.assert_allclose(grip.off_center_m, [0.01], atol=1e-5)


def test_pads_that_meet_nothing_hold_nothing():
    grip = close(trimesh.creation.box((0.04, 0.06, 0.07), transform=make_transform(translation=(0, 0, 0.2))))
    assert grip.holds.tolist() == [False]
    assert np.isinf(grip.travels_m).all()
    assert np.isnan(grip.off_center_m).all()


@pytest.mark.parametrize('depth_m, share', [(0.0, 4 / 7), (0.0045, 2 / 7), (-0.02, 1.0)])
def test_coverage_is_the_share_of_the_pad_beside_the_object(depth_m, share):
    """A block that begins at the height of the TCP less depth, or far above: seven rows of rays tell."""
    low = depth_m
    solid = trimesh.creation.box(bounds=[(-0.02, -0.05, low), (0.02, 0.05, low + 0.1)])
    np.testing.assert_allclose(close(solid).coverage, share)


def test_round_object_is_held_along_a_line():
    grip = close(trimesh.creation.cylinder(0.02, 0.1, sections=256))
    np.testing.assert_allclose(grip.points[0, :, 1:], 0, atol=1e-6)
    assert 0.3 < grip.coverage.max() < 0.8


def test_only_what_both_pads_touch_counts():
    """A step: the low pad could lean on twice the height that the other one finds, but presses against half."""
    high = trimesh.creation.box(bounds=[(-0.02, -0.05, -0.05), (0.0, 0.05, 0.05)])
    low = trimesh.creation.box(bounds=[(0.0, -0.05, -0.05), (0.02, 0.05, 0.0)])
    grip = close(trimesh.util.concatenate([high, low]))
    np.testing.assert_allclose(grip.points[0, 0, 1:], grip.points[0, 1, 1:], atol=1e-6)


@pytest.mark.parametrize('seed', range(3))
def test_closing_moves_with_the_object(seed):
    rng = np.random.default_rng(seed)
    moved = make_transform(random_rotation(rng), rng.uniform(-0.1, 0.1, 3))
    solid = trimesh.creation.cylinder(0.025, 0.08, sections=64)
    poses = np.array([make_transform(random_rotation(rng), rng.uniform(-0.01, 0.01, 3)) for _ in range(20)])
    openings = np.full(20, 0.08)
    here = close(solid, poses, openings)
    there = close(solid.copy().apply_transform(moved), moved @ poses, openings)
    # a ray that grazes an edge may fall to either side
    same = np.isclose(here.coverage, there.coverage).all(axis=1) & here.holds
    assert same.sum() >= 12
    back = transform_points(invert(moved), there.points[same].reshape(-1, 3)).reshape(-1, 2, 3)
    np.testing.assert_allclose(back, here.points[same], atol=2e-5)
