# SPDX-License-Identifier: Apache-2.0
"""Sampled grasps of boxes, rings and the mesh family: opposite, clear of the object, spread, rated."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    Symmetry,
    invert,
    make_transform,
    rotation_from_vector,
    transform_points,
)
from posegrasp_ros.grasping.box import Box
from posegrasp_ros.grasping.generation import sampling
from posegrasp_ros.grasping.generation.collision import boxes_hit_mesh
from posegrasp_ros.grasping.generation.contacts import antipodal_contacts
from posegrasp_ros.grasping.generation.farthest_point_sampling import DISTINCT, distance
from posegrasp_ros.grasping.generation.from_above import poses_from_above
from posegrasp_ros.grasping.generation.sampling import rate, sample_grasps
from posegrasp_ros.grasping.generation.stable_poses import stable_poses
from posegrasp_ros.grasping.grasp_set import GraspError, NoGraspError
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.simulation.mesh_family import family_object

GRIPPER = load_gripper()
BOX_SIDES_M = (0.12, 0.06, 0.045)


def as_mesh(solid: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.zeros((1, 1, 3), np.uint8))


def box_mesh(sides_m=BOX_SIDES_M) -> Mesh:
    return as_mesh(trimesh.creation.box(sides_m))


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
    """Pads that are not parallel to the faces touch them with their edges, and stand that much farther apart."""
    half_y, half_z = GRIPPER.pad_half_extents
    for grasp in box_grasps.grasps:
        axis = np.argmax(np.abs(grasp.object_from_tcp[:3, 0]))
        cosine = np.abs(grasp.object_from_tcp[axis, 0])
        along = BOX_SIDES_M[axis] / cosine
        edges = 2 * np.hypot(half_y, half_z) * np.sqrt(1 - min(1.0, cosine) ** 2) / cosine
        assert along - 1e-4 <= grasp.width_m <= along + edges + 1e-4
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


def test_grasps_are_distinct(box_grasps):
    poses = box_grasps.object_from_tcp
    for pose in poses[:60]:
        # it was measured from the earlier chosen of the two, whose axes may differ a little
        assert (distance(poses, pose) >= 0.9 * DISTINCT).sum() >= len(poses) - 1


@pytest.mark.parametrize('solid', [
    trimesh.creation.cylinder(radius=0.03, height=0.1, sections=48),
    trimesh.creation.annulus(r_min=0.045, r_max=0.05, height=0.03, sections=48),
], ids=['can', 'ring'])
def test_can_and_ring_are_grasped_too_and_as_wide_as_what_is_between_the_pads(solid):
    """The ring is wider than the opening: it is held by its wall, the gripper opened less or around it."""
    grasps = sample_grasps(as_mesh(solid), GRIPPER, np.random.default_rng(1), 100)
    assert len(grasps) >= 50
    surface, _ = trimesh.sample.sample_surface(solid, 100_000, seed=0)
    for grasp in grasps.grasps:
        points = transform_points(invert(grasp.object_from_tcp), surface)
        between = np.abs(points) < (grasp.opening_m / 2, *GRIPPER.pad_half_extents)
        assert grasp.width_m == pytest.approx(np.ptp(points[between.all(axis=1), 0]), abs=1e-3)


def bar_with_sloping_sides() -> trimesh.Trimesh:
    corners = [(x * (0.1 - 0.003 * top), y * (0.015 - 0.003 * top), 0.012 * top)
               for x in (-1, 1) for y in (-1, 1) for top in (0, 1)]
    return trimesh.convex.convex_hull(np.array(corners))


@pytest.mark.parametrize('solid', [trimesh.creation.torus(0.06, 0.006), bar_with_sloping_sides()],
                         ids=['torus', 'bar'])
def test_flat_things_are_grasped_whichever_side_they_lie_on(solid):
    grasps = sample_grasps(as_mesh(solid), GRIPPER, np.random.default_rng(0), 100)
    flat = [pose for pose in stable_poses(as_mesh(solid), grasps, GRIPPER) if pose.height_m < 0.013]
    assert len(flat) == 2 and min(pose.usable for pose in flat) >= 10


def test_poses_from_above_are_level_and_end_just_above_the_table():
    solid, down = trimesh.creation.torus(0.06, 0.006), np.array([0.0, 0.0, -1.0])
    contacts = antipodal_contacts(solid, GRIPPER.friction, np.random.default_rng(0))
    poses, widths_m = poses_from_above(contacts, down, GRIPPER, solid, 50, np.random.default_rng(0))
    assert len(poses) == len(widths_m) == 50
    np.testing.assert_allclose(poses[:, :3, 2], np.tile(down, (50, 1)))
    rotations = poses[:, :3, :3]
    np.testing.assert_allclose(rotations.swapaxes(1, 2) @ rotations, np.tile(np.eye(3), (50, 1, 1)), atol=1e-12)
    tips_m = poses[:, 2, 3] - GRIPPER.finger_reach_m + 0.006  # the torus's lowest point is at -6 mm
    assert tips_m.min() > 0.003 and tips_m.max() < 0.0055


def test_directions_midway_between_two_axes_do_not_depend_on_the_last_digit(monkeypatch):
    """Lines across a ring's wall are midway between two axes of its box, or across two of them."""
    solid = trimesh.creation.annulus(r_min=0.045, r_max=0.05, height=0.03, sections=48)
    found = antipodal_contacts(solid, GRIPPER.friction, np.random.default_rng(1))

    def poses(last_digits_m: float) -> np.ndarray:
        rng = np.random.default_rng(2)
        contacts = replace(found, points=found.points + last_digits_m * rng.standard_normal(found.points.shape))
        monkeypatch.setattr(sampling, 'antipodal_contacts', lambda *_: contacts)
        return sampling._roll(sampling._graspable_contacts(solid, GRIPPER, rng, ''), solid, rng)[0]
    np.testing.assert_allclose(poses(0.0), poses(1e-17), atol=1e-9)


