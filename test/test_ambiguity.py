# SPDX-License-Identifier: Apache-2.0
"""Ambiguity: what looks alike, named, and in how many views."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from posegrasp_ros.feasibility.attainable.ambiguity import find_ambiguities
from posegrasp_ros.feasibility.attainable.attainable_accuracy import attainable_accuracy
from posegrasp_ros.feasibility.attainable.view_sampling import sample_views
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import Symmetry, invert
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.mesh_family import family_object
from posegrasp_ros.simulation.object_renderer import ObjectRenderer

CAMERA = Camera.from_field_of_view(640, 480, np.radians(60))


@pytest.fixture(scope='module')
def box() -> Mesh:
    return load_mesh(resource_path('models/box') / 'mesh.obj')


@pytest.fixture(scope='module')
def can() -> Mesh:
    return load_mesh(resource_path('models/can') / 'mesh.obj')


def painted_box(twins: str) -> Mesh:
    """120 x 100 x 30 mm, each face with blotches of its own, but that -z looks like +z where ``twins`` has a z."""
    half, rng = np.array([0.06, 0.05, 0.015]), np.random.default_rng(3)
    vertices, uv, tiles = [], [], []
    for axis in range(3):
        across, other = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        front = [half * (np.eye(3)[axis] + a * across + b * other) for a, b in corners]
        half_turn = 2 * np.diag(across) - np.eye(3)
        for sign, face in ((1, front), (-1, front @ half_turn)):
            if sign > 0 or 'xyz'[axis] not in twins:
                tiles.append(np.repeat(np.repeat(rng.integers(0, 255, (5, 5, 3)), 20, axis=0), 20, axis=1))
            left = len(tiles) - 1
            vertices += list(face)
            uv += [((left + u) / 6, v) for u, v in ((0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98))]
    tiles += [np.zeros((100, 100, 3))] * (6 - len(tiles))
    faces = (4 * np.arange(6)[:, None, None] + np.array([(0, 1, 2), (0, 2, 3)])).reshape(-1, 3)
    return Mesh(np.array(vertices), faces, np.array(uv), np.hstack(tiles).astype(np.uint8))


def plain(solid: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.full((1, 1, 3), 120, np.uint8))


def test_shipped_objects_look_like_nothing_but_what_their_cards_declare(box, can):
    assert find_ambiguities(box, CAMERA, sample_views(box, CAMERA, count=60, seed=4)) == []
    about_z = Symmetry(axis=np.array([0.0, 0.0, 1.0]))
    found = find_ambiguities(can, CAMERA, sample_views(can, CAMERA, count=60, seed=4), about_z)
    assert [each.kind for each in found] == ['declared symmetry']
    bound = attainable_accuracy(can, CAMERA, sample_views(can, CAMERA, count=1, seed=4), None, about_z,
                                free_axes=()).views[0]
    assert np.linalg.eigvalsh(bound.view.in_base(bound.achieved(50.0))).min() >= 0


def test_an_unmarked_ball_has_no_orientation():
    ball = plain(trimesh.creation.icosphere(subdivisions=3, radius=0.035))
    found = attainable_accuracy(ball, CAMERA, sample_views(ball, CAMERA, count=2, seed=1))
    assert {each.kind for each in found.ambiguities} == {'no orientation'}
    assert found.ambiguous_share == 1
    assert (np.sqrt(np.diag(found.marginal))[3:] > np.radians(60)).all()
    assert (np.sqrt(np.diag(found.marginal))[:3] < 1e-3).all()
    for each in found.views:  # not knowing the turn, the place of the surface is known all the same
        moved = each.of_surface(each.covariance)
        assert (np.sqrt(np.diag(moved)) < 1e-3).all()


def test_an_undeclared_axis_is_named_and_its_turn_unknown():
    bottle = family_object('bottle').mesh
    found = attainable_accuracy(bottle, CAMERA, sample_views(bottle, CAMERA, count=2, seed=1))
    assert found.ambiguities[0].text.startswith('any turn about its z axis')
    assert found.ambiguities[0].kind == 'undeclared symmetry' and not found.ambiguities[0].is_harmless
    turn = np.zeros(6)
    view = found.views[0]
    turn[3:] = view.camera_from_object[:3, 2]
    assert np.sqrt(turn @ view.covariance @ turn) > np.radians(60)


@pytest.mark.parametrize(('twins', 'named'), [('z', True), ('', False)])
def test_faces_with_the_same_artwork_are_named_where_nothing_else_is_seen(twins, named):
    mesh = painted_box(twins)
    assert mesh.solid.volume == pytest.approx(0.12 * 0.1 * 0.03)
    views = sample_views(mesh, CAMERA, count=60, seed=2)
    found = find_ambiguities(mesh, CAMERA, views)
    assert [each.kind for each in found] == ['same artwork'] * named
    if named:
        assert 'the faces +z and -z carry the same artwork' in found[0].text
        heights_m = [views[k].base_from_camera[2, 3] / views[k].distance_m for k in found[0].views]
        assert np.mean(heights_m) > np.sin(np.radians(50))
        assert 0.05 < found[0].share_of_views < 0.5


def test_twin_faces_are_named_where_another_face_is_always_in_sight():
    mesh = painted_box('x')
    found = find_ambiguities(mesh, CAMERA, sample_views(mesh, CAMERA, count=20, seed=2))
    assert [(each.kind, each.views) for each in found] == [('twin faces', [])]
    assert 'the faces +x and -x carry the same artwork' in found[0].text
    end, edge, top = 0.1 * 0.03, 0.12 * 0.03, 0.12 * 0.1
    assert found[0].twin_share == pytest.approx(end / (end + edge + top), abs=0.03)


def test_turns_that_look_alike_do_so_when_rendered():
    mesh = painted_box('z')
    views = sample_views(mesh, CAMERA, count=60, seed=2)
    alike = find_ambiguities(mesh, CAMERA, views)[0]
    other = next(k for k in range(60) if k not in alike.views)
    told = []
    with ObjectRenderer(mesh) as renderer:
        for index in (alike.views[0], other):
            pose = views[index].camera_from_object
            shown, turned = (renderer.render(CAMERA, pose, drawn_pose=drawn).colours.astype(float)
                             for drawn in (pose, pose @ alike.object_from_alike))
            differs = np.linalg.norm(shown - turned, axis=2) > 40
            told.append(differs.sum() / (shown.sum(axis=2) > 0).sum())
    assert told[0] < 0.22 < told[1]


def test_a_knob_out_of_sight_leaves_the_turn_open_and_one_in_sight_tells_it():
    knob = trimesh.creation.box((0.02, 0.012, 0.012))
    knob.apply_translation([0.045, 0, 0])
    mesh = plain(trimesh.util.concatenate([trimesh.creation.cylinder(0.04, 0.06, sections=64), knob]))
    views = sample_views(mesh, CAMERA, count=30, seed=1)
    open_turns = [each for each in find_ambiguities(mesh, CAMERA, views) if 'about its z axis' in each.text]
    assert {each.kind for each in open_turns} == {'hidden feature'}
    # cosine between the knob and the camera, as seen from the object's axis
    facing = np.array([to_camera[0] / np.linalg.norm(to_camera[:2]) for to_camera in
                       (invert(view.camera_from_object)[:3, 3] for view in views)])
    is_open = np.isin(np.arange(30), open_turns[0].views)
    assert is_open.any() and facing[is_open].max() < 0 < facing[~is_open].max()
