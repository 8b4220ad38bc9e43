# SPDX-License-Identifier: Apache-2.0
"""Scenes with an occluder between the camera and the object, standing or held."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, make_transform, random_rotation, transform_points
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.placement import Distractor, yaw_transform
from posegrasp_ros.simulation.scene import SceneSpec, sample_scene
from posegrasp_ros.simulation.textures import sample_texture
from posegrasp_ros.simulation.world import World

MOST_SCENES = 50
MOST_WORLDS_A_SCENE = 6
MOST_CANDIDATES = 150
# Tolerance for the overlap of the outlines before the world is built and rendered.
GUESS_TOLERANCE = 0.05
# Outlines are compared in an image of this size.
GUESS_SIZE = (160, 120)
STANDING_SHARE = 0.6
GAP_M = 0.01
FROM_LENS_M = 0.08


def occluded_world(rng: np.random.Generator, mesh: Mesh, occlusion: tuple[float, float],
                   image_size: tuple[int, int]) -> World:
    """Draw scenes and occluders until the hidden fraction of the object is in the given range.

    The desired fraction is uniform in the range. It is checked in the rendered image, see
    :meth:`World.hidden_share`, where distractors on the table may hide the object as well.

    :param occlusion: smallest and largest hidden fraction of the object's pixels
    :return: an open world
    :raises InvalidInputError: when nothing fits after :data:`MOST_SCENES` scenes
    """
    low, high = occlusion
    wanted, may_stand = rng.uniform(low, high), rng.random() < STANDING_SHARE
    for _ in range(MOST_SCENES):
        scene = sample_scene(rng, mesh)
        for _ in range(MOST_WORLDS_A_SCENE):
            occluder = sample_fitting(rng, mesh, scene, wanted, may_stand)
            if occluder is None:
                break
            world = World(mesh, None, replace(scene, occluders=(occluder,)), image_size=image_size)
            if low <= world.hidden_share() <= high:
                return world
            world.close()
    raise InvalidInputError(
        f'occlusion: expected a range that can be reached, found no scene in {MOST_SCENES} with a fraction '
        f'between {low:g} and {high:g} of the object hidden: use a wider range')


def sample_fitting(rng: np.random.Generator, mesh: Mesh, scene: SceneSpec, wanted: float,
                    may_stand: bool) -> Distractor | None:
    """An occluder whose outline covers about the wanted fraction of the object's; None when none was found.

    A high camera sees over standing occluders, so the second half of the candidates is always held.
    """
    camera = Camera.from_field_of_view(*GUESS_SIZE, scene.field_of_view_rad)
    camera_from_base = invert(scene.base_from_camera)
    points = transform_points(scene.base_from_object, mesh.solid.convex_hull.vertices)
    outline = _outline(camera, transform_points(camera_from_base, points))
    area = cv2.countNonZero(outline)
    for attempt in range(2 * MOST_CANDIDATES):
        shape, size, half_extents = _sample_solid(rng)
        standing = may_stand and attempt < MOST_CANDIDATES
        place = _standing_pose if standing else _held_pose
        pose = place(rng, scene, points, half_extents)
        candidate = Distractor(shape, size, half_extents, pose, scene.room.table)
        surface = transform_points(camera_from_base, _surface_points(candidate))
        if surface[:, 2].min() < FROM_LENS_M or not _is_clear(candidate, scene, points, standing):
            continue
        covered = cv2.countNonZero(outline & _outline(camera, surface)) / max(area, 1)
        if abs(covered - wanted) < GUESS_TOLERANCE:
            return replace(candidate, texture=sample_texture(rng))
    return None


def _sample_solid(rng: np.random.Generator) -> tuple[str, np.ndarray, np.ndarray]:
    """Shape, MuJoCo size and half extents of a carton, ball, can or bottle."""
    shape = str(rng.choice(('box', 'cylinder', 'sphere')))
    if shape == 'box':
        half_extents = rng.uniform((0.015, 0.015, 0.03), (0.05, 0.05, 0.12))
        return shape, half_extents, half_extents
    radius_m, half_length_m = rng.uniform(0.015, 0.045), rng.uniform(0.03, 0.12)
    if shape == 'sphere':
        return shape, np.array([radius_m, 0.0, 0.0]), np.full(3, radius_m)
    return shape, np.array([radius_m, half_length_m, 0.0]), np.array([radius_m, radius_m, half_length_m])


def _standing_pose(rng: np.random.Generator, scene: SceneSpec, points: np.ndarray,
                   half_extents: np.ndarray) -> np.ndarray:
    """(4, 4) upright on the table, on the camera's side of the object and near it."""
    middle, lens = points.mean(axis=0), scene.base_from_camera[:3, 3]
    towards = np.arctan2(*(lens - middle)[1::-1]) + rng.uniform(-0.9, 0.9)
    pose = yaw_transform(rng.uniform(-np.pi, np.pi))
    pose[:2, 3] = middle[:2] + rng.uniform(0.04, 0.2) * np.array([np.cos(towards), np.sin(towards)])
    pose[2, 3] = half_extents[2]
    return pose


