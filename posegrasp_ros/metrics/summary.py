# SPDX-License-Identifier: Apache-2.0
"""Summary of a run, schema ``posegrasp.summary/1``: headline, stages, metrics, verdicts and failure attribution.

All three stages and all metrics are always present. A metric without data has n 0, the value null and no verdict.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.metrics.baselines.verdicts import compare
from posegrasp_ros.metrics.calibration_guard import UNLIKE
from posegrasp_ros.metrics.catalogue import catalogue, curves
from posegrasp_ros.metrics.confusion import NOT_FOUND, NOTHING
from posegrasp_ros.metrics.diagnosis.failure_attribution import waterfall
from posegrasp_ros.metrics.diagnosis.next_step import next_step
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.measured import measured
from posegrasp_ros.metrics.pose.calibration import reliability
from posegrasp_ros.metrics.stage_report import STAGES
from posegrasp_ros.metrics.stats.clusters import count_of
from posegrasp_ros.metrics.tracking_metrics import state_counts
from posegrasp_ros.metrics.truth_errors import as_exact, is_exact, truth_errors
from posegrasp_ros.metrics.visible_share_slices import visible_share_slices

SCHEMA = 'posegrasp.summary/1'
CONFIDENCE_LEVELS = tuple(tenth / 10 for tenth in range(1, 10))


def measure(table: FrameTable, unlike: str = '') -> dict[str, dict]:
    """All metrics by name, see :func:`posegrasp_ros.metrics.measured.measured`."""
    return {name: measured(metric, table, unlike) for name, metric in catalogue().items()}


def summarise(table: FrameTable, baselines: Baselines | None, provenance: dict) -> dict:
    """Summary of a run as plain values, ready for JSON.

    Of a run about several objects it is over all of them, with ``objects``, the same for each, and ``confusion``.
    """
    table = as_exact(table) if is_exact(provenance) else table
    unlike = provenance.get(UNLIKE, {})
    summary = {'schema': SCHEMA, **_part(table, baselines, next(iter(unlike.values()), '')),
               'provenance': provenance}
    names = table.objects.present()
    if len(names) > 1:
        summary['objects'] = {name: _part(table.chosen(table.objects == name), baselines, unlike.get(name, ''))
                              for name in names}
        summary['confusion'] = confusion(table)
    return summary


def _part(table: FrameTable, baselines: Baselines | None, unlike: str) -> dict:
    """What a summary says of frames."""
    metrics = measure(table, unlike)
    return judged({
        'headline': headline_of(metrics),
        'stages': {stage: _stage(table, stage) for stage in STAGES},
        'metrics': metrics,
        'verdicts': [],
        'waterfall': waterfall(table),
        'next': {},
        'failures': _failures(table),
        'frames': {'seen': len(table), 'with_object': int(table.counts_for_recall.sum()),
                   'without_object': int(table.is_without_object.sum()),
                   'blocks': count_of(table.blocks), 'block_s': table.block_s,
                   'repeated_messages': table.repeats},
        'lost': {**{stage: int(table.lost[stage].sum()) for stage in STAGES},
                 'poses': int(table.has_lost_pose.sum())},
        'distributions': {curve.key: _distribution(table, curve.errors(table), curve.unit) for curve in curves()},
        'latency': {stage: _latency(table, stage) for stage in STAGES},
        'calibration': _calibration(table),
        'truth_errors': truth_errors(table),
        'states': state_counts(table),
        'by_visible_share': visible_share_slices(table, unlike),
    }, baselines)


def confusion(table: FrameTable) -> dict[str, dict[str, int]]:
    """How often the instances of each object, the rows, were taken for each object: {true: {taken for: count}}.

    The last row counts poses on no known instance, the last column instances that no pose was on. Hidden instances
    do not count.
    """
    names = table.objects.present()
    taken: Counter[tuple[str, str]] = Counter()
    for name in names:
        its_own = table.objects == name
        for others, count in table.taken_for.counts(its_own & ~table.is_hidden).items():
            for other in others:
                taken[name, other] += count
        taken[NOTHING, name] += int(table.stray_poses[its_own].sum())
    return {true: {other: taken[true, other] for other in (*names, *((NOT_FOUND,) if true != NOTHING else ()))}
            for true in (*names, NOTHING)}


def judged(summary: dict, baselines: Baselines | None) -> dict:
    """A summary with verdicts against a baselines file and the next step derived from them."""
    verdicts = compare(summary['metrics'], baselines)
    return {**summary, 'verdicts': verdicts,
            'next': next_step(summary['headline'], summary['metrics'], verdicts, summary['waterfall'],
                              summary['frames']['block_s'])}


def _calibration(table: FrameTable) -> dict:
    """Calibration data to plot: share of correct poses by score, share of truths inside the region by level."""
    scored, levels = table.is_scored, table.confidence_level[table.states_covariance]
    return {
        'score': reliability(table.score[scored], table.is_right[scored]) if scored.any() else None,
        'covariance': [{'level': level, 'inside': float((levels <= level).mean())}
                       for level in CONFIDENCE_LEVELS] if levels.size else None,
    }


def headline_of(metrics: dict[str, dict]) -> dict:
    """Grasp success where picks are reported, else the share of all frames whose pose is good enough.

    Where no frame contains the object, the share of frames with a false pose.
    """
    measured = (name for name in ('grasp_success_rate', 'recall_1cm_5deg', 'false_poses') if metrics[name]['n'])
    name = next(measured, 'recall_1cm_5deg')
    return {'name': name, **{key: metrics[name][key] for key in ('value', 'interval', 'n')}}


def _stage(table: FrameTable, stage: str) -> dict:
    """Coverage and latency of a stage."""
    inputs, answered = int(table.inputs(stage).sum()), int(table.answered(stage).sum())
    times, latency = table.known_latency_ms(stage), None
    if times.size:
        latency = dict(zip(('p50', 'p95', 'p99'), np.percentile(times, (50, 95, 99)).tolist()))
    return {'inputs': inputs, 'answered': answered, 'coverage': answered / inputs if inputs else None,
            'latency_ms': latency}


def _failures(table: FrameTable) -> dict[str, int]:
    """Failed frames by the reason of the first stage that failed, most frequent first.

    In frames without the object, a pose is the only failure; in frames that hide it, no answer is none.
    """
    found = table.answered('perception')
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}

    def count(reason: str, failed: np.ndarray) -> None:
        if number := int(np.count_nonzero(failed)):
            counts[reason] += number
            first[reason] = min(first.get(reason, len(table)), int(np.argmax(failed)))

    count('false_pose', table.is_without_object & found)
    left = ~table.is_without_object & ~(table.is_hidden & ~found)
    for stage in STAGES:
        failed = left & table.inputs(stage) & ~table.answered(stage)
        if failed.any():
            silent, reasons = failed & ~table.reported(stage), table.reports[stage].reasons
            count(f'{stage}_silent', silent)
            for reason in [word for word, number in reasons.counts(failed & ~silent).items() if number]:
                count(reason or f'{stage}_failed', failed & ~silent & (reasons == reason))
            left &= ~failed
    # After a successful pick the pose was good enough, whatever its error.
    inaccurate = table.counts_for_recall & ~table.is_accurate
    count('inaccurate_pose', left & inaccurate & ~table.reported('execution'))
    return {reason: counts[reason] for reason in sorted(counts, key=lambda each: (-counts[each], first[each]))}


def _distribution(table: FrameTable, errors: np.ndarray, unit: str) -> dict | None:
    """Percentiles of the error over the frames with the object; null where there was no answer.

    Frames with an unknown error are left out, such as projection errors without a known camera.
    """
    counted = errors[table.counts_for_recall & ~np.isnan(errors)]  # a copy
    if not counted.size:
        return None
    ranks = np.maximum(-(-counted.size * np.arange(101) // 100) - 1, 0)  # the smallest that so many do not exceed
    counted.partition(np.unique(ranks))
    quantiles = counted[ranks]
    return {'unit': unit, 'percentiles': [float(q) if np.isfinite(q) else None for q in quantiles]}


def _latency(table: FrameTable, stage: str) -> dict | None:
    """Percentiles of a stage's latency, milliseconds, over the reports that state it."""
    times = table.known_latency_ms(stage)
    return {'percentiles': np.percentile(times, np.arange(101)).tolist()} if times.size else None
