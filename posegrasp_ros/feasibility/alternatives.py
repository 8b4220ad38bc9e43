# SPDX-License-Identifier: Apache-2.0
"""Alternatives: the verdict on changed cells, computed as for the planned cell but over fewer views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

from posegrasp_ros.feasibility.attainable.attainable_accuracy import AttainableAccuracy, ViewBound
from posegrasp_ros.feasibility.attainable.view_sampling import SightError
from posegrasp_ros.feasibility.break_even import BreakEven
from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.feasibility.expected_success import ExpectedSuccess, Figures, expect, nothing_to_expect
from posegrasp_ros.feasibility.required.success_model import SuccessModel
from posegrasp_ros.feasibility.sight import look
from posegrasp_ros.feasibility.timing import Timing
from posegrasp_ros.feasibility.verdict import (
    FEASIBLE,
    IF,
    LIFTS,
    NOT,
    Reason,
    judge,
    missed_needs,
    reasons_of,
)
from posegrasp_ros.feasibility.what_if import Change, both, changes_of, go_together
from posegrasp_ros.grasping.grasp_set import NoGraspError
from posegrasp_ros.runtime.process_pool import workers
from posegrasp_ros.runtime.progress import Progress

WORDS = (NOT, IF, FEASIBLE)
# Smaller gains may be due to the small number of views.
LEAST_GAIN = 0.01
MOST_PAIRS = 3


@dataclass(frozen=True, eq=False)
class PlannedCell:
    """The planned cell and its results.

    :param model: with only its most probable curve; None where there is no grasp
    :param attainable: of all views
    :param chosen: indices of the views that changes are evaluated on
    :param expected_success: over the chosen views
    :param figures: over all views
    :param reasons: of the verdict
    """

    cell: Cell
    model: SuccessModel | None
    attainable: AttainableAccuracy
    chosen: Sequence[int]
    expected_success: ExpectedSuccess
    figures: Figures
    timing: Timing
    break_even: BreakEven | None
    reasons: Sequence[Reason]
    seed: int

    @property
    def word(self) -> str:
        """The verdict."""
        return judge(self.reasons)

    @property
    def missed(self) -> frozenset[str]:
        """Names of the needs that are not met."""
        return missed_needs(self.reasons)

    @property
    def bounds(self) -> list[ViewBound]:
        """Bounds of the chosen views."""
        return [self.attainable.views[number] for number in self.chosen]


@dataclass(frozen=True)
class Alternative:
    """Result of a changed cell.

    :param gain: in success rate
    :param is_better: whether the verdict is better
    :param mends: names of the needs that only the changed cell meets
    """

    change: Change
    word: str
    figures: Figures
    gain: float
    is_better: bool
    mends: frozenset[str]

    @property
    def helps(self) -> bool:
        """Whether the change is worth reporting."""
        return self.is_better or bool(self.mends) or self.gain >= LEAST_GAIN

    def to_dict(self) -> dict:
        return {'name': self.change.name, 'text': self.change.text, 'word': self.word, 'helps': self.helps,
                'gain': self.gain, 'figures': self.figures._asdict()}


def try_changes(planned: PlannedCell, jobs: int, progress: bool = True) -> list[Alternative]:
    """Evaluate every applicable change, best first; if no single one makes the cell feasible, also pairs of the
    best."""
    changes = changes_of(planned.cell, planned.timing.attainable_hz)
    found = _tried(planned, changes, jobs, progress)
    if planned.word != FEASIBLE and not any(each.word == FEASIBLE for each in found):
        found = _best_first(found + _tried(planned, _pairs(planned.cell, found), jobs, progress))
    return found


def nothing_helps(planned: PlannedCell, found: Sequence[Alternative]) -> list[Reason]:
    """The reason to refuse a ``feasible if`` cell if no change that was tried makes it feasible; else empty."""
    if planned.word != IF or any(each.word == FEASIBLE for each in found):
        return []
    missed = next(reason for reason in planned.reasons if not reason.holds)
    figure = LIFTS[missed.name].figure if missed.name in LIFTS else None
    best = max([missed.figure, *(getattr(each.figures, figure) for each in found if figure)])
    return [Reason('changes', False, best, missed.needed, missed.unit,
                   f'None of the {len(found)} changes that were tried, single or in pairs, makes it feasible.',
                   decides=any(reason.is_sure for reason in planned.reasons if not reason.holds))]


def _pairs(cell: Cell, found: Sequence[Alternative]) -> list[Change]:
    """The most promising pairs: those that meet most needs together, then those with the largest gain."""
    helpful = [each for each in found if each.helps]
    pairs = sorted(combinations(helpful, 2), key=lambda pair: -len(pair[0].mends | pair[1].mends))
    changes = (both(first.change, second.change) for first, second in pairs
               if go_together(cell, first.change, second.change))
    return list(islice(changes, MOST_PAIRS))


def try_change(planned: PlannedCell, change: Change) -> Alternative:
    """The verdict with one change."""
    try:
        cell = change.apply(planned.cell)
    except NoGraspError as error:
        after = nothing_to_expect(planned.cell, planned.bounds, str(error))
        return _alternative(planned, planned.cell, change, after, planned.attainable)
    bounds, attainable = planned.bounds, planned.attainable
    if change.looks_again:
        is_other_object = cell.mesh is not planned.cell.mesh
        try:
            looked = look(cell, len(attainable.views), planned.seed,
                          None if is_other_object else attainable.free_axes, planned.chosen)
        except SightError:
            return _alternative(planned, planned.cell, change, planned.expected_success, attainable)
        bounds, attainable = looked.views, looked if is_other_object else attainable
    after = planned.expected_success if cell.item is None else expect(cell, _model(planned, cell), bounds)
    return _alternative(planned, cell, change, after, attainable)


def _model(planned: PlannedCell, cell: Cell) -> SuccessModel:
    """The curves fitted to picks with the planned cell's grasps, applied to another cell's planner."""
    return planned.model.with_planner(cell.planner) if planned.model else SuccessModel(cell.planner)


def _alternative(planned: PlannedCell, cell: Cell, change: Change, after: ExpectedSuccess,
                 attainable: AttainableAccuracy) -> Alternative:
    wanted = cell.needs.success
    figures = planned.figures.changed_by(planned.expected_success.figures(wanted), after.figures(wanted))
    timing = replace(planned.timing, rate_hz=cell.needs.rate_hz)
    break_even = planned.break_even.to_dict(figures.success) if planned.break_even else None
    reasons = reasons_of(figures, cell.needs, attainable, timing, break_even)
    word, missed = judge(reasons), missed_needs(reasons)
    return Alternative(change, word, figures, figures.success - planned.figures.success,
                       WORDS.index(word) > WORDS.index(planned.word), planned.missed - missed)


def _tried(planned: PlannedCell, changes: Sequence[Change], jobs: int, progress: bool) -> list[Alternative]:
    with workers(try_change, planned, jobs) as tried:
        arriving = tried([(change,) for change in changes])
        return _best_first(list(Progress(arriving, 'what if', len(changes), unit='change',
                                     disable=not progress)))


def _best_first(found: Sequence[Alternative]) -> list[Alternative]:
    return sorted(found, key=lambda each: (-WORDS.index(each.word), -round(each.figures.success, 3),
                                           -each.figures.ideal))
