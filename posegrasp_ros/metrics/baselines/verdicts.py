# SPDX-License-Identifier: Apache-2.0
"""Verdicts: every measured metric against every entry of the baselines file."""

from __future__ import annotations

import math

from posegrasp_ros.metrics.baselines.baselines import Baselines, Entry
from posegrasp_ros.metrics.stats.intervals import Interval, more_clusters_to_decide, verdict

MOST_MORE = 20
"""No more than so many times the data is asked for to decide a verdict."""


def compare(metrics: dict[str, dict], baselines: Baselines | None) -> list[dict]:
    """Every measured metric against every entry of the baselines file.

    :param metrics: of a summary
    :return: a :func:`verdict_item` each; ``decided_after`` says how many more blocks of time, or attempts, would
        decide what is inconclusive
    """
    items = []
    for name, metric_baselines in (baselines.metrics if baselines else {}).items():
        metric = metrics[name]
        for entry in metric_baselines.entries if metric['n'] else ():
            judged = judge(metric, metric_baselines.direction, entry)
            more = _decided_after(metric, metric_baselines.direction, entry)
            items.append({**verdict_item(name, metric, metric_baselines.direction, entry, judged),
                          'decided_after': more})
    return items


def judge(metric: dict, direction: str, entry: Entry) -> str:
    """``better``, ``worse`` or ``inconclusive``: a metric against an entry, whose own uncertainty counts too."""
    interval = Interval(*metric['interval']) if metric['interval'] else None
    if interval is None or entry.interval is None or direction == 'on_target':
        return verdict(interval, entry.value, direction, entry.tolerance)
    return verdict(difference_interval(metric['value'], interval, entry.value, entry.interval), 0.0, direction)


def difference_interval(value: float, interval: Interval, other: float, other_interval: Interval) -> Interval:
    """95 % interval of the difference of two figures that were measured independently of each other.

    Zou and Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
    Medicine 2008, equation 5: the distances of the limits from their figures add up like standard errors, side by
    side. For shares with Wilson's intervals this is Newcombe's method.
    """
    low = math.hypot(value - interval.low, other_interval.high - other)
    high = math.hypot(interval.high - value, other - other_interval.low)
    return Interval(value - other - low, value - other + high)


def verdict_item(name: str, metric: dict, direction: str, entry: Entry, judged: str) -> dict:
    """One verdict as it stands in a summary."""
    return {
        'metric': name, 'entry': entry.name, 'kind': entry.kind, 'value': metric['value'],
        'interval': metric['interval'], 'reference': entry.value, 'unit': metric['unit'],
        'direction': direction, 'fair': entry.fair, 'note': entry.note, 'source': entry.source,
        'tolerance': entry.tolerance, 'verdict': judged, 'decided_after': None,
    }


def _decided_after(metric: dict, direction: str, entry: Entry) -> int | None:
    """Of what was itself measured with an uncertainty more of this run alone may never tell it apart."""
    if entry.interval is not None or metric['interval'] is None:
        return None
    more = more_clusters_to_decide(metric['value'], Interval(*metric['interval']), metric['clusters'], entry.value,
                                   direction, entry.tolerance, is_rate=metric['unit'] == '1')
    # What takes so much more is a draw: nobody records a hundred times as much to know it.
    return more if more is None or more <= MOST_MORE * max(metric['clusters'], 1) else None
