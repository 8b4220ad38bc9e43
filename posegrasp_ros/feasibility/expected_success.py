# SPDX-License-Identifier: Apache-2.0
"""ExpectedSuccess: expected success rate of picks in a cell, by view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from posegrasp_ros.feasibility.attainable.attainable_accuracy import ViewBound
from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.feasibility.required.success_model import SuccessModel
from posegrasp_ros.metrics.stats.intervals import Interval
from posegrasp_ros.runtime.progress import Progress

NO_ERROR = np.zeros((6, 6))
# Range of the margin, and number of bisection steps in its logarithm.
LEAST_MARGIN, MOST_MARGIN, MARGIN_STEPS = 0.1, 10.0, 8
RESAMPLES = 2000


class Figures(NamedTuple):
    """Success probabilities of a pick, mean over the views.

    :param success: with a good estimator and the stated calibration
    :param ideal: with the best possible estimator (Cramér-Rao bound) and a perfect calibration
    :param true_pose: with the true pose
    :param share_of_views: share of views in which the required success is reached with a good estimator
    :param no_grasp_reason: why there is no grasp at all; empty where there are some
    :param intervals: 95 % intervals of these four by name, due to the finite numbers of picks and views; None
        where they are exact
    """

    success: float
    ideal: float
    true_pose: float
    share_of_views: float
    no_grasp_reason: str = ''
    intervals: dict[str, Interval] | None = None

    def interval(self, name: str) -> Interval:
        """Interval of one of the four."""
        return self.intervals[name] if self.intervals else Interval(*2 * [getattr(self, name)])

    def changed_by(self, before: Figures, after: Figures) -> Figures:
        """Apply the change between two other figures, both computed on the same subset of views."""
        intervals = {name: Interval(*(changed_share(end, getattr(before, name), getattr(after, name))
                                      for end in self.interval(name))) for name in SHARES}
        shares = [changed_share(*(getattr(each, name) for each in (self, before, after))) for name in SHARES]
        return Figures._make((*shares, after.no_grasp_reason, intervals))


SHARES = Figures._fields[:4]


def changed_share(share: float, before: float, after: float) -> float:
    """Apply a change found on few views to a share; a gain is applied as a relative reduction of the failures."""
    if after > before:
        return 1 - (1 - share) * (1 - after) / (1 - before)
    return max(share + after - before, 0.0)


@dataclass(frozen=True, eq=False)
class ExpectedSuccess:
    """Success probability of a pick in each of V views of a cell.

    :param by_curve: (3, V, C) success, ideal and with the true pose as in :class:`Figures`, for each curve of the
        success model
    :param errors: (V, 6, 6) covariance of the pose given to the planner, base frame
    """

    by_curve: np.ndarray
    errors: np.ndarray
    no_grasp_reason: str = ''

    @property
    def success(self) -> np.ndarray:
        """(V,) success by the most probable curve."""
        return self.by_curve[0, :, 0]

    def figures(self, wanted: float) -> Figures:
        shares = [*self.by_curve[:, :, 0].mean(axis=1).tolist(), float((self.success >= wanted).mean())]
        ends = np.percentile(self._draws(wanted), (2.5, 97.5), axis=1).T.tolist()
        intervals = {name: Interval(min(low, share), max(high, share))
                     for name, share, (low, high) in zip(SHARES, shares, ends)}
        return Figures._make((*shares, self.no_grasp_reason, intervals))

    def _draws(self, wanted: float) -> np.ndarray:
        """(4, RESAMPLES) draws of the four figures, over curves and views."""
        rng, (_, views, curves) = np.random.default_rng(0), self.by_curve.shape
        # The first curve is the most probable one, not one of the draws.
        curve = rng.integers(min(1, curves - 1), curves, RESAMPLES)
        drawn = rng.integers(views, size=(RESAMPLES, views))
        means = self.by_curve[:, drawn, curve[:, None]].mean(axis=2)
        enough = (self.by_curve[0] >= wanted).sum(axis=0)[curve]
        # Resampling cannot produce kinds of views that are absent from the sample; the Jeffreys posterior can.
        return np.vstack([means, rng.beta(enough + 0.5, views - enough + 0.5)])


def expect(cell: Cell, model: SuccessModel, bounds: Sequence[ViewBound],
           progress: bool = False) -> ExpectedSuccess:
    """The expected success over the given views.

    :param model: for this cell's gripper and grasps
    """
    errors = expected_errors(cell, bounds)
    by_view = [[model.by_curve(bound.view.base_from_object, covariance)
                for covariance in (error, estimator_error(bound), NO_ERROR)]
               for bound, error in zip(Progress(bounds, 'success', unit='view', disable=not progress),
                                       errors)]
    return ExpectedSuccess(np.swapaxes(by_view, 0, 1), errors)


def nothing_to_expect(cell: Cell, bounds: Sequence[ViewBound], reason: str) -> ExpectedSuccess:
    """The expected success of a cell without a grasp."""
    return ExpectedSuccess(np.zeros((3, len(bounds), 1)), expected_errors(cell, bounds), reason)


def error_margin(cell: Cell, model: SuccessModel, bounds: Sequence[ViewBound], success: float,
                 progress: bool = False) -> float | None:
    """Largest factor on the expected errors with which the required success is still reached.

    :param bounds: of a subset of views, to save time
    :param success: expected success over all views; the offset of the subset is assumed to be the same at every
        factor
    :return: between :data:`LEAST_MARGIN` and :data:`MOST_MARGIN`; None where even the smallest factor is too large
    """
    errors = expected_errors(cell, bounds)

    def mean_success(factor: float) -> float:
        return float(np.mean([model.success(bound.view.base_from_object, factor**2 * error)
                              for bound, error in zip(bounds, errors)]))

    least = cell.needs.success - success + mean_success(1.0)

    def is_enough(factor: float) -> bool:
        return mean_success(factor) >= least

    if is_enough(MOST_MARGIN):
        return MOST_MARGIN
    if not is_enough(LEAST_MARGIN):
        return None
    low, high = LEAST_MARGIN, MOST_MARGIN
    for _ in Progress(range(MARGIN_STEPS), 'margin', disable=not progress):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if is_enough(middle) else (low, middle)
    return low


def expected_errors(cell: Cell, bounds: Sequence[ViewBound]) -> np.ndarray:
    """(V, 6, 6) covariances of a good estimator's pose, base frame: estimation and calibration errors."""
    return np.array([estimator_error(bound, cell.efficiency) + cell.calibration.covariance(bound.view)
                     for bound in bounds]).reshape(-1, 6, 6)


def estimator_error(bound: ViewBound, efficiency: float | np.ndarray = 1.0) -> np.ndarray:
    """(6, 6) error covariance of an estimator with this efficiency, base frame.

    Rotations that map the surface onto itself are excluded, as they do not affect a grasp.
    """
    return bound.view.in_base(bound.of_surface(bound.achieved(efficiency)))
