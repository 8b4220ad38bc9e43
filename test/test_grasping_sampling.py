"""Sampled grasps of a box, a ring and a can: opposite, clear of the object, spread, best in the middle."""

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry import make_transform, rotation_from_vector, transform_points
from posegrasp_ros.grasping.collision import boxes_hit_mesh
from posegrasp_ros.grasping.gripper import Box, load_gripper
from posegrasp_ros.grasping.library import GraspError
from posegrasp_ros.grasping.sampling import sample_contacts, sample_grasps
from posegrasp_ros.mesh import Mesh
from posegrasp_ros.resources import resource_path

GRIPPER = load_gripper(resource_path('config/gripper.yaml'))
BOX_SIDES_M = (0.12, 0.06, 0.045)


def as_mesh(solid: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.zeros((1, 1, 3), np.uint8))


def box_mesh(sides_m=BOX_SIDES_M) -> Mesh:
    return as_mesh(trimesh.creation.box(sides_m))


@pytest.fixture(scope='module')
def box_grasps():
    return sample_grasps(box_mesh(), GRIPPER, np.random.default_rng(0), count=300)


def test_box_gives_as_many_grasps_as_asked_for(box_grasps):
    assert len(box_grasps) == 300
    assert len({grasp.name for grasp in box_grasps.grasps}) == 300


def test_closing_axes_are_the_two_sides_that_fit_and_both_ways(box_grasps):
    closing = box_grasps.object_from_tcp[:, :3, 0]
    axes = np.argmax(np.abs(closing), axis=1)
    counts = {(axis, sign): int(((axes == axis) & (np.sign(closing[:, axis]) == sign)).sum())
              for axis in range(3) for sign in (-1, 1)}
    assert counts[0, -1] == counts[0, 1] == 0
    assert min(counts[axis, sign] for axis in (1, 2) for sign in (-1, 1)) >= 30


@pytest.mark.parametrize('closing_axis, approach_axis', [(1, 2), (1, 0), (2, 1), (2, 0)])
@pytest.mark.parametrize('sign', [-1, 1])
def test_every_open_side_is_approached_squarely(box_grasps, closing_axis, approach_axis, sign):
    poses = box_grasps.object_from_tcp
    squarely = np.abs(poses[:, closing_axis, 0]) > 0.999
    squarely &= sign * poses[:, approach_axis, 2] > 0.999
    assert squarely.sum() >= 3


def test_fingers_and_palm_stay_clear_of_the_box_on_the_way_in(box_grasps):
    for grasp in box_grasps.grasps[::10]:
        boxes = GRIPPER.finger_boxes(grasp.opening_m) + GRIPPER.palm_boxes
        for back_m in (0.0, 0.05, 0.1):
            pose = grasp.object_from_tcp @ make_transform(translation=(0, 0, -back_m))
            for box in boxes:
                dense = box.center + np.random.default_rng(0).uniform(-1, 1, (400, 3)) * box.half_extents
                inside = np.abs(transform_points(pose, dense)) < np.array(BOX_SIDES_M) / 2
                assert not inside.all(axis=1).any()


def test_width_is_the_distance_between_the_faces(box_grasps):
    for grasp in box_grasps.grasps:
        axis = np.argmax(np.abs(grasp.object_from_tcp[:3, 0]))
        along = BOX_SIDES_M[axis] / np.abs(grasp.object_from_tcp[axis, 0])
        assert grasp.width_m == pytest.approx(along, abs=1e-4)
        assert grasp.width_m + 0.01 <= grasp.opening_m + 1e-9 <= GRIPPER.max_opening_m + 2e-9


def test_confidence_is_best_in_the_middle_and_low_on_the_edge(box_grasps):
    best = box_grasps.grasps[0]
    assert np.linalg.norm(best.object_from_tcp[:3, 3]) < 0.015
    assert best.confidence > 0.9
    on_the_edge = [g.confidence for g in box_grasps.grasps if abs(g.object_from_tcp[0, 3]) > 0.058]
    assert all(confidence < 0.5 for confidence in on_the_edge)


