# SPDX-License-Identifier: Apache-2.0
"""Runs side by side, the first as the reference: frame by frame where both used the same frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posegrasp_ros.metrics.baselines.verdicts import difference_interval
from posegrasp_ros.metrics.catalogue import ON_TARGET, catalogue
from posegrasp_ros.metrics.frame_pairs import LEVEL
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.metrics.run import block_ns_of
from posegrasp_ros.metrics.stats.intervals import Interval, verdict
from posegrasp_ros.metrics.stats.paired import mcnemar_exact, paired_difference
from posegrasp_ros.report.provenance_table import in_words
from posegrasp_ros.runs.finished_run import FinishedRun, FrameKey, LoggedAnswer, load_runs

SCHEMA = 'posegrasp.comparison/1'
# What the page shows of every run.
PARTS = ('schema', 'headline', 'stages', 'metrics', 'verdicts', 'failures', 'frames', 'distributions',
         'calibration', 'waterfall', 'latency', 'next', 'recordings', 'provenance')
MOST_CHANGES = 12
# Metrics that are a median of what an answer tells.
MEDIANS = {'position_error_median': 'position_error_m', 'rotation_error_median': 'rotation_error_rad',
           'image_to_pose_p50': 'latency_ms'}
# Provenance that differs between any two runs and tells nothing.
UNTELLING = ('time', 'bags', 'warnings')


def compare_runs(folders: Sequence[Path]) -> dict:
    """Compare runs with the first of them.

    :return: {schema, runs: {name: parts of its summary}, reference: name, same_frames: {name: count},
        differences: [...], changes: [...], settings: [...]}, plain values ready for JSON
    :raises posegrasp_ros.runs.finished_run.FinishedRunError: when a folder holds no run
    """
    reference, *others = runs = load_runs(list(folders))
    shared = {run.name: shared_frames(reference, run) for run in others}
    return {
        'schema': SCHEMA,
        'reference': reference.name,
        'runs': {run.name: {'folder': str(run.folder), 'estimator': run.estimator, 'partial': run.partial,
                            **{key: run.summary.get(key) for key in PARTS}} for run in runs},
        'same_frames': {name: len(keys) for name, keys in shared.items()},
        'differences': [each for run in others for each in differences(reference, run, shared[run.name])],
        'changes': [each for run in others for each in changes(reference, run, shared[run.name])],
        'settings': _settings(runs),
    }


def change_pictures(folders: Sequence[Path], comparison: dict) -> list[tuple[str, str]]:
    """Pictures of the frames in ``comparison['changes']``: data URIs of the reference's and of the other run's;
    empty where a run kept none.

    :param folders: that were compared
    """
    runs = {run.name: run for run in load_runs(list(folders))}
    found = []
    for change in comparison['changes']:
        key = FrameKey(change['bag'], change['stamp_ns'], change['object'])
        of_reference, of_other = (runs[name].pictures.get(key, '') for name in
                                  (comparison['reference'], change['run']))
        found.append((of_reference, of_other))
    return found


def shared_frames(first: FinishedRun, second: FinishedRun) -> list[FrameKey]:
    """The frames on which both report, of recordings that are the same file by file.

    Stamps alone do not tell: every simulated recording begins at the same second.
    """
    same = {name for name, bag in first.bags.items() if second.bags.get(name) == bag}
    if not same:
        return []
    return sorted(key for key in first.answers.keys() & second.answers.keys() if key.bag in same)


def differences(reference: FinishedRun, run: FinishedRun, shared: Sequence[FrameKey]) -> list[dict]:
    """What a run has more or less of every metric that both measured: {run, metric, unit, difference, interval,
    p_value, n, is_paired, verdict}; the verdict is null for metrics that are to be on a target."""
    paired = _paired_differences(reference, run, shared) if shared else {}
    found = []
    for name, metric in catalogue().items():
        first, second = (each.summary['metrics'].get(name, {'n': 0}) for each in (reference, run))
        if not (first['n'] and second['n']):
            continue
        difference, interval, p_value, count = paired.get(name) or (
            second['value'] - first['value'], unpaired_interval(first, second), None, None)
        judged = None if metric.direction == ON_TARGET else verdict(interval, 0.0, metric.direction)
        if judged and p_value is not None and p_value >= LEVEL:
            judged = 'inconclusive'  # interval and test are two methods: where they disagree, nothing is decided
        found.append({'run': run.name, 'metric': name, 'unit': metric.unit, 'difference': difference,
                      'interval': list(interval) if interval else None, 'p_value': p_value, 'n': count,
                      'is_paired': name in paired, 'verdict': judged})
    return found


def unpaired_interval(first: dict, second: dict) -> Interval | None:
    """95 % interval of the difference of two metrics that were measured apart; too wide on the same frames."""
    if first['interval'] is None or second['interval'] is None:
        return None
    return difference_interval(second['value'], Interval(*second['interval']), first['value'],
                               Interval(*first['interval']))


def changes(reference: FinishedRun, run: FinishedRun, shared: Sequence[FrameKey]) -> list[dict]:
    """The frames that one of two runs has right and the other wrong, the largest changes first.

    Each {run, bag, stamp_ns, object, gained, reference, other}, the last two {position_m, rotation_rad}, or null
    for no pose.
    """
    found = []
    for key in shared:
        first, second = reference.answers[key], run.answers[key]
        if is_right(first) != is_right(second):
            found.append((_size(first, second), key, first, second))
    found.sort(key=lambda item: (-item[0], item[1]))
    return [{'run': run.name, 'bag': key.bag, 'stamp_ns': key.stamp_ns, 'gained': is_right(second),
             'object': key.object, 'reference': _errors(first), 'other': _errors(second)}
            for _, key, first, second in found[:MOST_CHANGES]]


def is_right(answer: LoggedAnswer) -> bool:
    """Whether a pose is within 1 cm and 5 degrees."""
    return (answer.position_error_m < STATED_NEED.position_m
            and answer.rotation_error_rad < STATED_NEED.rotation_rad)


def _paired_differences(reference: FinishedRun, run: FinishedRun, shared: Sequence[FrameKey]) -> dict[str, tuple]:
    """By metric (difference, interval, p, number of frames), of what is known frame by frame."""
    pairs = [(reference.answers[key], run.answers[key]) for key in shared]
    blocks = _blocks(shared, reference)
    found = {metric: _paired_median(pairs, field, blocks) for metric, field in MEDIANS.items()}
    if any(answer.has_error for pair in pairs for answer in pair):
        # Of frames that neither run answers the log does not tell whether there was a truth; the summary may.
        counted = np.array([_all_have_truth(reference, run) or any(answer.has_error for answer in pair)
                            for pair in pairs])
        right = np.array([[is_right(answer) for answer in pair] for pair in pairs])
        found['recall_1cm_5deg'] = _paired_share(right[counted], blocks[counted])
    if _all_are_empty(reference, run):
        posed = np.array([[answer.is_posed for answer in pair] for pair in pairs])
        found['false_poses'] = _paired_share(posed, blocks)
    attempts = sorted(reference.picks.keys() & run.picks.keys() & set(shared))
    if attempts:
        lifted = np.array([[reference.picks[key], run.picks[key]] for key in attempts])
        found['grasp_success_rate'] = _paired_share(lifted, np.arange(len(attempts)))
    return {metric: each for metric, each in found.items() if each}


def _paired_median(pairs: Sequence[tuple[LoggedAnswer, LoggedAnswer]], field: str,
                   blocks: np.ndarray) -> tuple | None:
    """(difference, interval, no p, number) of two medians over the frames that both answer."""
    values = np.array([[getattr(answer, field) if answer.is_posed else math.nan for answer in pair]
                       for pair in pairs])
    known = np.isfinite(values).all(axis=1)
    if not known.any():
        return None
    first, second = values[known].T
    return (*paired_difference(second, first, blocks[known], 'median'), None, len(first))


def _paired_share(right: np.ndarray, clusters: np.ndarray) -> tuple:
    """(difference, interval, p, number) of two shares of (N, 2) that are right."""
    return (*paired_difference(right[:, 1].astype(float), right[:, 0].astype(float), clusters, 'mean'),
            mcnemar_exact(right[:, 1], right[:, 0], clusters), len(right))


def _all_have_truth(*runs: FinishedRun) -> bool:
    return all(run.summary['frames']['with_object'] == run.summary['frames']['seen'] for run in runs)


def _all_are_empty(*runs: FinishedRun) -> bool:
    return all(run.summary['frames']['without_object'] == run.summary['frames']['seen'] for run in runs)


def _blocks(keys: Sequence[FrameKey], run: FinishedRun) -> np.ndarray:
    """(N,) number of the stretch of time that each frame lies in, as the summary counted them."""
    block_ns = block_ns_of(run.summary['frames']['block_s'])
    numbers: dict[tuple[str, int], int] = {}

    def block(key: FrameKey) -> int:
        told = run.answers[key].block
        return key.stamp_ns // block_ns if told is None else told

    return np.array([numbers.setdefault((key.bag, block(key)), len(numbers)) for key in keys])


def _size(first: LoggedAnswer, second: LoggedAnswer) -> float:
    """How far a pose moved from right to wrong, by the need that it is farther beyond; no pose is farthest."""
    wrong = second if is_right(first) else first
    if not wrong.has_error:
        return math.inf
    return max(wrong.position_error_m / STATED_NEED.position_m,
               wrong.rotation_error_rad / STATED_NEED.rotation_rad)


def _errors(answer: LoggedAnswer) -> dict | None:
    return {'position_m': answer.position_error_m, 'rotation_rad': answer.rotation_error_rad} \
        if answer.has_error else None


def _settings(runs: Sequence[FinishedRun]) -> list[dict]:
    """What was not the same in all runs: {name, values: {run: text}}."""
    texts = {run.name: {**_flat(run.summary['provenance']), 'estimator': run.estimator or ''} for run in runs}
    names = dict.fromkeys(name for each in texts.values() for name in each)
    values = {name: {run: each.get(name, '') for run, each in texts.items()} for name in names}
    return [{'name': name, 'values': row} for name, row in values.items() if len(set(row.values())) > 1]


def _flat(provenance: dict) -> dict[str, str]:
    """Provenance as one level of texts; recordings by their names."""
    flat = {'bags': ', '.join(bag['name'] for bag in provenance.get('bags') or ())}
    for name, value in provenance.items():
        if name in UNTELLING:
            continue
        for inner, text in value.items() if isinstance(value, dict) else (('', value),):
            flat[f'{name} {inner}'.strip()] = in_words(text)
    return flat
