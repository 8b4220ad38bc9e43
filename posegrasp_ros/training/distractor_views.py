# SPDX-License-Identifier: Apache-2.0
"""Views of distractors: a detector must not take every shaded solid on a table for the object."""

from __future__ import annotations

import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import random_rotation
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.training.rendered_views import DISTANCES_M, RenderedView, ViewRenderer

SOLIDS, VIEWS_A_SOLID = 40, 6
SIDES_M = (0.03, 0.15)


def render_distractors(rng: np.random.Generator, count: int = SOLIDS, progress: bool = True) -> list[RenderedView]:
    """Views of random balls, boxes, cylinders, cones, capsules and rings, white."""
    views = []
    for _ in Progress(range(count), desc='rendering distractors', disable=not progress):
        solid = _solid(rng)
        mesh = Mesh(np.asarray(solid.vertices), np.asarray(solid.faces), None, np.full((1, 1, 3), 255, np.uint8))
        with ViewRenderer(mesh) as renderer:
            views += [renderer.render(random_rotation(rng), rng.uniform(*DISTANCES_M))
                      for _ in range(VIEWS_A_SOLID)]
    return views


def _solid(rng: np.random.Generator) -> trimesh.Trimesh:
    sides = SIDES_M[0] * (SIDES_M[1] / SIDES_M[0]) ** rng.random(3)
    radius, height = sides[0] / 2, sides[1]
    kind = rng.integers(6)
    if kind == 0:
        return trimesh.creation.icosphere(subdivisions=3, radius=radius)
    if kind == 1:
        return trimesh.creation.box(sides)
    if kind == 2:
        return trimesh.creation.cone(radius=radius, height=height)
    if kind == 3:
        return trimesh.creation.capsule(radius=radius, height=height)
    if kind == 4:
        return trimesh.creation.annulus(r_min=0.7 * radius, r_max=radius, height=height)
    return trimesh.creation.cylinder(radius=radius, height=height)
