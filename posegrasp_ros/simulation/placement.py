# SPDX-License-Identifier: Apache-2.0
"""Placement on the table: stable poses of the object, and distractors with clearance to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    make_transform,
    project,
    random_rotation,
    rotation_from_vector,
    transform_points,
)
from posegrasp_ros.simulation.textures import Texture, sample_texture

OBJECT_REACH_M = 0.12
DISTRACTOR_REACH_M = 0.38
# The fingers of an open parallel hand extend about 35 mm beyond the object's side near the table, and its palm
# about 100 mm, some 50 mm above the fingertips.
CLEARANCE_LOW_M = 0.045
CLEARANCE_TALL_M = 0.11
LOW_M = 0.05
HIDDEN_AT_MOST = 0.3


@dataclass(frozen=True, eq=False)
class Distractor:
    """A free body other than the object.

    :param shape: ``box``, ``cylinder``, ``sphere`` or ``capsule``
    :param size: (3,) MuJoCo size of that shape: half sides; or radius, half length
    :param half_extents: (3,) of its bounding box, metres, own frame
    :param base_from_body: (4, 4) initial pose
    """

    shape: str
    size: np.ndarray
    half_extents: np.ndarray
    base_from_body: np.ndarray
    texture: Texture

    @cached_property
    def corners(self) -> np.ndarray:
        """(8, 3) corners of its bounding box in the base frame."""
        return transform_points(self.base_from_body, _box_corners(self.half_extents))

    @property
    def height_m(self) -> float:
        return float(self.corners[:, 2].max())

    @cached_property
    def footprint_m(self) -> float:
        """Radius of the circle on the table that encloses it."""
        return float(np.linalg.norm(self.corners[:, :2] - self.base_from_body[:2, 3], axis=1).max())


@lru_cache(maxsize=8)
def stable_poses(solid: trimesh.Trimesh) -> dict[int, list[np.ndarray]]:
    """Transforms plane_from_object for every face the object can rest on, by height of its centre of mass.

    Resting on a small face is rare after a fall, but common when people place objects. Grouping by height (in
    millimetres) lets the caller choose the kind of resting pose first, and then a face.
    """
    hull = solid.convex_hull
    centre = solid.center_mass if solid.is_watertight else hull.center_mass
    poses, _ = trimesh.poses.compute_stable_poses(hull, center_mass=centre, n_samples=1, threshold=0.005)
    if len(poses) == 0:
        poses, _ = trimesh.poses.compute_stable_poses(hull, center_mass=centre, n_samples=1)
    by_height: dict[int, list[np.ndarray]] = {}
    for pose in poses:
        height_mm = round(1000 * float(transform_points(pose, centre[None])[0, 2]))
        by_height.setdefault(height_mm, []).append(pose)
    return by_height


def sample_resting_pose(rng: np.random.Generator, mesh: Mesh) -> np.ndarray:
    """A random (4, 4) base_from_object: a stable face down, any yaw, near the table's origin."""
    by_height = stable_poses(mesh.solid)
    faces = by_height[sorted(by_height)[rng.integers(len(by_height))]]
    pose = yaw_transform(rng.uniform(-np.pi, np.pi)) @ faces[rng.integers(len(faces))]
    # trimesh puts the centre of mass on the z axis; the position is meant for the bounding box.
    middle = transform_points(pose, mesh.centre[None])[0]
    pose[:2, 3] += rng.uniform(-OBJECT_REACH_M, OBJECT_REACH_M, 2) - middle[:2]
    return pose


def yaw_transform(angle_rad: float) -> np.ndarray:
    """(4, 4) rotation about the base frame's z axis."""
    return make_transform(rotation_from_vector([0.0, 0.0, angle_rad]))


def sample_distractors(
    rng: np.random.Generator, points: np.ndarray, camera_from_base: np.ndarray, intrinsics: np.ndarray
) -> tuple[Distractor, ...]:
    """Two to five distractors that leave room for the gripper and do not hide the object.

    :param points: (N, 3) hull vertices of the object in the base frame
    :param camera_from_base: (4, 4) of the camera in which the object must be visible
    :param intrinsics: (3, 3) of this camera
    """
    wanted = int(rng.integers(2, 6))
    placed: list[Distractor] = []
    outline = project(transform_points(camera_from_base, points), intrinsics)
    middle = points.mean(axis=0)
    radius_m = float(np.max(np.linalg.norm(points[:, :2] - middle[:2], axis=1)))
    # The table may be too crowded for the last one, so the number of tries is limited.
    for _ in range(40 * wanted):
        candidate = _sample_distractor(rng)
        clearance_m = CLEARANCE_LOW_M if candidate.height_m <= LOW_M else CLEARANCE_TALL_M
        if _gap_m(candidate, middle, radius_m) < clearance_m:
            continue
        if any(_gap_m(candidate, other.base_from_body[:3, 3], other.footprint_m) < 0.01 for other in placed):
            continue
        silhouette = project(transform_points(camera_from_base, candidate.corners), intrinsics)
        if overlap(outline, silhouette) > HIDDEN_AT_MOST:
            continue
        placed.append(candidate)
        if len(placed) == wanted:
            break
    return tuple(placed)


def _sample_distractor(rng: np.random.Generator) -> Distractor:
    shape = str(rng.choice(('box', 'box', 'cylinder', 'sphere', 'capsule')))
    radius_m, half_length_m = rng.uniform(0.015, 0.04), rng.uniform(0.02, 0.06)
    if shape == 'box':
        size = half_extents = rng.uniform((0.015, 0.015, 0.012), (0.06, 0.045, 0.05))
    elif shape == 'sphere':
        size, half_extents = np.array([radius_m, 0.0, 0.0]), np.full(3, radius_m)
    else:
        size = np.array([radius_m, half_length_m, 0.0])
        caps_m = radius_m if shape == 'capsule' else 0.0
        half_extents = np.array([radius_m, radius_m, half_length_m + caps_m])
    # A capsule lies, a cylinder stands or lies, a sphere has any orientation.
    lying = shape == 'capsule' or (shape == 'cylinder' and rng.random() < 0.4)
    tilt = rotation_from_vector([np.pi / 2, 0, 0]) if lying else np.eye(3)
    tilt = random_rotation(rng) if shape == 'sphere' else tilt
    pose = yaw_transform(rng.uniform(-np.pi, np.pi)) @ make_transform(tilt)
    pose[:2, 3] = rng.uniform(-DISTRACTOR_REACH_M, DISTRACTOR_REACH_M, 2)
    pose[2, 3] = radius_m if lying or shape == 'sphere' else half_extents[2]
    return Distractor(shape, size, half_extents, pose, sample_texture(rng))


def _gap_m(distractor: Distractor, middle: np.ndarray, radius_m: float) -> float:
    """Distance between two footprint circles on the table."""
    distance = float(np.linalg.norm(distractor.base_from_body[:2, 3] - middle[:2]))
    return distance - radius_m - distractor.footprint_m


def overlap(outline: np.ndarray, other: np.ndarray) -> float:
    """Fraction of one convex outline (N, 2) pixels that another (M, 2) covers, regardless of depth."""
    if not (np.isfinite(outline).all() and np.isfinite(other).all()):
        return 1.0  # behind the camera: counts as full overlap
    first, second = (cv2.convexHull(points.astype(np.float32)) for points in (outline, other))
    return cv2.intersectConvexConvex(first, second)[0] / cv2.contourArea(first)


def _box_corners(half_extents: np.ndarray) -> np.ndarray:
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), axis=-1).reshape(-1, 3)
    return signs * half_extents
