# SPDX-License-Identifier: Apache-2.0
"""A thinned set: distinct grasps, good ones first, some for each way of lying."""

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.grasping.generation.farthest_point_sampling import (
    DISTINCT,
    choose,
    distance,
    usable_lying,
    ways_of_lying,
)
from posegrasp_ros.grasping.gripper import load_gripper

GRIPPER = load_gripper()


def row(positions_m) -> np.ndarray:
    return np.array([make_transform(translation=(x, 0, 0)) for x in positions_m])


def test_near_duplicates_are_left_out():
    poses = row([0.0, 0.001, 0.002, 0.1])
    assert choose(poses, np.array([0.5, 0.9, 0.5, 0.5]), np.ones((4, 1), bool), 4).tolist() == [1, 3]


def test_of_equally_far_ones_the_better_is_taken_and_the_best_comes_first():
    poses = row([0.05, -0.05, 0.0])
    assert choose(poses, np.array([0.6, 0.2, 0.9]), np.ones((3, 1), bool), 2).tolist() == [2, 0]


def test_poor_grasps_are_taken_where_only_they_can_be_used():
    poses = row(np.linspace(0, 1, 50))
    usable = np.zeros((50, 2), bool)
    usable[:45, 0] = usable[45:, 1] = True
    chosen = choose(poses, np.where(usable[:, 1], 0.05, 0.9), usable, 10)
    assert usable[chosen].sum(axis=0).min() >= 4


@pytest.mark.parametrize('motion, units', [
    (make_transform(translation=(0.02, 0, 0)), 1.0), (make_transform(translation=(0, 0, 0.006)), 1.0),
    (make_transform(rotation_from_vector([0, np.radians(60), 0])), 2.0), (np.eye(4), 0.0),
])
def test_distance_is_measured_in_the_axes_of_the_gripper(motion, units):
    pose = make_transform(rotation_from_vector([0.3, -1.0, 2.0]), (0.1, 0.2, 0.3))
    assert distance((pose @ motion)[None], pose)[0] == pytest.approx(units, abs=1e-6)
    assert DISTINCT < 1


def test_box_lies_on_its_six_sides_the_largest_first():
    ways = ways_of_lying(trimesh.creation.box((0.12, 0.06, 0.045)))
    assert len(ways) == 6
    assert np.abs(ways[:2, 2]).min() == pytest.approx(1)
    assert np.abs(ways[4:, 0]).min() == pytest.approx(1)


def test_grasp_from_below_is_not_usable_and_one_from_above_is_if_its_tips_are_high_enough():
    """A 100 mm cube, approached along -z: its fingertips reach 9.5 mm beyond the TCP."""
    solid = trimesh.creation.box((0.06, 0.1, 0.1))
    down = np.diag([1.0, -1.0, -1.0, 1.0])
    heights = (-0.0374, -0.0376)  # with the table at -50 mm and a gap of 3 mm, the TCP needs -37.5 mm
    poses = np.array([make_transform(translation=(0, 0, height)) @ down for height in heights])
    lower, = np.flatnonzero(ways_of_lying(solid)[:, 2] < -0.99)
    upper, = np.flatnonzero(ways_of_lying(solid)[:, 2] > 0.99)
    usable = usable_lying(poses, np.array([0.08, 0.08]), GRIPPER, solid, ways_of_lying(solid))
    assert usable[:, lower].tolist() == [True, False]
    assert not usable[:, upper].any()
