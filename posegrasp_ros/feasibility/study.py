# SPDX-License-Identifier: Apache-2.0
"""Study: the complete feasibility study of a cell, from the grasp tolerance to the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from posegrasp_ros.feasibility.alternatives import Alternative, PlannedCell, nothing_helps, try_changes
from posegrasp_ros.feasibility.archetype import ARCHETYPES
from posegrasp_ros.feasibility.assumptions import assumptions_of, camera_to_dict
from posegrasp_ros.feasibility.attainable.attainable_accuracy import AttainableAccuracy, ViewBound
from posegrasp_ros.feasibility.axis_errors import AxisErrors, axis_errors
from posegrasp_ros.feasibility.break_even import BreakEven
from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.feasibility.derived_entries import derived_requirements
from posegrasp_ros.feasibility.error_budget import error_budget
from posegrasp_ros.feasibility.expected_success import (
    MOST_MARGIN,
    ExpectedSuccess,
    Figures,
    error_margin,
    expect,
    nothing_to_expect,
)
from posegrasp_ros.feasibility.required.required_accuracy import RequiredAccuracy, nothing_fits, required_accuracy
from posegrasp_ros.feasibility.required.verification import VerifiedLevel, verify
from posegrasp_ros.feasibility.sight import look
from posegrasp_ros.feasibility.timing import Timing
from posegrasp_ros.feasibility.verdict import Reason, judge, reasons_of
from posegrasp_ros.runs.summary_schemas import FEASIBILITY

# Different from all seeds of the picks that the model is fitted to.
VERIFICATION_SEED = 40_000


@dataclass(frozen=True)
class Effort:
    """Computing effort of a study.

    :param picks: simulated picks along each axis
    :param views: number of camera views
    :param views_of_changes: number of views for each changed cell
    :param verified: new picks at each of five error levels, to verify the prediction; 0 for none
    :param seed: of picks and views
    :param jobs: number of processes; does not affect the results
    """

    picks: int = 16
    views: int = 120
    views_of_changes: int = 24
    verified: int = 0
    seed: int = 1
    jobs: int = 1
    progress: bool = True


@dataclass(frozen=True, eq=False)
class Study:
    """Results of a study.

    :param expected_success: over the views of the attainable accuracy
    :param margin: see :func:`error_margin`; None also where no grasp fits
    :param alternatives: changed cells, best first
    """

    cell: Cell
    required: RequiredAccuracy
    attainable: AttainableAccuracy
    expected_success: ExpectedSuccess
    margin: float | None
    axis_errors: AxisErrors
    budget: list[dict]
    timing: Timing
    break_even: BreakEven | None
    reasons: Sequence[Reason]
    alternatives: Sequence[Alternative]
    verification: Sequence[VerifiedLevel] = ()

    @property
    def word(self) -> str:
        return judge(self.reasons)

    @property
    def figures(self) -> Figures:
        return self.expected_success.figures(self.cell.needs.success)

    @property
    def requirements(self) -> dict[str, float]:
        """Derived requirements of an estimator by metric, in the metric's unit."""
        calibration = np.mean([self.cell.calibration.covariance(bound.view) for bound in self.attainable.views],
                              axis=0)
        return derived_requirements(self.required.isotropic, calibration, self.cell.needs.success,
                                    self.timing.allowed_median_ms, spins=self.cell.named.symmetry.axis is not None)

    def to_dict(self) -> dict:
        """Plain values for the summary."""
        card, needs = self.cell.named.card, self.cell.needs
        return {
            'schema': FEASIBILITY, 'complete': True,
            'object': {'name': self.cell.named.name, 'size_m': [float(side) for side in self.cell.mesh.extents],
                       'model': {'sha256': card.network_sha256} if card else None},
            'gripper': {'name': self.cell.gripper.name, 'max_opening_m': self.cell.gripper.max_opening_m},
            'camera': camera_to_dict(self.cell), 'wanted': needs.success,
            'needs': asdict(needs),
            'archetype': ARCHETYPES[needs.archetype].to_dict(needs.success) if needs.archetype else None,
            'required': self.required.to_dict(), 'requirements': self.requirements,
            'attainable': self.attainable.to_dict(),
            'efficiency': self.cell.measured.to_dict() if self.cell.measured else None,
            'expected_success': {**self.figures._asdict(), 'margin': self.margin, 'most_margin': MOST_MARGIN,
                        'views': len(self.expected_success.success),
                        'success_by_view': [float(value) for value in self.expected_success.success]},
            'expected_std': self.axis_errors.to_dict(), 'budget': self.budget, 'time': self.timing.to_dict(),
            'break_even': self.break_even.to_dict(self.figures.success) if self.break_even else None,
            'verdict': {'word': self.word, 'reasons': [asdict(reason) for reason in self.reasons],
                        'changes': [each.to_dict() for each in self.alternatives if each.helps]},
            'what_if': [each.to_dict() for each in self.alternatives],
            'verification': [level.to_dict() for level in self.verification],
            'assumptions': assumptions_of(self.cell),
        }