@pytest.fixture(scope='module')
def family_grasps():
    """Grasps of an object of the family, worked out once."""
    known = {}

    def grasps_of(name):
        if name not in known:
            known[name] = sample_grasps(family_object(name).mesh, GRIPPER, np.random.default_rng(1), 120)
        return known[name]
    return grasps_of


@pytest.mark.slow
@pytest.mark.parametrize('name', ['mug', 'plate', 'l_bracket', 'bowl', 'bottle', 'knurled_bar', 'tiny_cube'])
def test_family_has_grasps_that_touch_nothing_on_the_way_in(family_grasps, name):
    grasps, parts = family_grasps(name), family_object(name).convex_parts
    assert len(grasps) >= 100
    rng = np.random.default_rng(0)
    for grasp in grasps.grasps[::12]:
        boxes = GRIPPER.finger_boxes(grasp.opening_m) + GRIPPER.palm_boxes
        dense = np.concatenate([box.center + rng.uniform(-1, 1, (300, 3)) * box.half_extents for box in boxes])
        for back_m in (0.0, 0.05, 0.1):
            pose = grasp.object_from_tcp @ make_transform(translation=(0, 0, -back_m))
            points = transform_points(pose, dense)
            for part in parts:
                reach = (part.face_normals * part.triangles[:, 0]).sum(axis=1)
                assert not (part.face_normals @ points.T <= reach[:, None]).all(axis=0).any()


@pytest.mark.parametrize('name, thick_m', [('mug', 0.0035), ('bowl', 0.004), ('l_bracket', 0.006),
                                           ('plate', 0.008)])
def test_thin_walls_are_held_across(family_grasps, name, thick_m):
    widths = np.array([grasp.width_m for grasp in family_grasps(name).grasps])
    assert (np.abs(widths - thick_m) < 0.0025).sum() >= 10


def test_handle_of_the_mug_is_held_as_well(family_grasps):
    """The handle lies beyond 42 mm along x; the wall does not reach there."""
    by_the_handle = family_grasps('mug').object_from_tcp[:, 0, 3] > 0.05
    assert by_the_handle.sum() >= 3


@pytest.mark.parametrize('name, least', [('plate', 10), ('tiny_cube', 5), ('l_bracket', 10)])
@pytest.mark.parametrize('down', [1.0, -1.0])
def test_what_lies_flat_is_held_by_the_fingertips(family_grasps, name, least, down):
    """With the upper or lower face on a table, grasps from straight above keep 3 mm between fingers and table."""
    poses = family_grasps(name).object_from_tcp
    table_m = (down * family_object(name).mesh.vertices[:, 2]).max()
    from_above = down * poses[:, 2, 2] > 0.999
    tips_m = down * poses[:, 2, 3] + GRIPPER.finger_reach_m
    assert (from_above & (tips_m < table_m - 0.003)).sum() >= least


@pytest.mark.parametrize('change', [
    lambda solid: solid.update_faces(np.arange(len(solid.faces)) % 40 > 0),
    lambda solid: solid.invert(),
    lambda solid: solid.faces.__setitem__(slice(0, None, 5), solid.faces[::5, ::-1]),
], ids=['holes', 'inside out', 'some triangles turned'])
def test_faulty_surface_still_has_grasps(change):
    solid = trimesh.creation.icosphere(subdivisions=3, radius=0.03)
    change(solid)
    grasps = sample_grasps(as_mesh(solid), GRIPPER, np.random.default_rng(0), 30)
    assert len(grasps) == 30
    assert all(abs(grasp.width_m - 0.06) < 0.003 for grasp in grasps.grasps)


