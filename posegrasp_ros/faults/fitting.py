# SPDX-License-Identifier: Apache-2.0
"""Robust fits of corrections: estimates that are wrong for other reasons must not decide."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from posegrasp_ros.faults.corrected_pairs import corrected
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.stamps import Time
from posegrasp_ros.faults.pose_pairs import PosePairs

FLOOR_M = 5e-4
"""Errors below this count as equal: nobody's ground truth is better."""
MOST_FITTED = 200
LEAST_SCALE_M = 1e-3
LEAST_KNOWN = 0.5
FINEST_S, STEP_S, LONGEST_S = 0.0005, 0.02, 1.0


def losses(pairs: PosePairs, corrections: tuple[Correction, ...] = ()) -> np.ndarray:
    """(N,) logarithm of the error after corrections; NaN where a pair cannot be judged.

    Of the logarithm, because a tenth of the estimates may be a hundred times as wrong as the others.
    """
    after, is_known = corrected(pairs, corrections)
    return np.where(is_known, np.log(after.errors() + FLOOR_M), np.nan)


def loss(pairs: PosePairs, corrections: tuple[Correction, ...] = ()) -> float:
    """Mean of :func:`losses`; infinite where too few pairs can be judged."""
    each = losses(pairs, corrections)
    is_known = np.isfinite(each)
    return float(each[is_known].mean()) if is_known.mean() >= LEAST_KNOWN else np.inf


def thinned(pairs: PosePairs, most: int = MOST_FITTED) -> PosePairs:
    """At most so many of the pairs, spread evenly."""
    if len(pairs) <= most:
        return pairs
    mask = np.zeros(len(pairs), dtype=bool)
    mask[np.linspace(0, len(pairs) - 1, most).round().astype(int)] = True
    return pairs.chosen(mask)


def refined(pairs: PosePairs, corrections: tuple[Correction, ...]) -> tuple[Correction, ...]:
    """The corrections with their numbers fitted together, from where they are."""
    for _ in range(2 if any(isinstance(each, Time) for each in corrections) and len(corrections) > 1 else 1):
        corrections = _refined_poses(pairs, corrections)
        for place, each in enumerate(corrections):
            if isinstance(each, Time):
                corrections = (*corrections[:place], _refined_time(pairs, corrections, place),
                               *corrections[place + 1:])
    return corrections


def _refined_poses(pairs: PosePairs, corrections: tuple[Correction, ...]) -> tuple[Correction, ...]:
    """All but times, by least squares under a Cauchy loss."""
    counts = [0 if isinstance(each, Time) else len(each.parameters) for each in corrections]
    if not sum(counts):
        return corrections
    pairs, ends = thinned(pairs), np.cumsum(counts)

    def moved(values: np.ndarray) -> tuple[Correction, ...]:
        return tuple(each if not count else each.moved(values[end - count:end])
                     for each, count, end in zip(corrections, counts, ends))

    def residuals(values: np.ndarray) -> np.ndarray:
        after, is_known = corrected(pairs, moved(values))
        return (after.residuals() * is_known[:, None]).ravel()

    start = np.concatenate([each.parameters for each, count in zip(corrections, counts) if count])
    for _ in range(2):  # the second time at the scale of what is left
        scale = max(LEAST_SCALE_M, float(np.median(np.abs(residuals(start)))))
        start = least_squares(residuals, start, loss='cauchy', f_scale=scale, max_nfev=20, x_scale='jac',
                              ftol=1e-5, xtol=1e-5).x
    return moved(start)


def _refined_time(pairs: PosePairs, corrections: tuple[Correction, ...], place: int) -> Time:
    """The shift by search around the present one."""
    def with_shift(shift_s: float) -> float:
        return loss(pairs, (*corrections[:place], Time(shift_s), *corrections[place + 1:]))

    best, step = float(corrections[place].parameters[0]), 0.02
    while step > FINEST_S:
        best = min((best - step, best, best + step), key=with_shift)
        step /= 2
    return Time(best)


def searched_time(pairs: PosePairs) -> Time | None:
    """The shift of the stamps that makes errors least; None where poses do not tell, as of still objects."""
    if len(pairs) < 3:
        return None
    grid = np.arange(-LONGEST_S, LONGEST_S + STEP_S / 2, STEP_S)
    before = losses(pairs)
    values = np.array([_compared(pairs, before, shift_s) for shift_s in grid])
    if not np.isfinite(values).any():
        return None
    best = Time(float(grid[np.nanargmin(values)]))
    return _refined_time(pairs, (best,), 0) if best.shift_s else None


def _compared(pairs: PosePairs, before: np.ndarray, shift_s: float) -> float:
    """How much the loss (N,) changes with a shift, on the pairs that can be judged with it."""
    each = losses(pairs, (Time(shift_s),))
    is_known = np.isfinite(each)
    return float((each - before)[is_known].mean()) if is_known.mean() >= LEAST_KNOWN else np.nan
