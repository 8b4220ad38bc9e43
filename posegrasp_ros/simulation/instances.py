# SPDX-License-Identifier: Apache-2.0
"""Scenes with several objects, of one kind or of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, project, transform_points
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.placement import HIDDEN_AT_MOST, overlap, sample_resting_pose
from posegrasp_ros.simulation.scene import SAMPLING_SIZE, Bystander, SceneSpec, sample_scene

MOST_SCENES = 100
MOST_CANDIDATES = 200
# Margin beyond the placement area of a single object, on every side.
FARTHER_M = 0.2
GAP_M = 0.01


def sample_scene_of_several(rng: np.random.Generator, mesh: Mesh, count: int) -> SceneSpec:
    """Draw scenes until one has room for ``count`` objects, all of them in the image and mostly visible.

    :raises InvalidInputError: when none of :data:`MOST_SCENES` scenes has room
    """
    for _ in range(MOST_SCENES):
        scene = sample_scene(rng, mesh)
        others = _sample_others(rng, mesh, scene, [mesh] * (count - 1))
        if len(others) == count - 1:
            return replace(scene, other_objects=tuple(others))
    raise InvalidInputError(
        f'instances: expected a number that fits on the table and in the image, found no scene with room for '
        f'{count}')


def sample_scene_of_kinds(rng: np.random.Generator, mesh: Mesh, bystanders: Sequence[Mesh],
                          base_from_camera: np.ndarray | None = None) -> SceneSpec:
    """Draw scenes until one has room for one object of each kind, all of them in the image and little hidden.

    :param mesh: of the object that can be picked up
    :param bystanders: of the others
    :param base_from_camera: as of :func:`posegrasp_ros.simulation.scene.sample_scene`
    :raises InvalidInputError: when none of :data:`MOST_SCENES` scenes has
    """
    for _ in range(MOST_SCENES):
        scene = sample_scene(rng, mesh, base_from_camera)
        others = _sample_others(rng, mesh, scene, bystanders)
        if len(others) == len(bystanders):
            return replace(scene, bystanders=tuple(map(Bystander, bystanders, others)))
    raise InvalidInputError('objects: expected as many as fit onto the table and into the image, found no scene '
                            f'with room for {1 + len(bystanders)}')


def _sample_others(rng: np.random.Generator, mesh: Mesh, scene: SceneSpec,
                   wanted: Sequence[Mesh]) -> list[np.ndarray]:
    """(4, 4) base_from_object of the first of further objects, as many as there is room for."""
    if not wanted:
        return []
    camera = Camera.from_field_of_view(*SAMPLING_SIZE, scene.field_of_view_rad)
    camera_from_base = invert(scene.base_from_camera)
    hulls = [each.solid.convex_hull.vertices for each in wanted]

    def outline(points: np.ndarray) -> np.ndarray:
        return project(transform_points(camera_from_base, points), camera.matrix)

    first = transform_points(scene.base_from_object, mesh.solid.convex_hull.vertices)
    circles = [_circle(first), *((other.base_from_body[:2, 3], other.footprint_m) for other in scene.distractors)]
    outlines = [outline(first), *(outline(other.corners) for other in scene.distractors)]
    found: list[np.ndarray] = []
    for _ in range(MOST_CANDIDATES):
        pose = sample_resting_pose(rng, wanted[len(found)])
        pose[:2, 3] += rng.uniform(-FARTHER_M, FARTHER_M, 2)
        points = transform_points(pose, hulls[len(found)])
        (middle, radius_m), seen = _circle(points), outline(points)
        is_apart = all(np.linalg.norm(middle - centre) > radius_m + reach_m + GAP_M for centre, reach_m in circles)
        is_inside = np.isfinite(seen).all() and (seen > 0).all() and (seen < SAMPLING_SIZE).all()
        if is_apart and is_inside and all(max(overlap(seen, other), overlap(other, seen)) < HIDDEN_AT_MOST
                                          for other in outlines):
            found.append(pose)
            circles.append((middle, radius_m))
            outlines.append(seen)
        if len(found) == len(wanted):
            break
    return found


def _circle(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (2,) and radius of a circle on the table that encloses (N, 3) points."""
    middle = points[:, :2].mean(axis=0)
    return middle, float(np.max(np.linalg.norm(points[:, :2] - middle, axis=1)))