HALF_TURNS = Symmetry(discrete=np.array([np.eye(4), *(make_transform(rotation_from_vector(np.pi * axis))
                                                     for axis in np.eye(3))]))


def same_set(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether every pose (N, 4, 4) of either set is in the other, up to rounding."""
    close = np.abs(first[:, None] - second[None]).max(axis=(2, 3)) < 1e-9
    return bool(close.any(axis=0).all() and close.any(axis=1).all())


def test_grasp_set_mapped_through_a_symmetry_is_the_same_set(box_grasps):
    """All places of all grasps, as the planner tries them: any symmetry of the box maps the set to itself."""
    places = (HALF_TURNS.transforms()[:, None] @ box_grasps.object_from_tcp[:40]).reshape(-1, 4, 4)
    for motion in HALF_TURNS.transforms():
        assert same_set(motion @ places, places)
    assert not same_set(make_transform(rotation_from_vector([0, 0, np.pi / 2])) @ places, places)


@pytest.mark.parametrize('motion', list(HALF_TURNS.transforms()[1:]), ids='xyz')
def test_grasp_mapped_through_a_symmetry_is_as_good(box_grasps, motion):
    poses = box_grasps.object_from_tcp[:60]
    widths = np.array([grasp.width_m for grasp in box_grasps.grasps[:60]])
    here, there = (rate(each, widths, GRIPPER, box_mesh().solid) for each in (poses, motion @ poses))
    assert len(here) == len(there) == 60
    np.testing.assert_allclose(here.confidences, there.confidences, atol=0.02)
    np.testing.assert_allclose(here.widths_m, there.widths_m, atol=1e-5)
    np.testing.assert_array_equal(here.openings_m, there.openings_m)


def test_gripper_turned_half_about_its_approach_holds_as_well(box_grasps):
    poses = box_grasps.object_from_tcp[:60]
    widths = np.array([grasp.width_m for grasp in box_grasps.grasps[:60]])
    turned = poses @ make_transform(rotation_from_vector([0, 0, np.pi]))
    here, there = (rate(each, widths, GRIPPER, box_mesh().solid) for each in (poses, turned))
    np.testing.assert_allclose(here.confidences, there.confidences, atol=0.02)


def test_contacts_face_each_other_within_the_cone():
    contacts = antipodal_contacts(box_mesh().solid, GRIPPER.friction, np.random.default_rng(2))
    line = contacts.points[:, 1] - contacts.points[:, 0]
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    limit = np.cos(np.arctan(GRIPPER.friction)) - 1e-9
    assert ((contacts.inward_normals[:, 0] * line).sum(axis=1) >= limit).all()
    assert ((-contacts.inward_normals[:, 1] * line).sum(axis=1) >= limit).all()


def test_object_wider_than_the_opening_is_refused():
    with pytest.raises(GraspError, match=r'mesh of 120 x 90 x 100 mm: too_wide: .* at most 70 mm apart'):
        sample_grasps(box_mesh((0.12, 0.09, 0.1)), GRIPPER, np.random.default_rng(0))


def test_wide_object_of_the_family_is_refused_and_a_wider_gripper_takes_it():
    mesh = family_object('too_wide').mesh
    with pytest.raises(GraspError, match=r'too_wide: .* use a wider gripper'):
        sample_grasps(mesh, GRIPPER, np.random.default_rng(0))
    assert len(sample_grasps(mesh, load_gripper('robotiq_2f_140'), np.random.default_rng(0), 20)) == 20


@pytest.mark.parametrize('thickness_mm', [0.3, 0.5, 0.8])
def test_a_sheet_that_is_too_wide_to_span_is_too_thin_to_hold(thickness_mm):
    with pytest.raises(NoGraspError, match=rf'120 x 90 x {thickness_mm} mm: too_thin: .* {thickness_mm} mm apart'):
        sample_grasps(box_mesh((0.12, 0.09, thickness_mm / 1000)), GRIPPER, np.random.default_rng(0))


def test_an_object_without_opposite_surfaces_has_no_contact():
    corners = np.array([[0, 0, 0], [0.06, 0, 0], [0.03, 0.052, 0], [0.03, 0.0173, 0.049]])
    tetrahedron = trimesh.Trimesh(corners, [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    mesh = Mesh(np.array(tetrahedron.vertices), np.array(tetrahedron.faces), None, np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(NoGraspError, match='no_contact: expected two opposite surfaces'):
        sample_grasps(mesh, GRIPPER, np.random.default_rng(0))


def test_mesh_without_volume_is_refused():
    flat = Mesh(np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0.0]]), np.array([[0, 1, 2]]), None,
                np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(GraspError, match=r'a closed surface around some volume, .*; give the surface a thickness'):
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
