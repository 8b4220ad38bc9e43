# SPDX-License-Identifier: Apache-2.0
"""A family of procedural small objects that are difficult to grasp in different ways.

Grasp sampling, planning and simulated picks are tested and measured with them. Each object includes its convex
parts, so that a physics engine needs no decomposition. Run as a script, the module writes them as files:

    python -m posegrasp_ros.simulation.mesh_family FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import trimesh
from trimesh.transformations import translation_matrix

from posegrasp_ros.geometry.mesh import Mesh, save_mesh
from posegrasp_ros.runtime.errors import InvalidInputError

SECTIONS = 48  # of a circle in the mesh
WEDGES = 24  # convex pieces of a round wall


@dataclass(frozen=True)
class FamilyObject:
    """An object of the family.

    :param mesh: metres; the origin is inside or near, z up as the object usually stands
    :param convex_parts: closed convex pieces that fill the mesh's volume, in the mesh's frame
    """

    name: str
    mesh: Mesh
    convex_parts: list[trimesh.Trimesh]


def family_object(name: str) -> FamilyObject:
    """Create one of :data:`FAMILY`.

    :raises InvalidInputError: when there is none of that name
    """
    if name not in FAMILY:
        raise InvalidInputError(f'object {name!r}: expected one of {", ".join(FAMILY)}')
    make, bgr = _MAKERS[name]
    solid, parts = make()
    texture = np.array(bgr, dtype=np.uint8).reshape(1, 1, 3)
    return FamilyObject(name, Mesh(np.array(solid.vertices), np.array(solid.faces), None, texture), parts)


def _mug() -> tuple[trimesh.Trimesh, list[trimesh.Trimesh]]:
    """80 mm wide, 95 mm tall, wall of 3.5 mm; the handle's tube starts and ends inside the wall."""
    outer, inner, top, bottom = 0.040, 0.0365, 0.095, 0.005
    cup = _revolve([(0, 0), (outer, 0), (outer, top), (inner, top), (inner, bottom), (0, bottom)])
    angles = np.linspace(-np.pi / 2, np.pi / 2, 13)
    # the arc's ends are pulled 2 mm into the wall
    arc = np.column_stack([outer - 0.002 + 0.026 * np.cos(angles), np.zeros(13), top / 2 + 0.028 * np.sin(angles)])
    handle, pieces = _tube(arc, radius_m=0.005)
    wall = _ring_parts([(inner, 0), (outer, 0), (outer, top), (inner, top)])
    floor = trimesh.creation.cylinder(inner, bottom, sections=SECTIONS,
                                      transform=translation_matrix([0, 0, bottom / 2]))
    return cup + handle, [*wall, floor, *pieces]


def _bowl() -> tuple[trimesh.Trimesh, list[trimesh.Trimesh]]:
    """130 mm wide, 52 mm tall, wall of 4 mm, on a flat foot."""
    foot_m, thick_m = 0.026, 0.004
    angles = np.linspace(np.radians(25), np.radians(88), 6)
    arc = np.column_stack([0.065 * np.sin(angles), 0.055 * (1 - np.cos(angles))])
    arc[:, 1] -= arc[0, 1]
    along = np.gradient(arc, axis=0)
    inward = np.column_stack([-along[:, 1], along[:, 0]]) / np.linalg.norm(along, axis=1, keepdims=True)
    inner = arc + thick_m * inward
    inner[0] = (foot_m - 0.001, thick_m)
    profile = [(0, 0), *arc, *inner[::-1], (0, thick_m)]
    parts = [trimesh.creation.cylinder(arc[0, 0], thick_m, sections=SECTIONS,
                                       transform=translation_matrix([0, 0, thick_m / 2]))]
    for k in range(len(arc) - 1):
        parts += _ring_parts([inner[k], arc[k], arc[k + 1], inner[k + 1]])
    return _revolve(profile), parts


def _bottle() -> tuple[trimesh.Trimesh, list[trimesh.Trimesh]]:
    """60 mm wide and 185 mm tall, with a neck of 26 mm and a cap's rim."""
    profile = np.array([(0.027, 0), (0.030, 0.004), (0.030, 0.105), (0.026, 0.120), (0.013, 0.143),
                        (0.013, 0.165), (0.0155, 0.165), (0.0155, 0.185)])
    parts = [_hull_of_rings(pair) for pair in pairwise(profile) if pair[0][1] < pair[1][1]]
    return _revolve([(0, 0), *profile, (0, 0.185)]), parts


def _knurled_bar() -> tuple[trimesh.Trimesh, list[trimesh.Trimesh]]:
    """120 mm of 24 mm bar with crossed grooves of 0.5 mm: at millimetre scale normals point in all directions."""
    turns, steps = 96, 60
    angles = np.arange(turns) * 2 * np.pi / turns
    heights = np.linspace(-0.06, 0.06, steps)
    height, angle = np.meshgrid(heights, angles, indexing='ij')
    grooves = np.minimum(np.cos(24 * angle + 600 * height), np.cos(24 * angle - 600 * height))
    radius = 0.012 + 0.0005 * np.clip(grooves - 0.3, -0.7, 0.0)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=-1).reshape(-1, 3)
    vertices = np.vstack([points, [0, 0, heights[0]], [0, 0, heights[-1]]])
    faces = _grid_faces(steps, turns)
    around = np.arange(turns)
    after, top = np.roll(around, -1), (steps - 1) * turns
    lid = np.column_stack([after, around, np.full(turns, len(points))])
    cap = np.column_stack([top + around, top + after, np.full(turns, len(points) + 1)])
    solid = trimesh.Trimesh(vertices, np.vstack([faces, lid, cap]), process=False)
    return solid, [solid.convex_hull]


