# SPDX-License-Identifier: Apache-2.0
"""First card of a run's report: the answer in one sentence, how many frames passed, and three of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.catalogue import catalogue
from posegrasp_ros.metrics.diagnosis.next_step import figures
from posegrasp_ros.report.frame_rows import CAUSES, PASSED, FrameRow, FrameRows

WHAT = {
    'recall_1cm_5deg': ('have a pose within 1 cm and 5°', 'frames with the object'),
    'grasp_success_rate': ('lifted the object', 'attempts'),
    'false_poses': ('have a false pose', 'frames without the object'),
}
"""By headline what its frames do, and what they are."""
ENDS = {'better': 'meets the requirement of {need}', 'worse': 'misses the requirement of {need}'}


@dataclass(frozen=True)
class PickedFrame:
    """A frame of the montage."""

    title: str
    row: FrameRow


@dataclass(frozen=True)
class FirstCard:
    """What a reader sees first.

    :param sentence: the answer
    :param missed: see :func:`also_missed`
    :param counts: (number, text, kind) of frames; the kind is ``pass``, ``fail`` or empty
    :param frames: a good, a typical and the worst one, as far as there are pictures
    """

    sentence: str
    missed: list[str]
    counts: tuple[tuple[int, str, str], ...]
    frames: tuple[PickedFrame, ...]


def first_card(summary: Mapping[str, Any], needed: Mapping[str, Any] | None,
               frames: FrameRows | None) -> FirstCard:
    """The first card of a run.

    :param needed: verdict on the headline against its requirement; None without a requirement
    :param frames: of the run; None where only its summary is known
    """
    headline = summary['headline']
    if headline['value'] is None:
        stage = summary['stages']['perception']
        answered, inputs = stage['answered'], stage['inputs']
        sentence = (f'{answered} of {inputs} frames got a pose, but the poses were not checked: there is no '
                    'ground truth, and no pick was reported.' if answered else
                    f'None of {inputs} frames got a pose, and there is no ground truth that says whether the '
                    'object was in them.')
        counts = ((answered, 'with a pose, not checked', ''), (inputs - answered, 'without a pose', ''))
        return FirstCard(sentence, also_missed(summary), counts, _by_score(frames))
    count = round(headline['value'] * headline['n'])
    does, what = WHAT.get(headline['name'], (f'count for {formatting.label(headline["name"])}', 'frames'))
    share = formatting.quantity(headline['value'], '1')
    sentence = f'{count} of {headline["n"]} {what} {does}: {share}{_end(needed, what.split()[0])}.'
    passed = headline['n'] - count if headline['name'] == 'false_poses' else count
    counts = ((passed, 'passed', 'pass'), (headline['n'] - passed, 'failed', 'fail'))
    other = frames.total - frames.judged if frames else 0
    return FirstCard(sentence, also_missed(summary), (*counts, *(((other, 'not counted', ''),) if other else ())),
                     _by_error(frames))


def also_missed(summary: Mapping[str, Any]) -> list[str]:
    """The requirements that are significantly missed besides the headline's, with figures.

    Those that judge the same poses once more are left out.
    """
    missed = {item['metric']: item for item in reversed(summary['verdicts'])
              if item['kind'] == 'requirement' and item['verdict'] == 'worse'}
    first = {*missed, summary['headline']['name']}
    return [f'{formatting.label(metric)} {figures(item)}' for metric, item in reversed(missed.items())
            if metric != summary['headline']['name'] and catalogue()[metric].same_poses_as not in first]


def _end(needed: Mapping[str, Any] | None, what: str) -> str:
    if needed is None:
        return '; the baselines state no requirement'
    bound = 'at most' if needed['direction'] == 'lower_is_better' else 'at least'
    need = f'{bound} {formatting.quantity(needed["reference"], needed["unit"])}'
    return ', which ' + ENDS[needed['verdict']].format(need=need) if needed['verdict'] in ENDS else \
        f'. The requirement is {need}: too few {what} to tell whether it is met'


def _by_error(frames: FrameRows | None) -> tuple[PickedFrame, ...]:
    """The frames with the smallest, the median and the largest error that there are pictures of."""
    drawn = [row for row in frames.rows if row.picture] if frames else []
    posed = sorted((row for row in drawn if row.position_m is not None and row.error is not None),
                   key=lambda row: row.error or 0.0)
    unposed = [row for row in drawn if row.outcome in CAUSES and row.position_m is None]
    if frames is None or frames.median_error is None or not posed:
        passed = [row for row in drawn if row.outcome == PASSED]
        return _distinct([*(PickedFrame('Failed', row) for row in drawn if row.failed)][:2]
                         + [PickedFrame('Passed', row) for row in passed[:1]])
    median = frames.median_error
    typical = min(posed, key=lambda row: abs((row.error or 0.0) - median))
    best = PickedFrame('Good' if posed[0].outcome == PASSED else 'Best', posed[0])
    chosen = [best, PickedFrame('Typical (median relative to the requirement)', typical)]
    chosen.append(PickedFrame('No pose given', unposed[0]) if unposed and not posed[-1].failed else
                  PickedFrame('Worst', posed[-1]))
    return _distinct(chosen)


def _by_score(frames: FrameRows | None) -> tuple[PickedFrame, ...]:
    """The same by the estimator's own score, where nothing else is known, and a frame without a pose."""
    drawn = [row for row in frames.rows if row.picture] if frames else []
    scored = sorted((row for row in drawn if row.score is not None and not row.failed),
                    key=lambda row: -(row.score or 0.0))
    unposed = [row for row in drawn if row.failed]
    chosen = []
    if scored:
        chosen = [PickedFrame('Highest score', scored[0]), PickedFrame('Lowest score', scored[-1])]
    chosen += [PickedFrame('No pose given', row) for row in unposed[:1]]
    return _distinct(chosen)


def _distinct(chosen: list[PickedFrame]) -> tuple[PickedFrame, ...]:
    """Each frame once."""
    return tuple({id(each.row): each for each in reversed(chosen)}.values())[::-1]
