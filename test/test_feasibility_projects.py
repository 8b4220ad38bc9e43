# SPDX-License-Identifier: Apache-2.0
"""Projects that cannot work are refused, each for its own reason, and those that can are not."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import trimesh

from posegrasp_ros.feasibility.attainable.attainable_accuracy import AttainableAccuracy
from posegrasp_ros.feasibility.attainable.calibration_errors import CalibrationErrors
from posegrasp_ros.feasibility.attainable.efficiency import DEFAULT_EFFICIENCY
from posegrasp_ros.feasibility.cell import Cell, Needs
from posegrasp_ros.feasibility.expected_success import ExpectedSuccess, expect, nothing_to_expect
from posegrasp_ros.feasibility.required.success_model import SuccessModel
from posegrasp_ros.feasibility.sight import look
from posegrasp_ros.feasibility.timing import stated_timing
from posegrasp_ros.feasibility.verdict import Reason, judge, reasons_of
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh, save_mesh
from posegrasp_ros.grasping.generation.sampling import sample_grasps
from posegrasp_ros.grasping.grasp_set import GraspError
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.simulation.pick_objects import PickObject, load_object

pytestmark = pytest.mark.slow

NEAR_M, FAR_M, VERY_FAR_M = (0.4, 0.8), (1.2, 1.2), (3.0, 3.0)
VIEWS, GRASPS, WANTED = 10, 60, 0.95
CELLS = 5
"""Coloured squares along each side of a print."""
# By face the directions of its print's u and v; that of -z is that of +z after half a turn about x.
FACES = {'+x': ((0, 1, 0), (0, 0, 1)), '-x': ((0, -1, 0), (0, 0, 1)), '+y': ((-1, 0, 0), (0, 0, 1)),
         '-y': ((1, 0, 0), (0, 0, 1)), '+z': ((1, 0, 0), (0, 1, 0)), '-z': ((1, 0, 0), (0, -1, 0))}
ALL_DIFFERENT = dict(zip(FACES, range(6)))


def printed_box(sides_m: tuple[float, float, float], prints: dict[str, int]) -> Mesh:
    """A box with a print of coloured squares on each face; faces with the same number have the same one."""
    half = np.array(sides_m) / 2
    vertices, uv, faces = [], [], []
    for index, name in enumerate(FACES):
        u, v = np.array(FACES[name], dtype=float)
        for s, t in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            vertices.append(half * (np.cross(u, v) + s * u + t * v))
            uv.append(((prints[name] + 0.5 + 0.49 * s) / len(FACES), 0.5 + 0.49 * t))
        faces += [[4 * index, 4 * index + 1, 4 * index + 2], [4 * index, 4 * index + 2, 4 * index + 3]]
    squares = np.random.default_rng(3).integers(20, 236, (CELLS, CELLS * len(FACES), 3), dtype=np.uint8)
    texture = cv2.resize(squares, None, fx=24, fy=24, interpolation=cv2.INTER_NEAREST)
    return Mesh(np.array(vertices), np.array(faces), np.array(uv), texture)


def saved(mesh: Mesh, folder: Path) -> str:
    return str(save_mesh(mesh, folder))


class Seen(NamedTuple):
    """A cell, what is seen in it, and what is lifted."""

    cell: Cell
    attainable: AttainableAccuracy
    expected_success: ExpectedSuccess


class Found(NamedTuple):
    """A verdict."""

    seen: Seen
    reasons: list[Reason]

    @property
    def word(self) -> str:
        return judge(self.reasons)


@cache
def looked_at(given: str, distances_m: tuple[float, float]) -> Seen:
    """Few views and few grasps, with what is known of any gripper before a single pick."""
    gripper, named = load_gripper(), load_object(given)
    item, reason = None, ''
    try:
        grasps = sample_grasps(named.mesh, gripper, np.random.default_rng(0), GRASPS)
        planner = GraspPlanner(gripper, grasps, symmetry=named.symmetry, mesh=named.mesh)
        item = PickObject(named.name, named.mesh, planner)
    except GraspError as error:
        reason = str(error)
    camera = Camera.from_field_of_view(640, 480, math.radians(60))
    cell = Cell(named, item, gripper, camera, distances_m, CalibrationErrors(), DEFAULT_EFFICIENCY)
    attainable = look(cell, VIEWS, seed=1)
    if item is None:
        return Seen(cell, attainable, nothing_to_expect(cell, attainable.views, reason))
    return Seen(cell, attainable, expect(cell, SuccessModel(item.planner), attainable.views))


def studied(given: str, distances_m: tuple[float, float] = NEAR_M, orientation: bool = True, pose_ms: float = 60.0,
            rate_hz: float = 10.0) -> Found:
    """A verdict as a study comes to it."""
    seen = looked_at(given, distances_m)
    needs, timing = Needs(WANTED, orientation, rate_hz), stated_timing(pose_ms, rate_hz)
    return Found(seen, reasons_of(seen.expected_success.figures(WANTED), needs, seen.attainable, timing))


def missed(found: Found) -> list[str]:
    return [reason.name for reason in found.reasons if not reason.holds]


def decisive(found: Found) -> list[str]:
    """What is missed and cannot be mended within this setup."""
    return [reason.name for reason in found.reasons if not reason.holds and reason.decides]


def text_of(found: Found, name: str) -> str:
    return next(reason.text for reason in found.reasons if reason.name == name)


def test_a_small_cube_far_away_is_refused_for_the_camera(tmp_path):
    cube = saved(printed_box((0.02, 0.02, 0.02), ALL_DIFFERENT), tmp_path)
    found = studied(cube, VERY_FAR_M)
    assert found.word == 'not feasible' and decisive(found) == ['camera']


def test_the_same_cube_near_by_is_not(tmp_path):
    assert decisive(studied(saved(printed_box((0.02, 0.02, 0.02), ALL_DIFFERENT), tmp_path))) == []


def test_what_is_wider_than_the_opening_is_refused_for_the_grasp(tmp_path):
    found = studied(saved(printed_box((0.16, 0.11, 0.10), ALL_DIFFERENT), tmp_path))
    assert found.word == 'not feasible' and missed(found) == ['grasp']
    assert 'use a wider gripper' in text_of(found, 'grasp')


def test_an_unmarked_sphere_is_refused_where_its_orientation_is_asked_for_and_there_alone(tmp_path):
    solid = trimesh.creation.icosphere(subdivisions=3, radius=0.025)
    sphere = saved(Mesh(solid.vertices, solid.faces, None, np.full((1, 1, 3), 128, np.uint8)), tmp_path)
    found = studied(sphere)
    assert found.word == 'not feasible' and decisive(found) == ['orientation']
    assert found.seen.attainable.ambiguities[0].kind == 'no orientation'
    assert studied(sphere, orientation=False).word != 'not feasible'


def test_a_box_with_two_alike_faces_is_refused_and_they_are_named(tmp_path):
    alike = saved(printed_box((0.12, 0.07, 0.03), {**ALL_DIFFERENT, '-z': ALL_DIFFERENT['+z']}), tmp_path)
    found = studied(alike)
    assert found.word == 'not feasible' and decisive(found) == ['orientation']
    assert '+z and -z' in text_of(found, 'orientation') or '-z and +z' in text_of(found, 'orientation')


def test_the_same_box_with_six_different_faces_is_not(tmp_path):
    assert decisive(studied(saved(printed_box((0.12, 0.07, 0.03), ALL_DIFFERENT), tmp_path))) == []


def test_a_network_of_200_ms_is_refused_at_30_hz():
    found = studied('box', pose_ms=200.0, rate_hz=30.0)
    assert found.word == 'not feasible' and missed(found) == ['time']  # the shipped box, all else is well
    assert '200' in text_of(found, 'time') and '33.3' in text_of(found, 'time')


@pytest.mark.parametrize('name', ['box', 'can'])
def test_the_shipped_objects_pass_within_reach_of_a_camera(name):
    found = studied(name)
    assert found.word == 'feasible', [reason.text for reason in found.reasons]


def test_the_can_far_away_passes_if_the_camera_comes_nearer():
    found = studied('can', FAR_M)
    assert found.word == 'feasible if' and set(missed(found)) <= {'success', 'views'}
    figures = looked_at('can', (FAR_M[0] / 2, FAR_M[1] / 2)).expected_success.figures(WANTED)
    assert min(figures.success, figures.share_of_views) >= WANTED
