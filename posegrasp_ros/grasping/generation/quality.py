"""How well two soft fingers hold an object: force closure and the Ferrari-Canny epsilon."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.spatial import ConvexHull

from posegrasp_ros.grasping.generation.closing import Grip
from posegrasp_ros.grasping.gripper import Gripper

PYRAMID_EDGES = 8
LENGTH_SCALE_M = 0.1  # makes torques comparable with forces; fixed, so that objects compare


def force_closure(points: np.ndarray, inward_normals: np.ndarray, friction: float) -> np.ndarray:
    """Whether two soft-finger contacts close: the line between them lies in both friction cones.

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
    :param pad_radius_m: radius of the patch that the soft finger presses on, for both or (2,) for each
    :return: 0 when the grasp is not in force closure
    """
    wrenches = [contact_wrenches(point - center_of_mass, normal, friction, radius_m)
                for point, normal, radius_m in zip(points, inward_normals, np.broadcast_to(pad_radius_m, 2))]
    # QJ: joggles the input, for the wrenches of exactly opposed contacts share facets
    hull = ConvexHull(np.concatenate(wrenches), qhull_options='QJ')
    return max(0.0, float(-hull.equations[:, -1].max()))


def contact_wrenches(arm: np.ndarray, inward_normal: np.ndarray, friction: float,
                     pad_radius_m: float) -> np.ndarray:
    """Extreme wrenches of a soft finger that presses with unit force.

    The friction cone is a pyramid; the torsion about the normal is bounded by that of evenly spread pressure
    on a disc, 2/3 of friction times radius.

    :param arm: (3,) from the centre of mass to the contact, metres
    :return: (PYRAMID_EDGES + 2, 6) force, then torque / LENGTH_SCALE_M
    """
    normal = inward_normal / np.linalg.norm(inward_normal)
    # the pyramid turns with the grasp, so that a rigid motion changes nothing; straight on, any turn will do
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
    """(N,) in [0, 1] how well grippers hold: epsilon over the best there is for that width and that gripper,
    times a discount for holding the object far from its centre of mass, where it swings and a pose error's lever
    is long.

    0 where a pad meets nothing or the contacts are not in force closure. The patch that counts for torsion is as
    large as what the pad touches, so an edge or a fingertip's grip is worth less than a face. Where the object is
    thinner than the patches are wide, these keep it from tilting, not the distance between them: it counts as if
    it were as thick, so the same grip is worth about the same on a sheet and on a block.
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
        # To the micrometre, which is a hundred thousandth of the least: equal widths are looked for once.
        best = best_epsilon(round(max(width_m, 2 * full_m), 6), gripper.friction, full_m)
        found = epsilon(points, grip.inward_normals[k], gripper.friction, radii_m[k], center_of_mass)
        values[k] = min(1.0, found / best)
    values[closes] *= np.exp(-distance_from_line(center_of_mass, grip.points[closes]) / LENGTH_SCALE_M)
    return values


def apart(points: np.ndarray, width_m: float) -> np.ndarray:
    """Two contacts (2, 3) moved along the line through them, and about its middle, until they are so far apart."""
    middle, half = points.mean(axis=0), (points[1] - points[0]) / 2
    half = half * (width_m / 2 / np.linalg.norm(half))
    return np.stack([middle - half, middle + half])


def distance_from_line(point: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of a point (3,) from the line through each pair of contacts (..., 2, 3), metres."""
    line = points[..., 1, :] - points[..., 0, :]
    line = line / np.linalg.norm(line, axis=-1, keepdims=True)
    return np.linalg.norm(np.cross(point - points[..., 0, :], line), axis=-1)
