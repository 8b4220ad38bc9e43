# SPDX-License-Identifier: Apache-2.0
"""Compiled pose perturbation (:func:`posegrasp_ros.geometry.transforms.perturb`) and its inverse."""

from __future__ import annotations

import numpy as np

from posegrasp_ros.runtime.numba_cache import compiled


@compiled
def moved(pose: np.ndarray, step: np.ndarray) -> np.ndarray:
    """:func:`posegrasp_ros.geometry.transforms.perturb`, compiled."""
    angle = np.sqrt(step[3] ** 2 + step[4] ** 2 + step[5] ** 2)
    cross = np.array([[0.0, -step[5], step[4]], [step[5], 0.0, -step[3]], [-step[4], step[3], 0.0]])
    sine, cosine = (np.sin(angle) / angle, (1 - np.cos(angle)) / angle ** 2) if angle > 1e-8 else (1.0, 0.5)
    result = pose.copy()
    turn = np.eye(3) + sine * cross + cosine * (cross @ cross)
    result[:3, :3] = turn @ np.ascontiguousarray(pose[:3, :3])
    result[:3, 3] += step[:3]
    return result


@compiled
def difference(start: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """(6,) the step with which :func:`moved` maps ``start`` to ``pose``, which are less than half a turn apart."""
    turn = np.ascontiguousarray(pose[:3, :3]) @ np.ascontiguousarray(start[:3, :3]).T
    result = np.empty(6)
    result[:3] = pose[:3, 3] - start[:3, 3]
    result[3:] = (turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1])
    sine = np.sqrt(np.sum(result[3:] ** 2)) / 2
    angle = np.arctan2(sine, (np.trace(turn) - 1) / 2)
    result[3:] *= angle / (2 * sine) if sine > 1e-8 else 0.5
    return result
