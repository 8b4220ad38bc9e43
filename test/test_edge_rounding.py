# SPDX-License-Identifier: Apache-2.0
"""Rounded edges of convex meshes, as rendered in rough scenes."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.edge_rounding import LONGEST_EDGE_M, can_be_rounded, divided, rounded
from posegrasp_ros.simulation.mesh_family import family_object

BOX = load_mesh(resource_path('models/box/mesh.obj'))
CAN = load_mesh(resource_path('models/can/mesh.obj'))


@pytest.mark.parametrize('radius_m', [0.001, 0.003])
def test_a_box_becomes_the_points_within_the_radius_of_the_smaller_box(radius_m):
    fine = rounded(BOX, radius_m)
    inner = np.clip(fine.vertices - BOX.centre, -BOX.extents / 2 + radius_m, BOX.extents / 2 - radius_m)
    from_inner_m = np.linalg.norm(fine.vertices - BOX.centre - inner, axis=1)
    assert from_inner_m == pytest.approx(radius_m, abs=1e-6)
    assert fine.extents == pytest.approx(BOX.extents), 'the faces stay where they are'


def test_a_rounded_box_has_the_volume_that_geometry_says():
    radius_m = 0.003
    inner = BOX.extents - 2 * radius_m
    expected = (inner.prod() + 2 * radius_m * (inner[0] * inner[1] + inner[1] * inner[2] + inner[2] * inner[0])
                + np.pi * radius_m**2 * inner.sum() + 4 / 3 * np.pi * radius_m**3)
    assert rounded(BOX, radius_m).merged.volume == pytest.approx(expected, rel=1e-3)


def test_the_rim_of_a_can_is_rounded_and_its_wall_is_not_moved():
    fine = rounded(CAN, 0.003)
    radius_m = np.hypot(*(fine.vertices - CAN.centre)[:, :2].T)
    height_m = np.abs((fine.vertices - CAN.centre)[:, 2])
    middle = height_m < 0.04
    assert radius_m[middle].max() == pytest.approx(CAN.extents[0] / 2, abs=1e-4)
    near_top = height_m > CAN.extents[2] / 2 - 1e-5
    assert radius_m[near_top].max() < CAN.extents[0] / 2 - 0.0025


@pytest.mark.parametrize('mesh', [BOX, CAN])
def test_rounded_meshes_stay_closed_and_keep_their_texture(mesh):
    fine = rounded(mesh, 0.002)
    assert fine.merged.is_watertight
    assert fine.uv.min() >= mesh.uv.min() and fine.uv.max() <= mesh.uv.max()
    assert (fine.texture == mesh.texture).all()


@pytest.mark.parametrize('name', ['mug', 'bottle', 'l_bracket'])
def test_a_mesh_that_is_not_convex_keeps_its_shape(name):
    mesh = family_object(name).mesh
    assert not can_be_rounded(mesh)
    fine = rounded(mesh, 0.003)
    assert fine.merged.volume == pytest.approx(mesh.merged.volume)


def test_a_smooth_mesh_of_many_faces_keeps_its_shape():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.03)
    mesh = Mesh(np.array(ball.vertices), np.array(ball.faces), None, np.zeros((1, 1, 3), np.uint8))
    assert not can_be_rounded(mesh)


def test_division_keeps_surface_and_print_and_leaves_no_long_edge():
    fine = divided(BOX)
    corners = fine.vertices[fine.faces]
    assert np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max() <= LONGEST_EDGE_M
    assert fine.merged.area == pytest.approx(BOX.merged.area)
    assert fine.merged.is_watertight
    # the print is affine on each of the mesh's triangles: a divided triangle lies in one of them with its uv
    first = fine.faces[np.argmin(fine.vertices[fine.faces].mean(axis=1) @ np.ones(3))]
    shares = [np.linalg.lstsq(np.vstack([BOX.vertices[face].T, np.ones(3)]),
                              np.vstack([fine.vertices[first].T, np.ones(3)]), rcond=None) for face in BOX.faces]
    best = min(range(len(shares)), key=lambda index: np.abs(
        BOX.vertices[BOX.faces[index]].T @ shares[index][0] - fine.vertices[first].T).max()
        + max(0.0, -shares[index][0].min()))
    assert BOX.uv[BOX.faces[best]].T @ shares[best][0] == pytest.approx(fine.uv[first].T, abs=1e-9)
