# SPDX-License-Identifier: Apache-2.0
"""Antipodal contacts of an object: pairs of surface points that a gripper can press against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from posegrasp_ros.grasping.generation import quality

SURFACE_POINTS = 6000
RAY_NUDGE_M = 1e-5  # keeps a ray from hitting the surface that it starts on


@dataclass(frozen=True)
class Contacts:
    """Pairs of antipodal contacts.

    :param points: (P, 2, 3) metres, object frame
    :param inward_normals: (P, 2, 3) into the object
    """

    points: np.ndarray
    inward_normals: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, chosen: np.ndarray) -> Contacts:
        return Contacts(self.points[chosen], self.inward_normals[chosen])

    @property
    def widths_m(self) -> np.ndarray:
        return np.linalg.norm(self.points[:, 1] - self.points[:, 0], axis=1)


def antipodal_contacts(solid: trimesh.Trimesh, friction: float, rng: np.random.Generator) -> Contacts:
    """Contacts whose connecting line is in both friction cones, at any distance.

    From each of many surface points a ray within the friction cone is cast into the object. The point is paired
    with every surface behind it that faces the other way: the far side of a wall and of further walls.
    """
    points, faces = trimesh.sample.sample_surface(solid, SURFACE_POINTS, seed=int(rng.integers(2**31)))
    inward = -solid.face_normals[faces]
    directions = _within_cone(inward, friction, rng)
    origins = points + RAY_NUDGE_M * directions
    exits, rays, exit_faces = solid.ray.intersects_location(origins, directions, multiple_hits=True)
    pairs = Contacts(np.stack([points[rays], exits], axis=1),
                     np.stack([inward[rays], -solid.face_normals[exit_faces]], axis=1))
    return pairs[quality.force_closure(pairs.points, pairs.inward_normals, friction)]


def _within_cone(axes: np.ndarray, friction: float, rng: np.random.Generator) -> np.ndarray:
    """(N, 3) unit directions in the friction cones about ``axes``; every second one is along its axis."""
    tilts = np.arctan(friction) * rng.random(len(axes)) * (np.arange(len(axes)) % 2)
    sideways = np.cross(axes, rng.normal(size=axes.shape))
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True)
    return np.cos(tilts)[:, None] * axes + np.sin(tilts)[:, None] * sideways
