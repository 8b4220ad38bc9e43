"""The summary of a run, ``posegrasp.summary/1``: stages, metrics, verdicts, failures and one headline.

All three stages and all metrics are always named. What has no data has n 0 and the value null, never a made-up
zero, and gets no verdict.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posegrasp_ros.metrics.baselines import METRIC_UNITS, Ledger
from posegrasp_ros.metrics.calibration import (
    COVERAGE_LEVEL,
    expected_calibration_error,
    expected_calibration_error_interval,
    reliability,
)
from posegrasp_ros.metrics.pose_errors import STATED_NEED, Tolerance
from posegrasp_ros.metrics.stage_report import STAGES
from posegrasp_ros.metrics.statistics import Interval, quantile_interval, rate_interval, verdict

SCHEMA = 'posegrasp.summary/1'
# Good enough for the grasp, the stated need; models whose card says nothing else score themselves by the same two.
RECALL_POSITION_M, RECALL_ROTATION_RAD = STATED_NEED
RECALL_ADD_SHARE = 0.1
CONFIDENCE_LEVELS = tuple(tenth / 10 for tenth in range(1, 10))


@dataclass(frozen=True)
class FrameTable:
    """A run's N frames as columns; unknown times are NaN, errors of unanswered frames infinite.

    :param blocks: (N,) stretch of ``block_s`` seconds that each frame lies in, what the bootstrap draws
    :param is_without_object: (N,) whether nothing is to be found in the frame
    :param instances: (N, 3) objects in the frame, poses of them, pairs of the two that agree; zeros where a frame
        was not said to have several
    :param score: (N,) perception's own; NaN where it states none
    :param confidence_level: (N,) level of the estimate's smallest confidence region that holds the truth; NaN
        where there is no estimate, covariance or truth
    :param reports: per frame {stage: (ok, reason)}
    :param diameter_m: the object's; None when no pose errors are measured
    """

    blocks: np.ndarray
    block_s: float
    has_image: np.ndarray
    has_truth: np.ndarray
    is_without_object: np.ndarray
    reports: list[dict[str, tuple[bool, str]]]
    latency_ms: dict[str, np.ndarray]
    position_error_m: np.ndarray
    rotation_error_rad: np.ndarray
    add_error_m: np.ndarray
    instances: np.ndarray
    score: np.ndarray
    confidence_level: np.ndarray
    diameter_m: float | None
    tolerance: Tolerance
    repeats: int

    def __len__(self) -> int:
        return len(self.reports)

    def reported(self, stage: str) -> np.ndarray:
        """(N,) whether the stage said anything of a frame."""
        return np.array([stage in reports for reports in self.reports], dtype=bool)

    def answered(self, stage: str) -> np.ndarray:
        """(N,) whether the stage had an answer to a frame."""
        return np.array([reports.get(stage, (False, ''))[0] for reports in self.reports], dtype=bool)

    def inputs(self, stage: str) -> np.ndarray:
        """(N,) whether the stage had a frame to answer, silence included.

        Perception has every image. Planning, if it runs at all, has every frame in which perception found
        something. Not every plan is carried out, so execution has only what it reports.
        """
        reported = self.reported(stage)
        if stage == 'perception':
            return reported | self.has_image | self.has_truth | self.is_without_object
        if stage == 'planning' and reported.any():
            return reported | self.answered('perception')
        return reported

    @cached_property
    def counts_for_recall(self) -> np.ndarray:
        """(N,) whether the object is in the frame and its pose is measured."""
        return self.has_truth if self.diameter_m is not None else np.zeros(len(self), dtype=bool)

    @cached_property
    def is_accurate(self) -> np.ndarray:
        """(N,) whether the pose is within 1 cm and 5 degrees."""
        return (self.position_error_m < RECALL_POSITION_M) & (self.rotation_error_rad < RECALL_ROTATION_RAD)

    @cached_property
    def is_right(self) -> np.ndarray:
        """(N,) whether the pose is within the model card's tolerance, which its score is a probability of."""
        return ((self.position_error_m < self.tolerance.position_m)
                & (self.rotation_error_rad < self.tolerance.rotation_rad))

    @cached_property
    def has_found(self) -> np.ndarray:
        """(N,) whether there is a pose of the object that is in the frame."""
        return self.counts_for_recall & np.isfinite(self.position_error_m)

    @cached_property
    def is_scored(self) -> np.ndarray:
        """(N,) whether the score of the pose can be held against its truth."""
        return self.has_found & np.isfinite(self.score)

    @cached_property
    def states_covariance(self) -> np.ndarray:
        """(N,) whether the covariance of the pose can be held against its truth."""
        return self.has_found & np.isfinite(self.confidence_level)


