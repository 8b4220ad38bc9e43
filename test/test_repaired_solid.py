# SPDX-License-Identifier: Apache-2.0
"""Meshes as files have them become one closed solid, of the volume of the unbroken one."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from trimesh.creation import annulus, box, cylinder, icosphere

from posegrasp_ros.geometry import mesh_shells
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.mesh_shells import winding_numbers
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.grasping.generation.sampling import sample_grasps
from posegrasp_ros.grasping.grasp_set import GraspError
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.mesh_family import family_object
from posegrasp_ros.simulation.object_physics import ObjectPhysics
from posegrasp_ros.simulation.solids import mass_properties

BASES = ('box', 'can', 'mug', 'bottle', 'l_bracket')


def mesh_of(*parts: trimesh.Trimesh) -> Mesh:
    whole = trimesh.util.concatenate(list(parts))
    return Mesh(np.array(whole.vertices), np.array(whole.faces), None, np.full((1, 1, 3), 128, np.uint8))


def unbroken(name: str) -> Mesh:
    if name in ('box', 'can'):
        return load_mesh(resource_path(f'models/{name}/mesh.obj'))
    return family_object(name).mesh


def without(solid: trimesh.Trimesh, gone: np.ndarray) -> trimesh.Trimesh:
    return trimesh.Trimesh(solid.vertices, solid.faces[~gone], process=False)


def reversed_winding(solid: trimesh.Trimesh, which: slice | np.ndarray = slice(None)) -> trimesh.Trimesh:
    faces = np.array(solid.faces)
    faces[which] = faces[which][:, ::-1]
    return trimesh.Trimesh(solid.vertices, faces, process=False)


def inverted(solid, rng):
    return [reversed_winding(solid)]


def partly_inverted(solid, rng):
    return [reversed_winding(solid, rng.random(len(solid.faces)) < 0.3)]


def with_a_hole(solid, rng):
    centres = solid.triangles_center
    from_here = np.linalg.norm(centres - centres[rng.integers(len(centres))], axis=1)
    gone = np.zeros(len(solid.faces), bool)
    gone[np.argsort(from_here)[:max(2, len(gone) // 100)]] = True
    return [without(solid, gone)]


def doubled(solid, rng):
    return [solid, solid.copy().apply_translation((2e-5, 1e-5, -2e-5))]


def with_another_inside(solid, rng):
    points = solid.bounds[0] + rng.random((200, 3)) * solid.extents
    inside = points[np.abs(winding_numbers(points, solid.triangles)) > 0.5]
    edge_m = [np.linalg.norm(solid.triangles_center - point, axis=1).min() for point in inside]
    return [solid, icosphere(1, 0.0005).apply_translation(inside[int(np.argmax(edge_m))])]


def torn(solid, rng):
    """No vertex shared, 0.2 µm apart, some triangles twice and some without area."""
    corners = solid.triangles + rng.uniform(-2e-7, 2e-7, (len(solid.faces), 3, 3))
    corners = np.concatenate([corners, corners[::7][:, [0, 1, 1]], corners[::9]])
    return [trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3), process=False)]


@pytest.mark.parametrize('name', BASES)
@pytest.mark.parametrize('broken', [inverted, partly_inverted, with_a_hole, doubled, with_another_inside, torn])
def test_a_broken_mesh_has_the_volume_of_the_unbroken_one(name, broken):
    mesh = unbroken(name)
    solid = mesh_of(*broken(mesh.merged, np.random.default_rng(2))).outward().solid
    assert solid.is_volume
    assert solid.volume == pytest.approx(mesh.solid.volume, rel=0.02)


@pytest.mark.parametrize('name', ['box', 'can', 'bottle', 'l_bracket', 'plate', 'bowl', 'knurled_bar'])
def test_a_sound_mesh_stays_as_it_is(name):
    mesh = unbroken(name)
    assert mesh.solid is mesh.merged and mesh.outward() is mesh


def test_the_handle_of_a_mug_is_turned_and_closed_and_its_hollow_stays():
    cup, handle = sorted(unbroken('mug').merged.split(only_watertight=False), key=lambda body: -body.volume)
    in_the_wall = np.abs(handle.triangles_center[:, 0] - 0.038) < 1e-3
    ends = in_the_wall & (handle.face_normals[:, 0] < -0.99)
    mesh = mesh_of(cup, reversed_winding(without(handle, ends)))
    assert ends.sum() == 20 and mesh.solid.volume == pytest.approx(unbroken('mug').solid.volume, rel=1e-6)
    assert not mesh.solid.contains([[0, 0, 0.05]]).any()
    seen = mesh.outward().merged.split(only_watertight=False)[1]
    assert (np.einsum('ij,ij->i', seen.face_normals, handle.face_normals[~ends]) > 0.99).all()


OUTSIDE, INSIDE, CORE = (icosphere(2, radius_m) for radius_m in (0.04, 0.03, 0.01))
HOLLOW_M3 = OUTSIDE.volume - INSIDE.volume


@pytest.mark.parametrize(('parts', 'volume_m3'), [
    ([OUTSIDE, reversed_winding(INSIDE)], HOLLOW_M3),
    ([reversed_winding(OUTSIDE), INSIDE], HOLLOW_M3),
    ([OUTSIDE, INSIDE], OUTSIDE.volume),
    ([OUTSIDE, reversed_winding(INSIDE), CORE], HOLLOW_M3 + CORE.volume),
], ids=['hollow', 'hollow, all inverted', 'solid in a solid', 'solid in a hollow'])
def test_a_shell_inside_another_is_hollow_where_it_faces_the_other_way(parts, volume_m3):
    assert mesh_of(*parts).solid.volume == pytest.approx(volume_m3)


def test_overlapping_bodies_weigh_once_and_it_is_said(caplog):
    mesh = mesh_of(box((0.06, 0.02, 0.02)), box((0.02, 0.06, 0.02)))
    assert mass_properties(mesh, ObjectPhysics(density_kg_m3=1000.0)).mass_kg == pytest.approx(0.040)
    assert '2 bodies united, which overlapped by 20 % of the volume' in caplog.text


CUBE = box((0.05, 0.05, 0.05))


@pytest.mark.parametrize('parts', [
    [CUBE, box((0.05, 0.05, 0.05), make_transform(None, offset))] if offset else [CUBE, reversed_winding(CUBE)]
    for offset in ((0.05, 0, 0), (0.05, 0.05, 0), (0.05, 0.05, 0.05), (0.05, 0.02, 0.01), None)
], ids=['face', 'edge', 'corner', 'part of a face', 'the same, inside out'])
def test_bodies_that_touch_are_united(parts):
    solid = mesh_of(*parts).solid
    bodies = 1 if np.allclose(parts[0].vertices, parts[1].vertices) else 2
    assert solid.is_volume and solid.volume == pytest.approx(bodies * CUBE.volume)


TUBE = annulus(0.02, 0.03, 0.08, sections=32)
ENDS = np.abs(TUBE.face_normals[:, 2]) > 0.9


@pytest.mark.parametrize('gone', [ENDS, ENDS & (TUBE.triangles_center[:, 2] > 0)], ids=['both ends', 'one end'])
def test_a_tube_without_its_ends_stays_a_tube(gone):
    solid = mesh_of(without(TUBE, gone)).solid
    assert solid.volume == pytest.approx(TUBE.volume) and not solid.contains([[0, 0, 0]]).any()


def test_a_wall_without_thickness_is_filled_and_it_is_said(caplog):
    can = cylinder(0.03, 0.08, sections=32)
    solid = mesh_of(without(can, np.abs(can.face_normals[:, 2]) > 0.9)).solid
    assert solid.volume == pytest.approx(can.volume)
    assert 'mesh of 60 x 60 x 80 mm' in caplog.text and 'holes closed by lids, 27 % of the surface' in caplog.text


def test_a_sheet_has_no_grasps(caplog):
    sheet = mesh_of(trimesh.Trimesh([[0, 0, 0], [0.05, 0, 0], [0, 0.05, 0]], [[0, 1, 2]], process=False))
    with pytest.raises(GraspError, match='give the surface a thickness'):
        sample_grasps(sheet, load_gripper(), np.random.default_rng(0))


def test_gaps_of_tens_of_micrometres_are_bridged():
    ball = icosphere(3, 0.04)
    corners = ball.triangles + np.random.default_rng(0).uniform(-1e-5, 1e-5, (len(ball.faces), 3, 3))
    solid = mesh_of(trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3))).solid
    assert solid.is_volume and solid.volume == pytest.approx(ball.volume, rel=1e-3)


def test_a_surface_that_lids_do_not_close_is_its_hull_and_it_is_said(monkeypatch, caplog):
    monkeypatch.setattr(mesh_shells, 'hole_caps', lambda vertices, faces: np.empty((0, 3), int))
    solid = mesh_of(without(CUBE, np.arange(12) < 1)).solid
    assert solid.is_volume and solid.volume == pytest.approx(CUBE.volume)
    assert 'a surface of 11 triangles, which lids did not close, replaced by its convex hull, +' in caplog.text


def test_a_strip_without_an_inside_becomes_a_closed_solid_all_the_same():
    """A Moebius strip."""
    turns = np.linspace(0, np.pi, 25)[:-1]
    around, across = 2 * turns, np.array([-0.01, 0.01])
    reach = 0.04 + across * np.cos(turns)[:, None]
    points = np.stack([reach * np.cos(around)[:, None], reach * np.sin(around)[:, None],
                       across * np.sin(turns)[:, None]], axis=-1).reshape(-1, 3)
    quads = np.array([(2 * k, 2 * k + 1, 2 * k + 3, 2 * k + 2) for k in range(23)] + [(46, 47, 0, 1)])
    strip = trimesh.Trimesh(points, np.vstack([quads[:, :3], quads[:, [0, 2, 3]]]), process=False)
    assert mesh_of(strip).solid.is_volume


def test_grasps_of_a_broken_mesh_are_those_of_the_unbroken_one():
    mesh, gripper = unbroken('l_bracket'), load_gripper()
    broken = mesh_of(*partly_inverted(mesh.merged, np.random.default_rng(0)))
    first, second = (sample_grasps(each, gripper, np.random.default_rng(0), 20) for each in (mesh, broken))
    assert len(first) == len(second)
    assert first.object_from_tcp == pytest.approx(second.object_from_tcp)
