# SPDX-License-Identifier: Apache-2.0
"""What stands for an object in contacts: its hollows stay hollow, its weight is that of what it encloses."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.grasping.gripper import DEFAULT_GRIPPER, load_gripper, shipped_grippers
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation import convex_decomposition
from posegrasp_ros.simulation.convex_decomposition import convex_parts
from posegrasp_ros.simulation.mesh_family import family_object
from posegrasp_ros.simulation.pick import HOLD_S, LIFTED_M
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.solids import TouchBox, touch_solids
from posegrasp_ros.simulation.world import World

FAMILY = ('mug', 'plate', 'l_bracket', 'bottle', 'bowl')


def mesh_of(solid):
    return Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.full((1, 1, 3), 128, np.uint8))


def picked(name):
    if name in ('box', 'can'):
        return load_mesh(resource_path(f'models/{name}/mesh.obj')), None
    return family_object(name).mesh, family_object(name).convex_parts


def channel(sides=(0.06, 0.04, 0.03), wall=0.005):
    """A U-shaped bar: a floor and two walls in one closed mesh."""
    x, y, z = sides
    outline = [(0, 0), (y, 0), (y, z), (y - wall, z), (y - wall, wall), (wall, wall), (wall, z), (0, z)]
    triangles = [(0, 1, 5), (1, 4, 5), (1, 2, 4), (2, 3, 4), (0, 5, 6), (0, 6, 7)]
    return trimesh.creation.extrude_triangulation(np.array(outline), np.array(triangles), x)


@pytest.mark.parametrize('name, gripper', [
    *((name, DEFAULT_GRIPPER) for name in ('box', 'can', *FAMILY)),
    *(('mug', gripper) for gripper in shipped_grippers() if gripper != DEFAULT_GRIPPER),
])
def test_the_physics_of_a_pick_is_no_kinder_than_stated(name, gripper):
    """Friction 0.6 at most wherever something touches, 400 kg/m³ or more, gravity, and a hold of a second."""
    mesh, parts = picked(name)
    world = World(mesh, load_gripper(gripper), sample_scene(np.random.default_rng(1), mesh), convex_parts=parts)
    model = world._model
    touching = model.geom_contype > 0
    assert model.geom_friction[touching, 0].max() <= 0.6
    assert model.body('object').mass[0] >= 399.9 * mesh.solid.volume
    assert model.opt.gravity.tolist() == [0, 0, -9.81]
    assert model.body_gravcomp[model.body('object').id] == 0
    assert not model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_GRAVITY
    assert HOLD_S >= 1.0 and LIFTED_M >= 0.08


def test_a_box_stays_a_box_and_a_can_its_hull():
    (box,), (can,) = (touch_solids(picked(name)[0]) for name in ('box', 'can'))
    assert isinstance(box, TouchBox) and np.sort(box.half_extents) == pytest.approx([0.0225, 0.03, 0.06])
    assert isinstance(can, trimesh.Trimesh) and can.is_convex


def test_pieces_that_are_known_are_taken():
    bracket = family_object('l_bracket')
    pieces = touch_solids(bracket.mesh, bracket.convex_parts)
    assert len(pieces) == 2 and all(isinstance(piece, TouchBox) for piece in pieces)


def test_what_is_only_looked_at_needs_no_hollows():
    mug = family_object('mug').mesh
    hull, = touch_solids(mug, fill_hollows=True)
    assert hull.volume == pytest.approx(mug.solid.convex_hull.volume)


def test_a_hollow_mesh_is_decomposed_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    mesh = mesh_of(channel())
    assert mesh.solid.is_volume
    found = touch_solids(mesh)
    inside = np.array([[0.02, 0.02, 0.03]])  # between the walls
    assert mesh.solid.convex_hull.contains(inside).all()
    pieces = convex_parts(mesh.solid)
    assert len(found) == len(pieces) >= 3 and not any(piece.contains(inside).any() for piece in pieces)
    assert sum(piece.volume for piece in pieces) == pytest.approx(mesh.solid.volume, rel=0.2)
    monkeypatch.setattr(convex_decomposition, '_decompose', None)  # not asked again
    convex_parts.cache_clear()
    again = convex_parts(mesh.solid)
    assert [piece.volume for piece in again] == pytest.approx([piece.volume for piece in pieces])


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch, caplog):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    assert len(touch_solids(mesh_of(channel(wall=0.006)))) >= 3
    assert 'cannot be written' in caplog.text


def test_the_lid_that_a_box_lacks_is_put_on():
    solid = trimesh.creation.box((0.05, 0.05, 0.05))
    box, = touch_solids(mesh_of(trimesh.Trimesh(solid.vertices, solid.faces[:-2])))
    assert box.half_extents == pytest.approx([0.025] * 3)


def boxes(*offsets_m):
    """Boxes of 60 x 20 x 20 mm in one mesh, moved so far."""
    each = [trimesh.creation.box((0.06, 0.02, 0.02), make_transform(None, offset)) for offset in offsets_m]
    return mesh_of(trimesh.util.concatenate(each))


def test_bodies_apart_are_decomposed_singly(tmp_path, monkeypatch):
    monkeypatch.setattr(convex_decomposition, '_decompose', None)  # both are convex
    found = touch_solids(boxes((0, 0, 0), (0, 0.05, 0)))
    assert [sorted(box.half_extents) for box in found] == [pytest.approx([0.01, 0.01, 0.03])] * 2


def test_bodies_that_overlap_are_decomposed_together(tmp_path, monkeypatch):
    """CoACD crashes on the boxes as they are."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    mesh = boxes((0, 0, 0), (0.03, 0.01, 0.01), (-0.03, 0.01, -0.01))
    found = convex_parts(mesh.solid)
    assert 3 <= len(found) <= 12
    assert sum(piece.volume for piece in found) == pytest.approx(mesh.solid.volume, rel=0.02)