def _l_bracket() -> tuple[trimesh.Trimesh, list[trimesh.Trimesh]]:
    """Two legs of 60 mm, 6 mm thick and 40 mm wide."""
    leg, thick, width = 0.060, 0.006, 0.040
    outline = np.array([(0, 0), (leg, 0), (leg, thick), (thick, thick), (thick, leg), (0, leg)])
    triangles = np.array([(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5)])
    solid = trimesh.creation.extrude_triangulation(outline, triangles, width)
    parts = []
    for low, high in (((0, 0), (leg, thick)), ((0, thick), (thick, leg))):
        part = trimesh.creation.box(bounds=[(*low, 0), (*high, width)])
        parts.append(part)
    for each in (solid, *parts):
        each.apply_translation([-0.02, -0.02, -width / 2])
    return solid, parts


def _box(*sides_m: float) -> Callable:
    """Factory of a box around the origin."""
    def make() -> tuple[trimesh.Trimesh, list[trimesh.Trimesh]]:
        solid = trimesh.creation.box(sides_m)
        return solid, [solid]
    return make


def _revolve(profile: Sequence) -> trimesh.Trimesh:
    """Revolve a profile of (radius, height), which starts and ends on the axis, about z."""
    return trimesh.creation.revolve(np.array(profile, dtype=float), sections=SECTIONS)


def _ring_parts(section: Sequence) -> list[trimesh.Trimesh]:
    """A convex cross section of (radius, height) revolved about z, cut into wedges."""
    parts = []
    for k in range(WEDGES):
        # three sections per wedge, so that its outside follows the mesh's circle
        angles = (k + np.array([0, 0.5, 1])) * 2 * np.pi / WEDGES
        parts.append(_hull_of_rings(section, angles))
    return parts


def _hull_of_rings(profile: Sequence, angles: np.ndarray | None = None) -> trimesh.Trimesh:
    """Convex hull of points (radius, height) at some angles about z, by default all around."""
    angles = np.arange(SECTIONS) * 2 * np.pi / SECTIONS if angles is None else angles
    radius, height = np.array(profile, dtype=float).T[..., None]
    height = np.broadcast_to(height, (len(profile), len(angles)))
    points = np.stack([radius * np.cos(angles), radius * np.sin(angles), height], axis=-1)
    return trimesh.convex.convex_hull(points.reshape(-1, 3))


def _tube(path: np.ndarray, radius_m: float) -> tuple[trimesh.Trimesh, list[trimesh.Trimesh]]:
    """A closed round tube along a path (N, 3) in the x-z plane, and its pieces between the points."""
    turns = 12
    angles = np.arange(turns) * 2 * np.pi / turns
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, [0.0, 1.0, 0.0])
    rings = path[:, None] + radius_m * (np.cos(angles)[:, None] * side[:, None]
                                        + np.sin(angles)[:, None] * np.array([0.0, 1.0, 0.0]))
    pieces = [trimesh.convex.convex_hull(rings[k:k + 2].reshape(-1, 3)) for k in range(len(path) - 1)]
    first = np.array([(0, k, k + 1) for k in range(1, turns - 1)])
    last = first[:, ::-1] + (len(path) - 1) * turns
    tube = trimesh.Trimesh(rings.reshape(-1, 3), np.vstack([_grid_faces(len(path), turns), first, last]),
                           process=False)
    trimesh.repair.fix_normals(tube)
    return tube, pieces


def _grid_faces(steps: int, turns: int) -> np.ndarray:
    """Triangles between rings of ``turns`` points each, counter-clockwise from outside where rings go up."""
    ring, around = (grid.ravel() for grid in np.meshgrid(np.arange(steps - 1), np.arange(turns), indexing='ij'))
    after = (around + 1) % turns
    a, b = ring * turns + around, ring * turns + after
    c, d = a + turns, b + turns
    return np.vstack([np.column_stack([a, b, d]), np.column_stack([a, d, c])])


# name -> (factory, colour as blue green red)
_MAKERS = {
    'mug': (_mug, (60, 90, 200)),
    'plate': (_box(0.12, 0.06, 0.008), (190, 190, 190)),
    'l_bracket': (_l_bracket, (160, 140, 120)),
    'bowl': (_bowl, (80, 160, 220)),
    'bottle': (_bottle, (90, 170, 90)),
    'knurled_bar': (_knurled_bar, (130, 130, 140)),
    'tiny_cube': (_box(0.014, 0.014, 0.014), (40, 200, 230)),
    'too_wide': (_box(0.16, 0.11, 0.10), (150, 100, 170)),
}
FAMILY = tuple(_MAKERS)


def main(arguments: list[str]) -> int:
    """Write every object of the family as FOLDER/NAME/mesh.obj."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    for name in FAMILY:
        print(save_mesh(family_object(name).mesh, Path(arguments[0]) / name))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
