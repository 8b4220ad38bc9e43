# SPDX-License-Identifier: Apache-2.0
"""Verdict on a cell: each need with its figure, and the overall verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from posegrasp_ros.feasibility.attainable.attainable_accuracy import AttainableAccuracy
from posegrasp_ros.feasibility.cell import Needs
from posegrasp_ros.feasibility.expected_success import Figures
from posegrasp_ros.feasibility.timing import Timing
from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.stats.intervals import Interval

FEASIBLE, IF, NOT = 'feasible', 'feasible if', 'not feasible'
# Ambiguities that are resolved only if other faces are visible: reported even if no sampled view shows them.
TWINS = ('same artwork', 'twin faces')


class Lift(NamedTuple):
    """A need of the success rate.

    :param figure: name of its figure in :class:`Figures`
    :param text: explanation, with placeholders for the figure and the required success
    """

    figure: str
    text: str


LIFTS = {
    'grip': Lift('true_pose', 'With the true pose, {} of the picks succeed; the requirement is {}.'),
    'camera': Lift('ideal', 'With the best possible estimator (Cramér-Rao bound) and a perfect calibration, {} of '
                   'the picks succeed; the requirement is {}.'),
    'success': Lift('success', 'With a good estimator and the stated calibration, {} of the picks are expected to '
                    'succeed; the requirement is {}.'),
    'views': Lift('share_of_views', 'In {} of the views, at least {} of the picks succeed; in the other views '
                  'repeated attempts fail too.'),
}
DECISIVE = ('grip', 'camera')


@dataclass(frozen=True)
class Reason:
    """One need and its figure.

    :param name: ``grasp``, ``grip``, ``camera``, ``success``, ``views``, ``orientation``, ``twins``, ``time``,
        ``break_even`` or ``changes`` (none is sufficient)
    :param holds: whether the figure meets the need
    :param figure: expected value, in ``unit``
    :param needed: required value
    :param decides: whether missing it makes the cell not feasible
    :param interval: 95 % interval of the figure; None where it is not an estimate
    """

    name: str
    holds: bool
    figure: float
    needed: float
    unit: str
    text: str
    decides: bool = True
    interval: Interval | None = None

    @property
    def is_sure(self) -> bool:
        """Whether the required value lies outside the figure's interval."""
        return self.interval is None or not self.interval.low < self.needed < self.interval.high


def judge(reasons: Sequence[Reason]) -> str:
    """``feasible`` if all needs are met, ``not feasible`` if a deciding one is missed, else ``feasible if``."""
    missed = [reason for reason in reasons if not reason.holds]
    if not missed:
        return FEASIBLE
    return NOT if any(reason.decides for reason in missed) else IF


def missed_needs(reasons: Sequence[Reason]) -> frozenset[str]:
    """Names of the needs that are not met."""
    return frozenset(reason.name for reason in reasons if not reason.holds)


def reasons_of(figures: Figures, needs: Needs, attainable: AttainableAccuracy, timing: Timing,
               break_even: dict | None = None, graspless: tuple[float, str] = (0.0, '')) -> list[Reason]:
    """Every need that can be evaluated, deciding ones first.

    :param break_even: see :meth:`posegrasp_ros.feasibility.break_even.BreakEven.to_dict`; None where nothing was
        stated
    :param graspless: share of the object placements without a grasp, and why
    """
    if figures.no_grasp_reason:
        reasons = [Reason('grasp', False, 0.0, needs.success, '1',
                          f'No grasp: {formatting.reason(figures.no_grasp_reason)}.')]
    else:
        reasons = _lift_reasons(figures, needs, *graspless)
    if needs.orientation:
        reasons += _orientation_reasons(attainable, needs)
    reasons.append(_time_reason(timing))
    if break_even:
        reasons.append(_break_even_reason(break_even, figures))
    return reasons


def _lift_reasons(figures: Figures, needs: Needs, graspless_share: float, graspless_reason: str) -> list[Reason]:
    """Needs of the success rate, up to the first missed one that estimator and calibration cannot improve."""
    reasons = []
    for name in LIFTS:
        reasons.append(_lift_reason(name, figures, needs))
        if name in DECISIVE and not reasons[-1].holds:
            break
    if graspless_share:
        text = (f'{reasons[0].text} In {formatting.quantity(graspless_share, "1")} of the placements there is no '
                f'grasp ({formatting.reason(graspless_reason)}).')
        reasons[0] = replace(reasons[0], text=text)
    return reasons


def _lift_reason(name: str, figures: Figures, needs: Needs) -> Reason:
    """A need of the success rate; it decides only if it is significantly missed."""
    lift, wanted = LIFTS[name], needs.success
    figure, interval = getattr(figures, lift.figure), figures.interval(lift.figure)
    said = f'{formatting.quantity(figure, "1")} {formatting.interval(interval, "1")}'
    return Reason(name, figure >= wanted, figure, wanted, '1',
                  lift.text.format(said, formatting.quantity(wanted, '1')),
                  decides=name in DECISIVE and interval.high < wanted, interval=interval)


def _orientation_reasons(attainable: AttainableAccuracy, needs: Needs) -> list[Reason]:
    """Whether the image determines the orientation, beyond the symmetries declared on the model card."""
    share, allowed = attainable.ambiguous_share, 1 - needs.success
    if share > allowed + 1e-9:
        alike = '; '.join(each.text for each in attainable.ambiguities if not each.is_harmless)
        return [Reason('orientation', False, share, allowed, '1',
                       f'The orientation is ambiguous in {formatting.quantity(share, "1")} of the views: '
                       f'{alike}.')]
    but = f', except in {formatting.quantity(share, "1")} of the views' if share else ''
    told = Reason('orientation', True, share, allowed, '1', f'The image determines the orientation{but}.')
    twins = [each for each in attainable.ambiguities if each.kind in TWINS and each.twin_share]
    return [told, *(Reason('twins', False, each.twin_share, 0.0, '1', f'{each.text[0].upper()}{each.text[1:]}.',
                           decides=False) for each in twins[:1])]


def _time_reason(timing: Timing) -> Reason:
    """A measured time depends on this machine and its load, so only a stated one decides."""
    nearly_all = f', 95 % at most {formatting.quantity(timing.pose_p95_ms, "ms")}' if timing.pose_p95_ms else ''
    return Reason('time', timing.is_kept, timing.late_ms, timing.allowed_ms, 'ms',
                  f'A pose takes {formatting.quantity(timing.pose_ms, "ms")}{nearly_all}; {timing.rate_hz:g} Hz '
                  f'allow {formatting.quantity(timing.allowed_ms, "ms")}.', decides=timing.is_stated)


def _break_even_reason(break_even: dict, figures: Figures) -> Reason:
    """Whether the expected success is above break-even; it decides if even the ideal one is clearly below."""
    pays, success = break_even['pays_from'], figures.success
    mode = 'unattended' if break_even['unattended'] else 'attended'
    return Reason('break_even', success >= pays['value'], success, pays['value'], '1',
                  f'Break-even ({mode}) is at a success of {formatting.quantity(pays["value"], "1")} '
                  f'{formatting.interval(pays["interval"], "1")}; '
                  f'{formatting.quantity(success, "1")} is expected.',
                  decides=figures.ideal < pays['interval'][0])
