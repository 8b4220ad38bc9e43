# SPDX-License-Identifier: Apache-2.0
"""What the page is told: once of the object, then of every frame; plain values, as JSON takes them."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.estimation.sketch import sketch
from posegrasp_ros.estimation.uncertainty import centre_covariance, ellipsoid
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import quaternion_from_matrix, transform_points
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.watch.watch_picture import SHOWN_GRASPS
from posegrasp_ros.watch.watched_frame import WatchedFrame

TOTAL = 'estimate_ms'
"""The sum of the other times of an estimator."""


def object_message(source: str, card: ModelCard, lines: list[str]) -> dict[str, Any]:
    """What does not change.

    :param lines: what was assumed, for people
    """
    return {'kind': 'object', 'source': source, 'model': card.name, 'lines': lines,
            'edges': _rounded(sketch(card.mesh)), 'size_m': card.mesh.diameter}


def frame_message(watched: WatchedFrame, mesh: Mesh, gripper: EndEffector | None) -> dict[str, Any]:
    """What the stages say of a frame."""
    outcome, planned = watched.perceived.outcome, watched.planned
    return {
        'kind': 'frame', 'number': watched.number,
        'time_s': watched.time_s, 'rate_hz': round(watched.rate_hz, 2), 'dropped': watched.dropped,
        'latency_ms': round(watched.latency_ms, 2),
        'times_ms': {name.removesuffix('_ms'): round(value, 2) for name, value in (
            ('decode_ms', watched.frame.decode_ms), *outcome.numbers.items(),
            *((('plan_ms', planned.outcome.latency_ms),) if planned else ()))
            if name.endswith('_ms') and name != TOTAL and math.isfinite(value)},
        'reason': outcome.reason, 'state': outcome.words.get('state', ''), 'rejected': watched.rejected,
        'poses': [_pose(each, mesh) for each in watched.poses],
        'grasps': [] if gripper is None else [{
            'lines': _rounded(transform_points(watched.camera_from_tcp(each), gripper.outline(each.opening_m))),
            'score': round(each.score, 3), 'success_probability': round(each.success_probability, 3),
            'opening_mm': round(1000 * each.opening_m, 1)} for each in watched.grasps[:SHOWN_GRASPS]],
        'grasps_found': len(watched.grasps),
        'grasps_rejected': {name: count for name, count in (planned.plan.rejected if planned else {}).items()
                            if count},
    }


def _pose(estimate: PoseEstimate, mesh: Mesh) -> dict[str, Any]:
    pose = estimate.camera_from_object
    sigmas = np.sqrt(np.maximum(np.diag(estimate.covariance), 0.0))
    axes = ellipsoid(estimate, mesh)
    return {
        'position_mm': _rounded(1000 * pose[:3, 3]), 'quaternion_xyzw': _rounded(
            quaternion_from_matrix(pose[:3, :3]), 5),
        'score': round(float(estimate.score), 6), 'matrix': _rounded(pose),
        'sigma_mm': _finite(1000 * sigmas[:3]), 'sigma_deg': _finite(np.degrees(sigmas[3:])),
        'centre': _rounded(centre_covariance(estimate, mesh)[0]),
        'ellipsoid': None if axes is None else _rounded(axes, 6)}


def _rounded(values: np.ndarray, digits: int = 5) -> Any:
    return np.round(np.asarray(values, dtype=float), digits).tolist()


def _finite(values: np.ndarray) -> list[float | None]:
    """JSON has no infinity."""
    return [round(value, 3) if math.isfinite(value) else None for value in values.tolist()]


def packed(text: bytes, *pictures: bytes) -> bytes:
    """A message with pictures: the length of its JSON in four bytes, big end first, the JSON, the pictures."""
    return b''.join([struct.pack('>I', len(text)), text, *pictures])