def _held_pose(rng: np.random.Generator, scene: SceneSpec, points: np.ndarray,
               half_extents: np.ndarray) -> np.ndarray:
    """(4, 4) in the air as if held in a hand, in any orientation, near the line from the lens to the object."""
    middle, lens = points.mean(axis=0), scene.base_from_camera[:3, 3]
    spread_m = np.max(np.linalg.norm(points - middle, axis=1))
    way = rng.uniform(0.35, 0.8)
    aside = (1 - way / 2) * rng.normal(0.0, 0.7 * spread_m, 3)
    return make_transform(random_rotation(rng), lens + way * (middle - lens) + aside)


def _is_clear(candidate: Distractor, scene: SceneSpec, points: np.ndarray, standing: bool) -> bool:
    """Whether the candidate intersects neither the object, nor distractors, nor the table."""
    if not standing:
        radius_m = np.linalg.norm(candidate.half_extents)
        nearest_m = np.min(np.linalg.norm(points - candidate.base_from_body[:3, 3], axis=1))
        return bool(nearest_m > radius_m + GAP_M and candidate.corners[:, 2].min() > points[:, 2].max())
    middle = points[:, :2].mean(axis=0)
    circles: list[tuple[np.ndarray, float]] = [(middle, np.max(np.linalg.norm(points[:, :2] - middle, axis=1)))]
    circles += [(other.base_from_body[:2, 3], other.footprint_m) for other in scene.distractors]
    here = candidate.base_from_body[:2, 3]
    return all(np.linalg.norm(here - centre) > radius_m + candidate.footprint_m + GAP_M
               for centre, radius_m in circles)


def _surface_points(solid: Distractor) -> np.ndarray:
    """(N, 3) points in the base frame whose convex hull approximates the solid."""
    if solid.shape == 'box':
        return solid.corners
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    heights = np.array([-1.0, 1.0]) if solid.shape == 'cylinder' else np.linspace(-1, 1, 13)
    radii = np.ones(2) if solid.shape == 'cylinder' else np.sqrt(1 - heights**2)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    points = np.concatenate([np.column_stack([radius * ring, np.full(len(ring), height)])
                             for radius, height in zip(radii, heights)])
    return transform_points(solid.base_from_body, points * solid.half_extents)


def _outline(camera: Camera, points: np.ndarray) -> np.ndarray:
    """(H, W) uint8 mask of the convex hull of (N, 3) camera-frame points, all in front of the lens."""
    mask = np.zeros((camera.height, camera.width), np.uint8)
    pixels = np.round(camera.project(points)).astype(np.int32)
    cv2.fillConvexPoly(mask, cv2.convexHull(pixels), 1)
    return mask
