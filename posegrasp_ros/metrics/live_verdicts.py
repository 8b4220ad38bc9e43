# SPDX-License-Identifier: Apache-2.0
"""Verdicts of a running session, by an anytime-valid test: repeated looks do not inflate the error rate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from posegrasp_ros.metrics.baselines.baselines import Baselines, Entry
from posegrasp_ros.metrics.baselines.verdicts import verdict_item
from posegrasp_ros.metrics.catalogue import catalogue, unit_of
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.observations import CALIBRATION, MEDIAN, Observations
from posegrasp_ros.metrics.stats.sequential import ConfidenceSequence, SequentialMedian, SequentialVerdict

# Relative accuracy of the quantile sketch.
SKETCH_ACCURACY = 0.005


class QuantileSketch:
    """Quantiles of any number of values in bounded memory, with a relative error of at most 0.5 %.

    Values are counted in bins whose edges grow by a constant factor (Masson et al., "DDSketch", VLDB 2019).
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._growth = math.log((1 + SKETCH_ACCURACY) / (1 - SKETCH_ACCURACY))

    def add(self, values: np.ndarray) -> None:
        """:param values: (N,) finite, 0 or more"""
        logarithms = np.log(np.maximum(values, 1e-12)) / self._growth
        self._counts.update(np.ceil(logarithms).astype(int).tolist())

    def quantile(self, share: float) -> float:
        """:raises ValueError: before the first value"""
        if not self._counts:
            raise ValueError('quantile: expected at least one value, got none')
        bins = sorted(self._counts)
        reached = np.cumsum([self._counts[each] for each in bins])
        chosen = bins[int(np.searchsorted(reached, share * reached[-1]))]
        return 2 * math.exp(chosen * self._growth) / (math.exp(self._growth) + 1)


class LiveVerdicts:
    """Metrics of a run, updated block by block, and their verdicts against every entry of a baselines file.

    If a metric raises, its verdicts or that block are missing; other metrics are not affected.

    :param baselines: None for no verdicts
    :ivar failures: by metric the number of failures and the last error
    """

    def __init__(self, baselines: Baselines | None = None):
        stated = baselines.metrics if baselines else {}
        self._metrics = {name: _Metric(name, each.direction, each.entries) for name, each in stated.items()}
        self.failures: dict[str, tuple[int, str]] = {}

    def add_block(self, table: FrameTable) -> None:
        """Add the frames of a finished time block."""
        for name, metric in self._metrics.items():
            with self._noting(name):
                if catalogue()[name].spans_blocks:
                    continue
                observed = catalogue()[name].observe(table)
                if len(observed) and observed.kind != CALIBRATION:  # ECE has no anytime-valid test
                    metric.add(observed)

    def items(self) -> list[dict]:
        """Verdict items as in a summary; medians have no interval and a relative error of at most 0.5 %."""
        items = []
        for name, metric in self._metrics.items():
            with self._noting(name):
                items += metric.items()
        return items

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        """Record any exception of a metric, so that it does not affect the others."""
        try:
            yield
        except Exception as error:
            count, _ = self.failures.get(name, (0, ''))
            self.failures[name] = count + 1, f'{type(error).__name__}: {error}'


class _Metric:
    """Running state of one metric: its value and its verdict against every entry."""

    def __init__(self, name: str, direction: str, entries: tuple[Entry, ...]):
        self._name, self._direction, self._entries = name, direction, entries
        self._judges: list[_Judge] = []
        self._sum, self._count = 0.0, 0
        self._sketch, self._mean = QuantileSketch(), ConfidenceSequence()
        self._is_median = False

    def add(self, observed: Observations) -> None:
        """Add the observations of one block; each attempt is a separate block."""
        self._is_median = observed.kind == MEDIAN
        if not self._judges:
            self._judges = [_Judge(entry, self._direction, None if self._is_median else self._mean)
                            for entry in self._entries]
        if self._is_median:
            self._sketch.add(observed.values)
        for values in observed.blocks():
            if not self._is_median:
                self._mean.add(values.sum(), values.size)
                continue
            for judge in self._judges:
                judge.add(values)
        self._count += len(observed)
        self._sum += float(observed.values.sum())

    def items(self) -> list[dict]:
        if not self._count:
            return []
        value = self._sketch.quantile(0.5) if self._is_median else self._sum / self._count
        metric = {'value': value, 'unit': unit_of(self._name), 'n': self._count,
                  'interval': None if self._is_median else list(self._mean.interval)}
        return [verdict_item(self._name, metric, self._direction, entry, judge.verdict)
                for entry, judge in zip(self._entries, self._judges)]


class _Judge:
    """Verdict of one metric against one entry. The true value of an entry may be anywhere in its interval.

    :param mean: confidence sequence of the metric; None for a median
    """

    def __init__(self, entry: Entry, direction: str, mean: ConfidenceSequence | None):
        low, high = entry.interval or (entry.value, entry.value)
        if direction == 'higher_is_better':
            low, high = high, low
        self._medians: list[SequentialMedian] = []
        self._best: SequentialMedian | SequentialVerdict
        self._worst: SequentialMedian | SequentialVerdict
        if mean is None:
            self._best, self._worst = self._medians = [SequentialMedian(bound, direction) for bound in (low, high)]
        else:
            self._best, self._worst = (SequentialVerdict(bound, direction, entry.tolerance, mean)
                                       for bound in (low, high))

    def add(self, values: np.ndarray) -> None:
        """Add the values of one block; for medians."""
        for each in self._medians:
            each.add(values)

    @property
    def verdict(self) -> str:
        """``better`` than the entry's good end, ``worse`` than its bad end, else ``inconclusive``."""
        if self._best.verdict == 'better':
            return 'better'
        return 'worse' if self._worst.verdict == 'worse' else 'inconclusive'
