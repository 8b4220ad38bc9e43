"""Opposite contacts of an object: pairs of surface points that a gripper can press against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from posegrasp_ros.grasping.generation import quality
from posegrasp_ros.grasping.gripper import Gripper

SURFACE_POINTS = 6000
RAY_NUDGE_M = 1e-5  # a ray must not meet the surface that it leaves


@dataclass(frozen=True)
class Contacts:
    """Pairs of opposite contacts.

    :param points: (P, 2, 3) metres, object frame
    :param inward_normals: (P, 2, 3) into the object
    """

    points: np.ndarray
    inward_normals: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, chosen) -> Contacts:
        return Contacts(self.points[chosen], self.inward_normals[chosen])

    @property
    def widths_m(self) -> np.ndarray:
        return np.linalg.norm(self.points[:, 1] - self.points[:, 0], axis=1)


def antipodal_contacts(solid: trimesh.Trimesh, friction: float, rng: np.random.Generator) -> Contacts:
    """Contacts of which both friction cones hold the line between them, however far apart.

    A ray goes into the object from each of many surface points, within the friction cone, and pairs the point
    with every surface behind that faces the other way: the far side of a wall, and of what lies beyond it.
    """
    points, faces = trimesh.sample.sample_surface(solid, SURFACE_POINTS, seed=int(rng.integers(2**31)))
    inward = -solid.face_normals[faces]
    directions = _within_cone(inward, friction, rng)
    origins = points + RAY_NUDGE_M * directions
    exits, rays, exit_faces = solid.ray.intersects_location(origins, directions, multiple_hits=True)
    pairs = Contacts(np.stack([points[rays], exits], axis=1),
                     np.stack([inward[rays], -solid.face_normals[exit_faces]], axis=1))
    return pairs[quality.force_closure(pairs.points, pairs.inward_normals, friction)]


def spanned(contacts: Contacts, gripper: Gripper, side_gap_m: float) -> np.ndarray:
    """(P,) whether the gripper reaches around both contacts, with a gap on either side."""
    most_m = gripper.max_opening_m - 2 * side_gap_m
    return (contacts.widths_m > max(1e-3, gripper.min_opening_m)) & (contacts.widths_m <= most_m)


def _within_cone(axes: np.ndarray, friction: float, rng: np.random.Generator) -> np.ndarray:
    """(N, 3) unit directions inside the friction cones about ``axes``, every other one straight along its axis."""
    tilts = np.arctan(friction) * rng.random(len(axes)) * (np.arange(len(axes)) % 2)
    sideways = np.cross(axes, rng.normal(size=axes.shape))
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True)
    return np.cos(tilts)[:, None] * axes + np.sin(tilts)[:, None] * sideways