def study(cell: Cell, timing: Timing, effort: Effort, break_even: BreakEven | None = None,
          no_grasp_reason: str = '') -> Study:
    """Run the study.

    :param no_grasp_reason: why the cell has no grasp; empty where it has some
    """
    attainable = look(cell, effort.views, effort.seed, progress=effort.progress)
    required = _required(cell, effort, no_grasp_reason)
    bounds, model = attainable.views, required.model
    expected_success = _expected_success(cell, required, bounds, effort.progress)
    figures = expected_success.figures(cell.needs.success)
    reasons = reasons_of(figures, cell.needs, attainable, timing,
                         break_even.to_dict(figures.success) if break_even else None,
                         (required.graspless_share, required.graspless_reason))
    chosen = standing_for_all(expected_success.success, effort.views_of_changes)
    few = [bounds[number] for number in chosen]
    margin = error_margin(cell, model, few, figures.success, effort.progress) if model else None
    errors = axis_errors(model.planner if model else None, bounds, expected_success.errors)
    budget = error_budget(cell, model, bounds, figures.success, chosen)
    planned = PlannedCell(cell, model and model.most_probable(), attainable, chosen,
                      _expected_success(cell, required, few),
                      figures, timing, break_even, reasons, effort.seed)
    alternatives = try_changes(planned, effort.jobs, effort.progress)
    reasons = [*reasons, *nothing_helps(planned, alternatives)]
    return Study(cell, required, attainable, expected_success, margin, errors, budget, timing, break_even, reasons,
                 alternatives,
                 _verification(cell, required, effort))


def standing_for_all(success: np.ndarray, count: int) -> list[int]:
    """Indices of ``count`` representative views: evenly spaced quantiles of the success (V,)."""
    places = (np.arange(min(count, len(success))) + 0.5) / min(count, len(success)) * len(success)
    return np.argsort(success, kind='stable')[places.astype(int)].tolist()


def _required(cell: Cell, effort: Effort, no_grasp_reason: str) -> RequiredAccuracy:
    if cell.item is None:
        return nothing_fits(no_grasp_reason, cell.needs.success)
    return required_accuracy(cell.item, cell.gripper, cell.needs.success, effort.picks, effort.seed, effort.jobs,
                             effort.progress)


def _expected_success(cell: Cell, required: RequiredAccuracy, bounds: Sequence[ViewBound],
             progress: bool = False) -> ExpectedSuccess:
    if required.model is None or required.no_grasp_reason:
        return nothing_to_expect(cell, bounds, required.no_grasp_reason)
    return expect(cell, required.model, bounds, progress)


def _verification(cell: Cell, required: RequiredAccuracy, effort: Effort) -> Sequence[VerifiedLevel]:
    if not effort.verified or cell.item is None:
        return ()
    return verify(required, cell.item, cell.gripper, effort.verified, VERIFICATION_SEED + effort.seed, effort.jobs,
                  effort.progress)
