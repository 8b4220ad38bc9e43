# SPDX-License-Identifier: Apache-2.0
"""What the gripper touches on a straight way: against an exact but slow answer."""

import numpy as np
import pytest
from scipy.optimize import linprog

from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import make_transform, random_rotation
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.obstruction import GripperBoxes, touches
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene, SceneError, SphereObstacle
from posegrasp_ros.grasping.planning.swept_boxes import STEP_M
from posegrasp_ros.runtime.resources import resource_path

GRIPPER = load_gripper()
RNG = np.random.default_rng(0)
POSES = np.array([make_transform(random_rotation(RNG), RNG.uniform(-0.12, 0.12, 3)) for _ in range(120)])
BOXES = GripperBoxes(GRIPPER, np.array([0.08, 0.03]))
OF = RNG.integers(0, 2, len(POSES))
OBSTACLE = BoxObstacle(make_transform(random_rotation(RNG), (0.01, 0.0, -0.01)), np.array([0.02, 0.035, 0.05]))
WAYS = {'stays': np.zeros((len(POSES), 3)), 'approach': -0.1 * POSES[:, :3, 2],
        'lift': np.tile([0.03, 0.02, 0.1], (len(POSES), 1))}


def meets(pose, center, half_extents, way):
    """Whether a swept box has a point in common with the obstacle: a linear program over the box and the way."""
    rotation = OBSTACLE.base_from_box[:3, :3].T
    matrix = rotation @ np.column_stack([pose[:3, :3] * half_extents, way])
    start = rotation @ (pose[:3, :3] @ center + pose[:3, 3] - OBSTACLE.base_from_box[:3, 3])
    limits = np.concatenate([OBSTACLE.half_extents - start, OBSTACLE.half_extents + start])
    return linprog(np.zeros(4), np.vstack([matrix, -matrix]), limits, bounds=[(-1, 1)] * 3 + [(0, 1)]).status == 0


@pytest.mark.parametrize('way', WAYS)
def test_boxes_touch_as_the_linear_program_says(way):
    expected = [any(meets(pose, center, half, step) for center, half in zip(BOXES.centers[of], BOXES.half_extents))
                for pose, of, step in zip(POSES, OF, WAYS[way])]
    found = touches(POSES, BOXES, OF, WAYS[way], Scene(boxes=[OBSTACLE]), clearance_m=0.0)
    assert 0.1 < np.mean(expected) < 0.9
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('way', WAYS)
def test_balls_are_never_overlooked_and_hardly_ever_imagined(way):
    radius_m = 0.03
    nearest = np.full(len(POSES), np.inf)
    for share in np.linspace(0, 1, 101):
        seen = -np.einsum('nji,nj->ni', POSES[:, :3, :3], POSES[:, :3, 3] + share * WAYS[way])
        beyond = np.maximum(np.abs(seen[:, None] - BOXES.centers[OF]) - BOXES.half_extents, 0.0)
        nearest = np.minimum(nearest, np.linalg.norm(beyond, axis=2).min(axis=1))
    found = touches(POSES, BOXES, OF, WAYS[way], Scene(spheres=[SphereObstacle(np.zeros(3), radius_m)]), 0.0)
    assert 0.1 < found.mean() < 0.9
    assert found[nearest < radius_m - 5e-4].all()
    assert not found[nearest > radius_m + (STEP_M if way == 'lift' else 0)].any()


def test_points_are_balls_of_their_own_radius():
    points = RNG.uniform(-0.1, 0.1, (30, 3))
    as_points = touches(POSES, BOXES, OF, WAYS['approach'], Scene(points=points, point_radius_m=0.01), 0.0)
    as_balls = touches(POSES, BOXES, OF, WAYS['approach'],
                       Scene(spheres=[SphereObstacle(point, 0.01) for point in points]), 0.0)
    np.testing.assert_array_equal(as_points, as_balls)
    assert as_points.any()


def test_clearance_makes_the_gripper_larger():
    near, far = (touches(POSES, BOXES, OF, WAYS['stays'], Scene(boxes=[OBSTACLE]), clearance_m).sum()
                 for clearance_m in (0.02, 0.0))
    assert near > far


def test_lowest_point_is_that_of_the_boxes_corners():
    ups = RNG.normal(size=(2, 5, 3))
    ups /= np.linalg.norm(ups, axis=2, keepdims=True)
    for of, opening_m in enumerate((0.08, 0.03)):
        boxes = GRIPPER.finger_boxes(opening_m) + GRIPPER.palm_boxes
        corners = np.concatenate([box.corners() for box in boxes])
        expected = (corners @ ups[of].T).min(axis=0)
        assert BOXES.lowest(np.moveaxis(ups, 2, 0))[of] == pytest.approx(expected, abs=1e-12)


def test_the_box_around_another_instance_holds_it():
    mesh = load_mesh(resource_path('models/box/mesh.obj'))
    pose = make_transform(random_rotation(RNG), (0.1, 0.2, 0.3))
    box = BoxObstacle.around(mesh, pose)
    vertices = mesh.vertices @ pose[:3, :3].T + pose[:3, 3] - box.base_from_box[:3, 3]
    seen = vertices @ box.base_from_box[:3, :3]
    assert np.abs(seen).max(axis=0) == pytest.approx(box.half_extents, abs=1e-4)


@pytest.mark.parametrize('bad, what', [
    ({'up': np.array([0, 0, 2.0])}, 'up: expected a vector of length 1'),
    ({'boxes': [BoxObstacle(np.eye(4), np.array([0.1, 0.0, 0.1]))]}, 'box 0: expected sizes'),
    ({'spheres': [SphereObstacle(np.zeros(3), np.nan)]}, 'sphere 0: expected sizes'),
])
def test_impossible_surroundings_are_refused(bad, what):
    with pytest.raises(SceneError, match=what):
        Scene(**bad)


@pytest.mark.parametrize('seed', range(8))
def test_what_just_touches_does_so_however_the_scene_is_turned(seed):
    """The widest part of the gripper and a box, face on face."""
    boxes = GripperBoxes(GRIPPER, np.array([0.08]))
    side_m = (boxes.centers[0] + boxes.half_extents)[:, 0].max()
    face_on_face = BoxObstacle(make_transform(None, (side_m + 0.05, 0.0, 0.0)), np.array([0.05, 0.2, 0.3]))
    turned = make_transform(random_rotation(np.random.default_rng(seed)), (0.3, -0.2, 0.1))
    for moved in (np.eye(4), turned):
        scene = Scene(boxes=[face_on_face]).moved(moved)
        assert touches(moved[None], boxes, np.zeros(1, dtype=int), np.zeros((1, 3)), scene, 0.0).all()
