# SPDX-License-Identifier: Apache-2.0
"""Selection of a grasp set by farthest-point sampling: distinct and good grasps for every resting pose."""

from __future__ import annotations

import numpy as np
import trimesh

from posegrasp_ros.grasping.end_effector import EndEffector

# Shift along x, y, z of the TCP frame, and rotation, that correspond to one unit of distance between two poses;
# poses closer than DISTINCT are duplicates. The unit along the approach is small because millimetres decide
# whether the fingertips clear the table.
UNITS_M, UNIT_RAD, DISTINCT = np.array([0.02, 0.02, 0.006]), np.radians(30.0), 0.2
FAR = 10.0  # initial distance, in units, to an empty set
WAYS, WAY_RAD = 12, np.radians(20.0)  # number of resting poses, and their smallest angular difference
TABLE_GAP_M = 0.003  # minimum distance of the gripper from the table


def choose(object_from_tcp: np.ndarray, confidences: np.ndarray, usable: np.ndarray, count: int) -> np.ndarray:
    """Indices of at most ``count`` distinct grasps, best first.

    Farthest-point sampling, weighted by confidence: alternately over all grasps, and over those usable in the
    resting pose with the fewest grasps so far.

    :param object_from_tcp: (N, 4, 4)
    :param confidences: (N,) above 0
    :param usable: (N, W) whether a grasp can be reached in a resting pose of the object
    """
    weights = np.sqrt(confidences)
    distances = np.full(len(object_from_tcp), FAR)
    chosen: list[int] = []
    while len(chosen) < count:
        values = np.where(distances >= DISTINCT, distances * weights, 0.0)
        if not values.any():
            break
        if len(chosen) % 2:
            values = _of_the_scarcest(values, usable, chosen)
        chosen.append(int(np.argmax(values)))
        distances = np.minimum(distances, distance(object_from_tcp, object_from_tcp[chosen[-1]]))
    indices = np.array(chosen)
    return indices[np.argsort(-confidences[indices], kind='stable')]


def _of_the_scarcest(values: np.ndarray, usable: np.ndarray, chosen: list[int]) -> np.ndarray:
    """The values of grasps usable in the resting pose with the fewest chosen grasps; 0 for all others."""
    left = (usable & (values > 0)[:, None]).any(axis=0)
    if not left.any():
        return values
    counts = np.where(left, usable[chosen].sum(axis=0), len(values) + 1)
    return np.where(usable[:, np.argmin(counts)], values, 0.0)


def distance(object_from_tcp: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """(N,) distances of poses (N, 4, 4) from one (4, 4), in the units above."""
    shift = np.linalg.norm((object_from_tcp[:, :3, 3] - pose[:3, 3]) @ pose[:3, :3] / UNITS_M, axis=1)
    cosines = (np.einsum('nij,ij->n', object_from_tcp[:, :3, :3], pose[:3, :3]) - 1) / 2
    return np.hypot(shift, np.arccos(np.clip(cosines, -1, 1)) / UNIT_RAD)


def ways_of_lying(solid: trimesh.Trimesh) -> np.ndarray:
    """(W, 3) directions, object frame, that point down in the resting poses on the largest hull faces."""
    hull = solid.convex_hull
    normals, areas = hull.face_normals, hull.area_faces.copy()
    ways: list[np.ndarray] = []
    while len(ways) < WAYS and areas.max() > 0:
        way = normals[np.argmax(areas)]
        near = normals @ way > np.cos(WAY_RAD)
        mean = (areas[near, None] * normals[near]).sum(axis=0)
        ways.append(way if near.sum() < 3 else mean / np.linalg.norm(mean))
        areas[near] = 0.0
    return np.array(ways)


def usable_lying(object_from_tcp: np.ndarray, openings_m: np.ndarray, gripper: EndEffector,
                 solid: trimesh.Trimesh, ways: np.ndarray) -> np.ndarray:
    """(N, W) whether the open gripper clears the table, for each resting pose.

    :param ways: (W, 3) directions, object frame, that point down in them
    """
    table_m = (solid.convex_hull.vertices @ ways.T).max(axis=0)
    lowest_m = np.empty((len(object_from_tcp), len(ways)))
    for opening in np.unique(openings_m):
        which = openings_m == opening
        corners = np.concatenate([box.corners() for box in gripper.boxes(opening)])
        directions = ways @ object_from_tcp[which, :3, :3]
        beyond = (directions @ corners.T).max(axis=2)
        lowest_m[which] = beyond + object_from_tcp[which, :3, 3] @ ways.T
    return lowest_m <= table_m - TABLE_GAP_M
