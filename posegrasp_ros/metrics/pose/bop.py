# SPDX-License-Identifier: Apache-2.0
"""Recall and average recall (AR) at the BOP benchmark's thresholds.

Hodaň et al., "BOP Challenge 2020 on 6D Object Localization", ECCVW 2020, section 2.4: AR is the mean of the
recalls at ten thresholds; a recall is the share of all objects in all images whose error is below a threshold.
Equivalently, AR is the mean over objects of the share of thresholds met. This gives one number per frame, for
which
:func:`posegrasp_ros.metrics.stats.intervals.mean_interval` computes the interval.
"""

from __future__ import annotations

import numpy as np

MSSD_THRESHOLDS = np.arange(1, 11) / 20  # of the object's diameter
MSPD_THRESHOLDS_PX = np.arange(1, 11) * 5.0  # for an image width of MSPD_WIDTH_PX
MSPD_WIDTH_PX = 640.0
ROWS_AT_ONCE = 1 << 16  # which bounds the memory of long runs


def mssd_shares(mssd_m: np.ndarray, diameter_m: np.ndarray | float) -> np.ndarray:
    """(N,) share of the ten thresholds that each error is below; its mean is AR_MSSD.

    :param mssd_m: (N,) infinite where nothing was found
    :param diameter_m: one for all or (N,)
    """
    errors = np.asarray(mssd_m, dtype=float)
    diameters = np.broadcast_to(np.asarray(diameter_m, dtype=float), errors.shape)
    return np.concatenate([np.zeros(0), *(
        shares_below(errors[first:first + ROWS_AT_ONCE],
                     MSSD_THRESHOLDS * diameters[first:first + ROWS_AT_ONCE, None])
        for first in range(0, len(errors), ROWS_AT_ONCE))])


def mspd_shares(mspd_px: np.ndarray, widths_px: np.ndarray | float) -> np.ndarray:
    """(N,) share of the ten thresholds that each error is below; its mean is AR_MSPD.

    :param mspd_px: (N,) infinite where nothing was found; NaN (camera not known) meets no threshold
    :param widths_px: image width, one for all or (N,)
    """
    errors = np.asarray(mspd_px) * MSPD_WIDTH_PX / np.asarray(widths_px)
    return np.concatenate([np.zeros(0), *(shares_below(errors[first:first + ROWS_AT_ONCE], MSPD_THRESHOLDS_PX)
                                          for first in range(0, len(errors), ROWS_AT_ONCE))])


def shares_below(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(N,) share of the thresholds (T,) or (N, T) that each error (N,) is below."""
    return (np.asarray(errors, dtype=float)[:, None] < thresholds).mean(axis=1)


def recalls(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(T,) share of (N,) errors below each threshold; AR is its mean.

    :raises ValueError: when there are no errors
    """
    errors = np.asarray(errors, dtype=float)
    if not errors.size:
        raise ValueError('recalls: expected at least one error, got none')
    return (errors[:, None] < thresholds).mean(axis=0)
