# SPDX-License-Identifier: Apache-2.0
"""Gripper poses from straight above an object that rests on a table."""

from __future__ import annotations

import numpy as np
import trimesh

from posegrasp_ros.grasping.generation.contacts import Contacts
from posegrasp_ros.grasping.gripper import Gripper

MOST_TILTED = np.sin(np.radians(30.0))  # of the line between the contacts; their friction makes up for it
TIP_GAP_M = (0.0032, 0.005)  # distance of the tips from the object's far side, which may be on a table


def poses_from_above(contacts: Contacts, down: np.ndarray, gripper: Gripper, solid: trimesh.Trimesh, most: int,
                     rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Level gripper poses over pairs of contacts that are about as high as each other.

    The contacts are in the middle of the pads where the object is high enough, else nearer to the tips.

    :param down: (3,) what points down, object frame
    :param most: maximum number; more are thinned out at random
    :return: poses (N, 4, 4) and widths (N,), as ``sampling.rate`` takes them
    """
    x = (contacts.points[:, 1] - contacts.points[:, 0]) / contacts.widths_m[:, None]
    level = np.flatnonzero(np.abs(x @ down) < MOST_TILTED)
    level = rng.choice(level, min(most, len(level)), replace=False)
    x, middles = x[level], contacts.points[level].mean(axis=1)
    x = x - (x @ down)[:, None] * down
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    above_table_m = (solid.convex_hull.vertices @ down).max() - middles @ down
    lower_m = np.minimum(above_table_m - gripper.finger_reach_m - rng.uniform(*TIP_GAP_M, len(level)), 0.0)
    poses = np.tile(np.eye(4), (len(level), 1, 1))
    poses[:, :3, 0], poses[:, :3, 1], poses[:, :3, 2] = x, np.cross(down, x), down
    poses[:, :3, 3] = middles + lower_m[:, None] * down
    return poses, contacts.widths_m[level]