@pytest.mark.parametrize(('limits', 'reason'), [
    ({'CPU_S': 0}, 'took more than 0 s of processor time'), ({'MEMORY_BYTES': 1 << 20}, 'took more than 0 GiB'),
    ({'COACD_OPTIONS': {'threshold': 'no number'}}, 'CoACD failed')])
def test_where_coacd_fails_the_hull_stands_in_and_is_said_each_time(tmp_path, monkeypatch, caplog, limits, reason):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    for name, value in limits.items():
        monkeypatch.setattr(convex_decomposition, name, value)
    mesh = mesh_of(channel(wall=0.007))
    for _ in range(2):
        caplog.clear()
        convex_parts.cache_clear()
        box, = touch_solids(mesh)
        assert box.half_extents == pytest.approx([0.015, 0.02, 0.03])
        assert reason in caplog.text and 'stands in for it, which has 2.0 times its volume' in caplog.text


def test_fingers_do_not_sink_into_a_light_thing():
    """A plate of 23 g between pads that press with 40 N stays as wide as it is."""
    plate = family_object('plate')
    gripper = load_gripper()
    scene = replace(sample_scene(np.random.default_rng(3), plate.mesh), distractors=(),
                    base_from_object=make_transform(None, (0, 0, 0.004)))
    world = World(plate.mesh, gripper, scene, convex_parts=plate.convex_parts)
    across_from_above = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1.0]])
    path = [make_transform(across_from_above, (0, 0, height_m)) for height_m in (0.09, 0.0135, 0.11)]
    assert world.pick(path, 0.08, gripper.force_n).ok
    opening_m = 2 * world._data.qpos[world._hand._sliding[0]] + gripper.min_opening_m
    assert opening_m == pytest.approx(0.06, abs=0.001)


def test_obstacles_are_the_other_things_where_they_lie():
    mesh, _ = picked('box')
    scene = sample_scene(np.random.default_rng(4), mesh)
    obstacles = World(mesh, None, scene).obstacles()
    assert len(obstacles) == len(scene.distractors) >= 2
    for obstacle, distractor in zip(obstacles, scene.distractors):
        assert obstacle.base_from_box[:2, 3] == pytest.approx(distractor.base_from_body[:2, 3], abs=0.02)
        assert obstacle.half_extents is distractor.half_extents
