# SPDX-License-Identifier: Apache-2.0
"""Metrics of simulated picks: success rate by pose condition, and calibration of the predicted success."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from posegrasp_ros.metrics.pose.calibration import (
    expected_calibration_error,
    expected_calibration_error_interval,
    reliability,
)
from posegrasp_ros.metrics.stats.intervals import bootstrap, percentile_interval, wilson_interval

SCHEMA = 'posegrasp.picks/2'
LIFTED = 'lifted'
# How the planner treats pose uncertainty: with the given covariance; with assumed typical errors, as none is
# given; or ignoring it and ranking by grasp quality alone.
GIVEN, ASSUMED, QUALITY = 'covariance given', 'covariance not given', 'ranked by quality alone'
RANKINGS = (GIVEN, ASSUMED, QUALITY)


@dataclass(frozen=True)
class Condition:
    """The pose that the planner gets, and how it ranks grasps.

    :param pose: ``truth``, ``estimate`` (of the network) or ``noise`` (the truth with added noise)
    :param noise_m: standard deviation of the noise along each axis
    :param noise_rad: standard deviation of the noise about each axis
    :param ranking: one of :data:`RANKINGS`; for the true pose no covariance is given
    """

    pose: str
    noise_m: float = 0.0
    noise_rad: float = 0.0
    ranking: str = ASSUMED

    @property
    def name(self) -> str:
        """Name such as ``truth`` or ``noise 10 mm, covariance given``."""
        if self.pose != 'noise':
            return self.pose
        parts = [f'{1000 * self.noise_m:g} mm'] * bool(self.noise_m)
        parts += [f'{np.degrees(self.noise_rad):g}°'] * bool(self.noise_rad)
        return f'noise {" ".join(parts)}, {self.ranking}'


@dataclass(frozen=True)
class Attempt:
    """One pick.

    :param scene: scene number; attempts with the same number use the same scene
    :param object: object name
    :param condition: name of the :class:`Condition`
    :param result: :data:`LIFTED`, or a short failure reason
    :param success_probability: predicted by the planner; None where it found no grasp
    """

    scene: int
    object: str
    condition: str
    result: str
    success_probability: float | None = None

    @property
    def ok(self) -> bool:
        return self.result == LIFTED


def conditions_of(pose: str, noise_m: Iterable[float] = (), noise_rad: Iterable[float] = ()) -> list[Condition]:
    """Conditions tried at every scene: true pose, estimate if requested, every noise level with every ranking."""
    levels = [(level, 0.0) for level in noise_m] + [(0.0, level) for level in noise_rad]
    return [Condition('truth'), *([Condition('estimate', ranking=GIVEN)] if pose == 'estimate' else []),
            *(Condition('noise', *level, ranking) for level in levels for ranking in RANKINGS)]


def summarise(attempts: Sequence[Attempt], conditions: Sequence[Condition]) -> dict:
    """All figures of a run. Comparisons are paired by scene, so an unfinished run is not biased.

    :return: {conditions: [...], share_of_truth, curves: {position, rotation}, calibration}, plain values
    """
    return {
        'conditions': [{**asdict(condition), 'name': condition.name, **_counted(_under(attempts, condition))}
                       for condition in conditions],
        'share_of_truth': _share_of_truth(attempts, conditions),
        'curves': {'position': _curve(attempts, conditions, 'noise_m', 'm'),
                   'rotation': _curve(attempts, conditions, 'noise_rad', 'rad')},
        'calibration': _calibration(attempts, conditions),
    }


def _under(attempts: Sequence[Attempt], condition: Condition) -> list[Attempt]:
    return [attempt for attempt in attempts if attempt.condition == condition.name]


def _counted(attempts: list[Attempt]) -> dict:
    """Success rate with interval, in total and by object, and failure counts by reason."""
    names = {attempt.object for attempt in attempts}
    failures = Counter(attempt.result for attempt in attempts if not attempt.ok)
    by_object = {name: _rate([each for each in attempts if each.object == name]) for name in sorted(names)}
    return {**_rate(attempts), 'failures': dict(failures.most_common()), 'objects': by_object}


def _rate(attempts: list[Attempt]) -> dict:
    lifted, count = sum(attempt.ok for attempt in attempts), len(attempts)
    return {'n': count, 'lifted': lifted, 'rate': lifted / count if count else None,
            'interval': list(wilson_interval(lifted, count)) if count else None}


def _paired(attempts: Sequence[Attempt], first: Condition, second: Condition) -> tuple[np.ndarray, np.ndarray]:
    """Success under each of two conditions, (N,) bool each, at the scenes tried under both."""
    one, other = ({attempt.scene: attempt.ok for attempt in _under(attempts, condition)}
                  for condition in (first, second))
    scenes = sorted(one.keys() & other.keys())
    return np.array([one[scene] for scene in scenes], bool), np.array([other[scene] for scene in scenes], bool)


def _share_of_truth(attempts: Sequence[Attempt], conditions: Sequence[Condition]) -> dict | None:
    """Success with the estimated pose divided by success with the true one, same scenes; None if not measured."""
    estimate, truth = Condition('estimate', ranking=GIVEN), Condition('truth')
    if estimate not in conditions:
        return None
    with_estimate, with_truth = _paired(attempts, estimate, truth)
    if not with_truth.any():
        return None

    def share(weights: np.ndarray) -> float:
        return float(weights @ with_estimate / max(weights @ with_truth, 1))

    return {'n': len(with_truth), 'value': share(np.ones(len(with_truth))),
            'interval': _bootstrapped(share, len(with_truth))}


def _curve(attempts: Sequence[Attempt], conditions: Sequence[Condition], noise: str, unit: str) -> dict | None:
    """Success over noise by ranking, and the gain of the covariance over quality alone; None without noise."""
    levels = []
    for given in conditions:
        if not getattr(given, noise) or given.ranking != GIVEN:
            continue
        assumed, quality = replace(given, ranking=ASSUMED), replace(given, ranking=QUALITY)
        with_it, without = (each.astype(float) for each in _paired(attempts, given, quality))
        if len(with_it):
            gains = with_it - without

            def gain(weights: np.ndarray, gains: np.ndarray = gains) -> float:
                return float(weights @ gains / weights.sum())

            levels.append({'level': getattr(given, noise), 'given': _rate(_under(attempts, given)),
                           'not_given': _rate(_under(attempts, assumed)),
                           'quality': _rate(_under(attempts, quality)), 'gain': float(gains.mean()),
                           'gain_interval': _bootstrapped(gain, len(gains))})
    if not levels:
        return None
    return {'unit': unit, 'truth': _rate(_under(attempts, Condition('truth'))), 'levels': levels}


def _bootstrapped(statistic: Callable[[np.ndarray], float], count: int) -> list[float] | None:
    """95 % bootstrap interval of a statistic over scenes; None with too few scenes or without any variation."""
    draws = bootstrap(statistic, np.arange(count))
    if draws is None or np.ptp(draws) == 0:
        return None
    return list(percentile_interval(draws, count))


def _calibration(attempts: Sequence[Attempt], conditions: Sequence[Condition]) -> dict | None:
    """Calibration of the predicted success probability, where the planner was given the covariance."""
    given = {condition.name for condition in conditions if condition.ranking == GIVEN}
    tried = [attempt for attempt in attempts
             if attempt.condition in given and attempt.success_probability is not None]
    if not tried:
        return None
    scores = np.array([attempt.success_probability for attempt in tried])
    lifted = np.array([attempt.ok for attempt in tried])
    scenes = np.array([attempt.scene for attempt in tried])
    interval = expected_calibration_error_interval(scores, lifted, scenes)
    return {'n': len(tried), 'ece': expected_calibration_error(scores, lifted),
            'interval': None if interval is None else list(interval), 'bins': reliability(scores, lifted)}
