# SPDX-License-Identifier: Apache-2.0
"""Closed-form hand-eye calibration from the samples that agree with each other.

Park and Martin, Robot sensor calibration: solving AX = XB on the Euclidean group, IEEE Transactions on Robotics
and Automation 10 (1994). Of two samples that are right, the arm's and the target's motions have the same angle and
the same translation along their axis (screw congruence, Chen 1991), whatever the mounting: samples that disagree
with most others are left out of the start, and judged again when all are weighed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posegrasp_ros.geometry.pose_consensus import pose_consensus
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, invert, make_transform, vector_from_rotation
from posegrasp_ros.handeye.sample import Mounting, Sample

LEAST_TURN_RAD = np.radians(3.0)
"""The axis of a smaller turn is not known well enough."""
CONGRUENT_SIGMAS = 4.0
LEAST_ANGLE_RAD, LEAST_ALONG_M = np.radians(0.3), 0.002
"""Of congruence: what an arm that is not exact explains."""


def closed_form(agreeing: Sequence[Sample], mounting: Mounting) -> tuple[np.ndarray, np.ndarray]:
    """Both unknowns from congruent samples, each pair of them weighing alike.

    :return: mount_from_camera (4, 4), hold_from_target (4, 4)
    """
    turns, rows = [], []
    for first in range(len(agreeing)):
        for second in range(first):
            arm, seen = _motions(agreeing[first], agreeing[second], mounting)
            by_arm, by_target = (vector_from_rotation(each[:3, :3]) for each in (arm, seen))
            # Near half a turn the axis has two signs.
            if np.linalg.norm(by_target) < np.radians(170):
                turns.append(np.outer(by_arm, by_target))
            rows.append((arm, seen))
    left, _, right = np.linalg.svd(np.sum(turns, axis=0))
    rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    values = [rotation @ seen[:3, 3] - arm[:3, 3] for arm, seen in rows]
    lever = np.concatenate([arm[:3, :3] - np.eye(3) for arm, _ in rows])
    shift = np.linalg.lstsq(lever, np.concatenate(values), rcond=None)[0]
    mount_from_camera = make_transform(rotation, shift)
    places = [invert(each.mount_from_hold(mounting)) @ mount_from_camera @ each.camera_from_target
              for each in agreeing]
    return mount_from_camera, pose_consensus(places, [each.covariance for each in agreeing], NO_SYMMETRY)


def congruent(samples: Sequence[Sample], mounting: Mounting) -> list[int]:
    """Places of the samples that agree with most others: the worst is dropped until all agree with half."""
    count = len(samples)
    agrees = np.ones((count, count), dtype=bool)
    for first in range(count):
        for second in range(first):
            agrees[first, second] = agrees[second, first] = _is_congruent(samples[first], samples[second],
                                                                           mounting)
    kept = list(range(count))
    while len(kept) > 3:
        votes = agrees[np.ix_(kept, kept)].mean(axis=1)
        if votes.min() >= 0.75:
            break
        del kept[int(votes.argmin())]
    return kept


def _is_congruent(first: Sample, second: Sample, mounting: Mounting) -> bool:
    arm, seen = _motions(first, second, mounting)
    by_arm, by_target = (vector_from_rotation(each[:3, :3]) for each in (arm, seen))
    angles = np.linalg.norm(by_arm), np.linalg.norm(by_target)
    sigma_m, sigma_rad = (np.sqrt(max(np.trace(each.covariance[part, part]) for each in (first, second)))
                          for part in (slice(3), slice(3, 6)))
    within_rad = CONGRUENT_SIGMAS * np.hypot(sigma_rad, LEAST_ANGLE_RAD)
    if abs(angles[0] - angles[1]) > within_rad:
        return False
    if min(angles) < LEAST_TURN_RAD:
        return True
    along = [turn @ motion[:3, 3] / angle for turn, motion, angle in zip((by_arm, by_target), (arm, seen), angles)]
    # A wrong axis turns the translation across it into one along it.
    lever_m = max(np.linalg.norm(each[:3, 3]) for each in (arm, seen)) * within_rad / min(angles)
    return bool(abs(abs(along[0]) - abs(along[1])) < CONGRUENT_SIGMAS * np.hypot(sigma_m, LEAST_ALONG_M) + lever_m)


def _motions(first: Sample, second: Sample, mounting: Mounting) -> tuple[np.ndarray, np.ndarray]:
    """A and B (4, 4) of AX = XB for two samples: of the mount against what holds the target, and of the camera."""
    arm = first.mount_from_hold(mounting) @ invert(second.mount_from_hold(mounting))
    return arm, first.camera_from_target @ invert(second.camera_from_target)
