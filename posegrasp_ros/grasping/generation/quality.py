# SPDX-License-Identifier: Apache-2.0
"""Grasp quality of two soft-finger contacts: force closure and the Ferrari-Canny epsilon."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import trimesh
from scipy.spatial import ConvexHull

from posegrasp_ros.grasping.generation.closing import Grip

if TYPE_CHECKING:  # which rates with what is here
    from posegrasp_ros.grasping.gripper import Gripper

PYRAMID_EDGES = 8
LENGTH_SCALE_M = 0.1  # scales torques to forces; fixed, so that values are comparable between objects


def force_closure(points: np.ndarray, inward_normals: np.ndarray, friction: float) -> np.ndarray:
    """Whether two soft-finger contacts are in force closure: the line between them is in both friction cones.

    Nguyen, Constructing force-closure grasps, 1988.

    :param points: (..., 2, 3) contacts, metres
    :param inward_normals: (..., 2, 3) unit normals into the object
    :return: (...) bool
    """
    line = points[..., 1, :] - points[..., 0, :]
    length = np.linalg.norm(line, axis=-1, keepdims=True)
    line = line / np.maximum(length, 1e-12)
    least = 1.0 / np.hypot(1.0, friction)
    first = (inward_normals[..., 0, :] * line).sum(axis=-1)
    second = -(inward_normals[..., 1, :] * line).sum(axis=-1)
    return (first >= least) & (second >= least) & (length[..., 0] > 0)


def epsilon(points: np.ndarray, inward_normals: np.ndarray, friction: float,
            pad_radius_m: float | np.ndarray, center_of_mass: np.ndarray) -> float:
    """Ferrari-Canny quality: the smallest wrench, relative to the closing force, that breaks the grasp.

    Radius of the largest ball around the origin in the convex hull of both contacts' wrenches (L1 measure;
    Ferrari and Canny, Planning optimal grasps, 1992). Torques are about the centre of mass and divided by
    :data:`LENGTH_SCALE_M`.

    :param points: (2, 3) contacts, metres
    :param inward_normals: (2, 3) unit normals into the object
    :param pad_radius_m: radius of the contact patch of the soft finger, for both or (2,) for each
    :return: 0 when the grasp is not in force closure
    """
    wrenches = [contact_wrenches(point - center_of_mass, normal, friction, radius_m)
                for point, normal, radius_m in zip(points, inward_normals, np.broadcast_to(pad_radius_m, 2))]
    # QJ: joggle the input because the wrenches of exactly opposed contacts are degenerate
    hull = ConvexHull(np.concatenate(wrenches), qhull_options='QJ')
    return max(0.0, float(-hull.equations[:, -1].max()))


def contact_wrenches(arm: np.ndarray, inward_normal: np.ndarray, friction: float,
                     pad_radius_m: float) -> np.ndarray:
    """Extreme wrenches of a soft finger with unit normal force.

    The friction cone is approximated by a pyramid; the torsion about the normal is limited to that of uniform
    pressure on a disc, 2/3 of friction times radius.

    :param arm: (3,) from the centre of mass to the contact, metres
    :return: (PYRAMID_EDGES + 2, 6) force, then torque / LENGTH_SCALE_M
    """
    normal = inward_normal / np.linalg.norm(inward_normal)
    # the pyramid rotates with the grasp, for invariance to rigid motion; any tangent will do for a central normal
    tangent = np.cross(normal, arm)
    if np.linalg.norm(tangent) < 1e-9:
        tangent = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    tangent /= np.linalg.norm(tangent)
    angles = np.arange(PYRAMID_EDGES) * 2 * np.pi / PYRAMID_EDGES
    sideways = np.outer(np.cos(angles), tangent) + np.outer(np.sin(angles), np.cross(normal, tangent))
    forces = np.vstack([normal + friction * sideways, normal, normal])
    torques = np.cross(arm, forces)
    torsion = 2.0 / 3.0 * friction * pad_radius_m
    torques[-2] += torsion * normal
    torques[-1] -= torsion * normal
    return np.hstack([forces, torques / LENGTH_SCALE_M])


@lru_cache(maxsize=4096)
def best_epsilon(width_m: float, friction: float, pad_radius_m: float) -> float:
    """:func:`epsilon` of exactly opposed contacts on a line through the centre of mass."""
    axis = np.array([1.0, 0.0, 0.0])
    points = np.array([-axis, axis]) * width_m / 2
    return epsilon(points, np.array([axis, -axis]), friction, pad_radius_m, np.zeros(3))


def confidences(grip: Grip, gripper: Gripper, center_of_mass: np.ndarray) -> np.ndarray:
    """(N,) confidences in [0, 1]: epsilon relative to the best value for that width and gripper, times a discount
    for the distance from the centre of mass, where the object swings and a pose error has a long lever.

    0 where a pad has no contact or the contacts are not in force closure. The patch for torsion is as large as the
    contact area, so an edge or fingertip contact gives less than a face. If the object is thinner than the patches
    are wide, the patches prevent tilting and not the distance between them. It is then treated as equally thick,
    so the same grip has about the same value on a sheet and on a block.
    """
    values = np.zeros(len(grip.points))
    half_y_m, half_z_m = gripper.pad_half_extents
    full_m = float(min(half_y_m, half_z_m))
    radii_m = np.minimum(full_m, np.sqrt(grip.coverage * 4 * half_y_m * half_z_m / np.pi))
    closes = np.zeros(len(values), dtype=bool)
    closes[grip.holds] = force_closure(grip.points[grip.holds], grip.inward_normals[grip.holds], gripper.friction)
    for k in np.flatnonzero(closes):
        width_m = float(np.linalg.norm(grip.points[k, 1] - grip.points[k, 0]))
        points = apart(grip.points[k], max(width_m, float(radii_m[k].sum())))
        # Rounded to the micrometre, which changes the value by about 1e-5, so that equal widths hit the cache.
        best = best_epsilon(round(max(width_m, 2 * full_m), 6), gripper.friction, full_m)
        found = epsilon(points, grip.inward_normals[k], gripper.friction, radii_m[k], center_of_mass)
        values[k] = min(1.0, found / best)
    values[closes] *= np.exp(-distance_from_line(center_of_mass, grip.points[closes]) / LENGTH_SCALE_M)
    return values


def center_of_mass_of(solid: trimesh.Trimesh) -> np.ndarray:
    """(3,) of equal density; that of the convex hull where the surface has holes."""
    return solid.center_mass if solid.is_watertight else solid.convex_hull.center_mass


def apart(points: np.ndarray, width_m: float) -> np.ndarray:
    """Two contacts (2, 3) moved symmetrically along their connecting line to a distance of ``width_m``."""
    middle, half = points.mean(axis=0), (points[1] - points[0]) / 2
    half = half * (width_m / 2 / np.linalg.norm(half))
    return np.stack([middle - half, middle + half])


def distance_from_line(point: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of a point (3,) from the line through each pair of contacts (..., 2, 3), metres."""
    line = points[..., 1, :] - points[..., 0, :]
    line = line / np.linalg.norm(line, axis=-1, keepdims=True)
    return np.linalg.norm(np.cross(point - points[..., 0, :], line), axis=-1)
