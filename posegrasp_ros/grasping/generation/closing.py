# SPDX-License-Identifier: Apache-2.0
"""Contacts of the pads when a gripper closes around an object, found by rays from the pads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import trimesh

if TYPE_CHECKING:  # which closes with what is here
    from posegrasp_ros.grasping.gripper import Gripper

RAYS_Y, RAYS_Z = 5, 7  # grid of rays per pad
CONTACT_DEPTH_M = 0.001  # compliance of a soft pad: deeper surface is not touched


@dataclass(frozen=True)
class Grip:
    """Contacts of N closed grippers, the pad on the -x side first.

    :param points: (N, 2, 3) centre of the contact patch of a pad, object frame; NaN without contact
    :param inward_normals: (N, 2, 3) mean over that patch, into the object
    :param travels_m: (N, 2) travel of a pad until contact; infinite without contact
    :param coverage: (N, 2) fraction of a pad in contact
    """

    points: np.ndarray
    inward_normals: np.ndarray
    travels_m: np.ndarray
    coverage: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Grip:
        return Grip(*(values[chosen] for values in vars(self).values()))

    @property
    def holds(self) -> np.ndarray:
        """(N,) whether both pads are in contact."""
        return np.isfinite(self.travels_m).all(axis=1)

    @property
    def off_center_m(self) -> np.ndarray:
        """(N,) offset along x of the midpoint between the contacts from the TCP; NaN without contact."""
        travels_m = np.where(self.holds[:, None], self.travels_m, np.nan)
        return (travels_m[:, 0] - travels_m[:, 1]) / 2


def close_on(object_from_tcp: np.ndarray, openings_m: np.ndarray, gripper: Gripper,
             solid: trimesh.Trimesh) -> Grip:
    """Close N grippers, with both pads at the same speed, around an object that does not move.

    The contact patch is where both pads touch at the same position on the pad, because only there they press
    against each other. If there is no such position, it is all that a pad touches.

    :param object_from_tcp: (N, 4, 4)
    :param openings_m: (N,) distance between the pads before closing
    """
    travels, points, normals = _cast(object_from_tcp, openings_m, gripper, solid)
    first = travels.min(axis=2)
    touched = travels <= np.where(np.isfinite(first), first + CONTACT_DEPTH_M, -1.0)[..., None]
    opposite = np.all(touched, axis=1, keepdims=True)
    touched = np.where(np.any(opposite, axis=2, keepdims=True), opposite, touched)
    with np.errstate(invalid='ignore'):
        weights = (touched / touched.sum(axis=2, keepdims=True))[..., None]
        point, normal = (weights * points).sum(axis=2), (weights * normals).sum(axis=2)
        normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return Grip(point, normal, first, touched.mean(axis=2))


def _cast(object_from_tcp: np.ndarray, openings_m: np.ndarray, gripper: Gripper,
          solid: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits of the rays of both pads: travels (N, 2, R), points and inward normals (N, 2, R, 3).

    A pad moves at most to the start of the other; beyond that, and without a hit, the travel is infinite.
    """
    grid, sides = _pad_grid(gripper), np.array([-1.0, 1.0])
    starts = np.tile(grid, (len(openings_m), 2, 1, 1))
    starts[..., 0] = (sides * openings_m[:, None] / 2)[..., None]
    x = object_from_tcp[:, :3, 0]
    origins = np.einsum('nij,nsrj->nsri', object_from_tcp[:, :3, :3], starts)
    origins += object_from_tcp[:, None, None, :3, 3]
    directions = np.broadcast_to(-sides[:, None, None] * x[:, None, None], origins.shape)
    shape, origins = origins.shape, origins.reshape(-1, 3)
    hits, rays, faces = solid.ray.intersects_location(origins, directions.reshape(-1, 3), multiple_hits=False)
    travels, (points, normals) = np.full(len(origins), np.inf), np.zeros((2, len(origins), 3))
    travels[rays] = np.linalg.norm(hits - origins[rays], axis=1)
    points[rays], normals[rays] = hits, -solid.face_normals[faces]
    travels = travels.reshape(shape[:-1])
    travels[travels > openings_m[:, None, None]] = np.inf
    return travels, points.reshape(shape), normals.reshape(shape)


def _pad_grid(gripper: Gripper) -> np.ndarray:
    """(R, 3) grid of points on a pad's face at x = 0, at the centres of equal cells."""
    half_y, half_z = gripper.pad_half_extents
    y = half_y * (1 - 1 / RAYS_Y) * np.linspace(-1, 1, RAYS_Y)
    z = half_z * (1 - 1 / RAYS_Z) * np.linspace(-1, 1, RAYS_Z)
    y, z = (values.ravel() for values in np.meshgrid(y, z))
    return np.column_stack([np.zeros(y.size), y, z])