def summarise(table: FrameTable, ledger: Ledger | None, provenance: dict) -> dict:
    """The summary of a run as plain values, ready for JSON."""
    metrics = measure(table)
    return {
        'schema': SCHEMA,
        'headline': _headline(metrics),
        'stages': {stage: _stage(table, stage) for stage in STAGES},
        'metrics': metrics,
        'verdicts': compare(metrics, ledger),
        'failures': _failures(table),
        'frames': {'seen': len(table), 'with_object': int(table.counts_for_recall.sum()),
                   'without_object': int(table.is_without_object.sum()),
                   'blocks': len(np.unique(table.blocks)), 'block_s': table.block_s,
                   'repeated_messages': table.repeats},
        'distributions': {'position_error': _distribution(table, table.position_error_m, 'm'),
                          'rotation_error': _distribution(table, table.rotation_error_rad, 'rad')},
        'calibration': _calibration(table),
        'provenance': provenance,
    }


def compare(metrics: dict, ledger: Ledger | None) -> list[dict]:
    """Every measured metric against every entry of the ledger."""
    verdicts = []
    for name, baselines in (ledger.metrics if ledger else {}).items():
        metric = metrics[name]
        for entry in baselines.entries if metric['n'] else ():
            verdicts.append({
                'metric': name, 'entry': entry.name, 'kind': entry.kind, 'value': metric['value'],
                'interval': metric['interval'], 'reference': entry.value, 'unit': metric['unit'],
                'direction': baselines.direction, 'fair': entry.fair, 'note': entry.note,
                'source': entry.source, 'tolerance': entry.tolerance,
                'verdict': verdict(metric['interval'], entry.value, baselines.direction, entry.tolerance),
            })
    return verdicts


def measure(table: FrameTable) -> dict[str, dict]:
    """All metrics: {name: {value, unit, interval, n}}.

    Image to grasp is the time of perception and planning; what messages take between nodes is not in it.
    """
    found = table.has_found
    posed = table.answered('perception')
    planned = table.answered('planning')
    to_pose = table.latency_ms['perception']
    to_grasp = to_pose + table.latency_ms['planning']
    small_add = table.add_error_m < RECALL_ADD_SHARE * (table.diameter_m or 0.0)
    attempts = np.arange(len(table))
    return {
        'position_error_median': _median(table, 'position_error_median', table.position_error_m, found),
        'rotation_error_median': _median(table, 'rotation_error_median', table.rotation_error_rad, found),
        'recall_1cm_5deg': _rate(table.is_accurate, table.counts_for_recall, table.blocks),
        'add_recall_10pct': _rate(small_add, table.counts_for_recall, table.blocks),
        'covariance_coverage_90': _rate(table.confidence_level <= COVERAGE_LEVEL, table.states_covariance,
                                        table.blocks),
        'score_ece': _score_error(table),
        'false_poses': _rate(posed, table.is_without_object, table.blocks),
        'instance_recall': _share(table.instances[:, 2], table.instances[:, 0], table.blocks),
        'instance_precision': _share(table.instances[:, 2], table.instances[:, 1], table.blocks),
        'grasp_success_rate': _rate(table.answered('execution'), table.inputs('execution'), attempts),
        'image_to_pose_p50': _median(table, 'image_to_pose_p50', to_pose, posed),
        'image_to_grasp_p50': _median(table, 'image_to_grasp_p50', to_grasp, planned),
    }


def _metric(value: float | None, unit: str, interval: Interval | None, count: int) -> dict:
    return {'value': value, 'unit': unit, 'interval': list(interval) if interval else None, 'n': int(count)}


def _median(table: FrameTable, name: str, values: np.ndarray, chosen: np.ndarray) -> dict:
    """Median over the chosen frames whose value is known."""
    chosen = chosen & np.isfinite(values)
    if not chosen.any():
        return _metric(None, METRIC_UNITS[name], None, 0)
    interval = quantile_interval(values[chosen], table.blocks[chosen])
    return _metric(float(np.median(values[chosen])), METRIC_UNITS[name], interval, chosen.sum())