def test_same_seed_gives_the_same_grasps():
    first, second = (sample_grasps(box_mesh(), GRIPPER, np.random.default_rng(3), 40) for _ in range(2))
    np.testing.assert_array_equal(first.object_from_tcp, second.object_from_tcp)


@pytest.mark.parametrize('solid, most_m', [
    (trimesh.creation.cylinder(radius=0.03, height=0.1, sections=48), 0.07),
    (trimesh.creation.annulus(r_min=0.045, r_max=0.05, height=0.03, sections=48), 0.03),
])
def test_can_and_ring_are_grasped_too(solid, most_m):
    """The ring is wider than the opening: it is held by its wall, the gripper opened less or around it."""
    grasps = sample_grasps(as_mesh(solid), GRIPPER, np.random.default_rng(1), 100)
    assert len(grasps) >= 50
    assert all(0.0 < grasp.width_m <= most_m for grasp in grasps.grasps)


def test_contacts_face_each_other_within_the_cone():
    contacts = sample_contacts(box_mesh().solid, GRIPPER, np.random.default_rng(2))
    line = contacts.points[:, 1] - contacts.points[:, 0]
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    limit = np.cos(np.arctan(GRIPPER.friction)) - 1e-9
    assert ((contacts.inward_normals[:, 0] * line).sum(axis=1) >= limit).all()
    assert ((-contacts.inward_normals[:, 1] * line).sum(axis=1) >= limit).all()


def test_object_wider_than_the_opening_is_refused():
    with pytest.raises(GraspError, match=r'mesh of 120 x 90 x 100 mm: too_wide: .* at most 70 mm apart'):
        sample_grasps(box_mesh((0.12, 0.09, 0.1)), GRIPPER, np.random.default_rng(0))


def test_mesh_without_volume_is_refused():
    flat = Mesh(np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0.0]]), np.array([[0, 1, 2]]), None,
                np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(GraspError, match='expected a closed surface around some volume'):
        sample_grasps(flat, GRIPPER, np.random.default_rng(0))


@pytest.mark.parametrize('center, hits', [
    ((0, 0, 0), True), ((0.1, 0, 0), False), ((0.069, 0, 0), True), ((0.071, 0, 0), False),
    ((0.066, 0.036, 0.0), True), ((0.2, 0.2, 0.2), False),
])
@pytest.mark.parametrize('turn', [(0, 0, 0), (0.3, -1.0, 2.0)])
def test_box_against_box_is_exact(center, hits, turn):
    """A 20 mm cube by the side of the object, inside it and away from it, with everything turned alike."""
    solid = trimesh.creation.box(BOX_SIDES_M)
    solid.apply_transform(make_transform(rotation_from_vector(turn)))
    pose = make_transform(rotation_from_vector(turn))[None]
    found = boxes_hit_mesh(pose, [Box(np.array(center, float), np.full(3, 0.01))], solid)
    assert found.tolist() == [hits]


def test_object_inside_a_gripper_box_is_a_collision():
    solid = trimesh.creation.box((0.01, 0.01, 0.01))
    found = boxes_hit_mesh(np.eye(4)[None], [Box(np.zeros(3), np.full(3, 0.1))], solid)
    assert found.tolist() == [True]


def test_diagonal_neighbour_that_only_bounding_boxes_touch_is_free():
    """A separating axis that is no box axis: needed for corners that pass each other."""
    solid = trimesh.creation.box((0.1, 0.1, 0.1))
    turned = make_transform(rotation_from_vector([0, 0, np.pi / 4]), (0.09, 0.09, 0))
    found = boxes_hit_mesh(turned[None], [Box(np.zeros(3), np.array([0.05, 0.05, 0.05]))], solid)
    assert found.tolist() == [False]
