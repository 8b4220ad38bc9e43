"""The verdict on a cell: each need beside its figure, and what follows from all of them."""

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
# Ambiguities that depend on another face being in sight: whoever builds the cell has to know.
TWINS = ('same artwork', 'twin faces')


class Lift(NamedTuple):
    """A need of the lift.

    :param figure: name of the one of :class:`Figures` behind it
    :param text: what is said, with places for it and for what is wanted
    """

    figure: str
    text: str


LIFTS = {
    'grip': Lift('true_pose', 'Told the true pose, the gripper lifts in {} of the picks; {} are wanted.'),
    'camera': Lift('ideal', 'With the best estimator that this image allows (Cramér-Rao bound) and a perfect '
                   'calibration, {} of the picks lift; {} are wanted.'),
    'success': Lift('success', 'With a good estimator and the stated calibration, {} of the picks are expected to '
                    'lift; {} are wanted.'),
    'views': Lift('share_of_views', 'In {} of the views {} of the picks lift: an object that lies badly is missed '
                  'again and again.'),
}
DECISIVE = ('grip', 'camera')


@dataclass(frozen=True)
class Reason:
    """One need beside its figure.

    :param name: ``grasp``, ``grip``, ``camera``, ``success``, ``views``, ``orientation``, ``twins``, ``time``,
        ``worth`` or ``changes`` (none is enough)
    :param holds: whether the figure meets the need
    :param figure: what is to be expected, in ``unit``
    :param needed: what is needed
    :param decides: whether nothing but another cell mends it, where it does not hold
    :param interval: 95 %, of the figure; None where it is no estimate
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
        """Whether the need lies outside of the figure's interval."""
        return self.interval is None or not self.interval.low < self.needed < self.interval.high


def judge(reasons: Sequence[Reason]) -> str:
    """``feasible`` when all needs are met, ``not feasible`` when one is missed that only another cell mends."""
    missed = [reason for reason in reasons if not reason.holds]
    if not missed:
        return FEASIBLE
    return NOT if any(reason.decides for reason in missed) else IF


def missed_needs(reasons: Sequence[Reason]) -> frozenset[str]:
    """Names of the needs that are not met."""
    return frozenset(reason.name for reason in reasons if not reason.holds)


def reasons_of(figures: Figures, needs: Needs, attainable: AttainableAccuracy, timing: Timing,
               worth: dict | None = None, graspless: tuple[float, str] = (0.0, '')) -> list[Reason]:
    """Every need that can be judged, the ones that decide first.

    :param worth: see :meth:`posegrasp_ros.feasibility.break_even.BreakEven.to_dict`; None where nothing was stated
    :param graspless: share of the places where the object may lie in which it has no grasp, and why
    """
    if figures.no_grasp_reason:
        reasons = [Reason('grasp', False, 0.0, needs.success, '1',
                          f'No grasp: {formatting.reason(figures.no_grasp_reason)}.')]
    else:
        reasons = _lift_reasons(figures, needs, *graspless)
    if needs.orientation:
        reasons += _orientation_reasons(attainable, needs)
    reasons.append(_time_reason(timing))
    if worth:
        reasons.append(_break_even_reason(worth, figures))
    return reasons


def _lift_reasons(figures: Figures, needs: Needs, graspless_share: float, graspless_reason: str) -> list[Reason]:
    """Up to the first that is missed and that no work on the estimator or the calibration would mend."""
    reasons = []
    for name in LIFTS:
        reasons.append(_lift_reason(name, figures, needs))
        if name in DECISIVE and not reasons[-1].holds:
            break
    if graspless_share:
        text = (f'{reasons[0].text} In {formatting.quantity(graspless_share, "1")} of the places where it may lie '
                f'there is no grasp ({formatting.reason(graspless_reason)}).')
        reasons[0] = replace(reasons[0], text=text)
    return reasons


def _lift_reason(name: str, figures: Figures, needs: Needs) -> Reason:
    """It decides only where it is missed for sure."""
    lift, wanted = LIFTS[name], needs.success
    figure, interval = getattr(figures, lift.figure), figures.interval(lift.figure)
    said = f'{formatting.quantity(figure, "1")} {formatting.interval(interval, "1")}'
    return Reason(name, figure >= wanted, figure, wanted, '1',
                  lift.text.format(said, formatting.quantity(wanted, '1')),
                  decides=name in DECISIVE and interval.high < wanted, interval=interval)


def _orientation_reasons(attainable: AttainableAccuracy, needs: Needs) -> list[Reason]:
    """Whether the picture tells which way round the object is, beyond the symmetries on its card."""
    share, allowed = attainable.ambiguous_share, 1 - needs.success
    if share > allowed + 1e-9:
        alike = '; '.join(each.text for each in attainable.ambiguities if not each.is_harmless)
        return [Reason('orientation', False, share, allowed, '1',
                       f'In {formatting.quantity(share, "1")} of the views the image does not tell which way '
                       f'round the object is: {alike}.')]
    but = f', but for {formatting.quantity(share, "1")} of the views' if share else ''
    told = Reason('orientation', True, share, allowed, '1', f'The image tells which way round the object is{but}.')
    twins = [each for each in attainable.ambiguities if each.kind in TWINS and each.twin_share]
    return [told, *(Reason('twins', False, each.twin_share, 0.0, '1', f'{each.text[0].upper()}{each.text[1:]}.',
                           decides=False) for each in twins[:1])]


def _time_reason(timing: Timing) -> Reason:
    """What was measured is this machine's, as busy as it is: another may mend it."""
    nearly_all = f', 95 % at most {formatting.quantity(timing.pose_p95_ms, "ms")}' if timing.pose_p95_ms else ''
    return Reason('time', timing.is_kept, timing.late_ms, timing.allowed_ms, 'ms',
                  f'A pose takes {formatting.quantity(timing.pose_ms, "ms")}{nearly_all}; {timing.rate_hz:g} Hz '
                  f'leave {formatting.quantity(timing.allowed_ms, "ms")}.', decides=timing.is_stated)


def _break_even_reason(worth: dict, figures: Figures) -> Reason:
    """Whether the success to be expected pays; it decides where even the ideal one surely does not."""
    pays, success = worth['pays_from'], figures.success
    watched = 'where nobody watches' if worth['unattended'] else 'where a person watches'
    return Reason('break_even', success >= pays['value'], success, pays['value'], '1',
                  f'It pays from {formatting.quantity(pays["value"], "1")} success on '
                  f'{formatting.interval(pays["interval"], "1")} {watched}; '
                  f'{formatting.quantity(success, "1")} are expected.',
                  decides=figures.ideal < pays['interval'][0])