def _rate(successes: np.ndarray, counted: np.ndarray, clusters: np.ndarray) -> dict:
    """Share of successes among the counted frames."""
    if not counted.any():
        return _metric(None, '1', None, 0)
    interval = rate_interval(successes[counted], clusters[counted])
    return _metric(float(successes[counted].mean()), '1', interval, counted.sum())


def _share(parts: np.ndarray, wholes: np.ndarray, clusters: np.ndarray) -> dict:
    """Share of (N,) counts in others, of which each one is a trial."""
    place = np.concatenate([np.arange(whole) for whole in wholes]) if wholes.size else np.zeros(0)
    return _rate(place < np.repeat(parts, wholes), np.ones(place.size, dtype=bool), np.repeat(clusters, wholes))


def _score_error(table: FrameTable) -> dict:
    """Expected calibration error over the frames that have an answer, a score and a truth."""
    chosen = table.is_scored
    if not chosen.any():
        return _metric(None, '1', None, 0)
    scores, right = table.score[chosen], table.is_right[chosen]
    interval = expected_calibration_error_interval(scores, right, table.blocks[chosen])
    return _metric(expected_calibration_error(scores, right), '1', interval, chosen.sum())


def _calibration(table: FrameTable) -> dict:
    """What is drawn of score and covariance: share right by score, share of truths inside by level."""
    scored, levels = table.is_scored, table.confidence_level[table.states_covariance]
    return {
        'score': reliability(table.score[scored], table.is_right[scored]) if scored.any() else None,
        'covariance': [{'level': level, 'inside': float((levels <= level).mean())}
                       for level in CONFIDENCE_LEVELS] if levels.size else None,
    }


def _headline(metrics: dict[str, dict]) -> dict:
    """Grasp success where picks are reported, else the share of all frames whose pose is good enough.

    Where the object is known to be in none of them, the share of frames with a pose nevertheless.
    """
    measured = (name for name in ('grasp_success_rate', 'recall_1cm_5deg', 'false_poses') if metrics[name]['n'])
    name = next(measured, 'recall_1cm_5deg')
    return {'name': name, **{key: metrics[name][key] for key in ('value', 'interval', 'n')}}


def _stage(table: FrameTable, stage: str) -> dict:
    """How often a stage answered, and how long it took."""
    inputs, answered = int(table.inputs(stage).sum()), int(table.answered(stage).sum())
    times = table.latency_ms[stage]
    times = times[np.isfinite(times)]
    latency = None
    if times.size:
        latency = dict(zip(('p50', 'p95', 'p99'), np.percentile(times, (50, 95, 99)).tolist()))
    return {'inputs': inputs, 'answered': answered, 'coverage': answered / inputs if inputs else None,
            'latency_ms': latency}


def _failures(table: FrameTable) -> dict[str, int]:
    """Frames by the reason of the first stage that failed them, most frequent first.

    Where nothing is to be found, a pose is the only failure.
    """
    inputs = {stage: table.inputs(stage) for stage in STAGES}
    inaccurate = table.counts_for_recall & ~table.is_accurate
    reasons: Counter[str] = Counter()
    for index, reports in enumerate(table.reports):
        if table.is_without_object[index]:
            if reports.get('perception', (False, ''))[0]:
                reasons['false_pose'] += 1
            continue
        for stage in STAGES:
            ok, reason = reports.get(stage, (False, f'{stage}_silent'))
            if inputs[stage][index] and not ok:
                reasons[reason or f'{stage}_failed'] += 1
                break
        else:
            # Where a pick was tried and held, the pose was good enough, whatever its error.
            if inaccurate[index] and 'execution' not in reports:
                reasons['inaccurate_pose'] += 1
    return dict(reasons.most_common())


def _distribution(table: FrameTable, errors: np.ndarray, unit: str) -> dict | None:
    """Error at every percent of the frames with the object: null where no answer was given."""
    counted = errors[table.counts_for_recall]
    if not counted.size:
        return None
    quantiles = np.quantile(counted, np.linspace(0, 1, 101), method='inverted_cdf')
    return {'unit': unit, 'percentiles': [float(q) if np.isfinite(q) else None for q in quantiles]}
