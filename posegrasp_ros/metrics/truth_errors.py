# SPDX-License-Identifier: Apache-2.0
"""What the errors of the ground truth itself explain of the measured ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import gammainc, gammaincinv

from posegrasp_ros.metrics.coded_column import compacted, rows
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.metrics.truth_spread import squared_length

UNKNOWN = 'ground truth of unknown accuracy: its errors count against the estimator'
COVERAGE = 'covariance_coverage_90'


def median_length(covariances: np.ndarray) -> np.ndarray:
    """(N,) median lengths of normal errors with (N, 3, 3) covariances.

    Patnaik, "The non-central chi-square and F-distributions and their applications", Biometrika 1949: a squared
    length is about a chi-square variable, scaled to the same mean tr C and variance 2 tr C². Exact for errors
    along one direction and for equal ones along all; less than 2 % off in between.
    """
    return _median_length(squared_length(covariances))


def share_within(covariances: np.ndarray, limit: float) -> np.ndarray:
    """(N,) probabilities that normal errors with (N, 3, 3) covariances are shorter; see :func:`median_length`."""
    return _share_within(squared_length(covariances), limit)


def _median_length(moments: np.ndarray) -> np.ndarray:
    return _of_squared_length(moments, lambda shape, scale: np.sqrt(2 * scale * gammaincinv(shape, 0.5)), 0.0)


def _share_within(moments: np.ndarray, limit: float) -> np.ndarray:
    return _of_squared_length(moments, lambda shape, scale: gammainc(shape, limit**2 / (2 * scale)), 1.0)


def _of_squared_length(moments: np.ndarray, figure: Callable, if_exact: float) -> np.ndarray:
    """A figure of the squared lengths of errors, for those that have any.

    :param moments: (N, 2) see :func:`squared_length`
    :param figure: of the half degrees of freedom (M,) and the scale (M,) of the chi-square variable
    """
    mean, squares = moments.T
    found, varies = np.where(np.isnan(mean), np.nan, if_exact), mean > 0
    mean, squares = mean[varies], squares[varies]
    found[varies] = figure(mean**2 / squares / 2, squares / mean)
    return found


def is_exact(provenance: Mapping[str, Any]) -> bool:
    """Whether a run's truth is a simulator's: all recordings are simulated, or it states the seed of the scenes;
    unless the truth came from a file."""
    if (provenance.get('configuration') or {}).get('ground_truth'):
        return False
    bags = provenance.get('bags') or ()
    return all(bag.get('simulated') for bag in bags) if bags else 'seed' in provenance


def as_exact(table: FrameTable) -> FrameTable:
    """The table with truths of unknown accuracy as exact ones."""
    spreads = table.truth_spreads
    unknown = table.has_truth & np.isnan(spreads[:, 0])
    if unknown.all():
        return replace(table, truth_spreads=np.broadcast_to(0.0, spreads.shape))
    return replace(table, truth_spreads=compacted(np.where(unknown[:, None], 0.0, spreads)))


def truth_errors(table: FrameTable) -> dict[str, Any]:
    """The ground truth's own errors in the frames with a pose: {frames, unknown, position_m, rotation_rad,
    position_left_m, rotation_left_rad, recall_if_perfect}; null where they are not known in all of them.

    ``position_m`` is the median over frames of the median error of the truth, ``position_left_m`` what of the
    measured median it does not explain: independent errors add in quadrature (exact for mean squares, of medians
    an approximation). ``recall_if_perfect`` is the share that a perfect estimator would reach against this truth.
    """
    found = table.has_found
    spreads = rows(table.truth_spreads, found)
    unknown = int(np.isnan(spreads[:, 0]).sum())
    result: dict[str, Any] = {'frames': int(found.sum()), 'unknown': unknown, **dict.fromkeys(
        ('position_m', 'rotation_rad', 'position_left_m', 'rotation_left_rad', 'recall_if_perfect'))}
    if unknown or not found.any():
        return result
    parts = {'position': (spreads[:, :2], table.position_error_m, 'm'),
             'rotation': (spreads[:, 2:], table.rotation_error_rad, 'rad')}
    for name, (part, errors, unit) in parts.items():
        own, measured = float(np.median(_median_length(part))), float(np.median(rows(errors, found)))
        result[f'{name}_{unit}'] = own
        result[f'{name}_left_{unit}'] = math.sqrt(max(measured**2 - own**2, 0.0))
    within = (_share_within(parts['position'][0], STATED_NEED.position_m)
              * _share_within(parts['rotation'][0], STATED_NEED.rotation_rad))
    result['recall_if_perfect'] = float(within.mean())
    return result


def note_of(metric: str, table: FrameTable, within: np.ndarray | None = None) -> str:
    """What has to be said with a metric; empty for nothing.

    :param within: (N,) mask of the frames that count; None for all
    """
    if metric != COVERAGE:
        return ''
    told = table.states_covariance & np.isnan(table.truth_spreads[:, 0])
    return UNKNOWN if (told if within is None else told & within).any() else ''
