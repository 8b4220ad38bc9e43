# SPDX-License-Identifier: Apache-2.0
"""What a summary says of the accuracy of the ground truth, in words."""

from __future__ import annotations

from collections.abc import Iterable

from posegrasp_ros.metrics.formatting import quantity

MARK = ' *'
"""Behind a value that a note belongs to."""


def truth_sentence(summary: dict) -> str:
    """How much of the median errors and the recall the ground truth's own errors may explain; empty where these
    are not known or zero."""
    own = summary.get('truth_errors') or {}
    if not (own.get('position_m') or own.get('rotation_rad')):
        return ''
    metrics = summary['metrics']
    found = _both(metrics['position_error_median']['value'], metrics['rotation_error_median']['value'])
    truth = _both(own['position_m'], own['rotation_rad'])
    left = _both(own['position_left_m'], own['rotation_left_rad'])
    return (f"Of the median errors of {found}, the ground truth's own errors (median {truth}) may explain all "
            f'but about {left}; with a perfect estimator, {quantity(own["recall_if_perfect"], "1")} of the poses '
            'would be within 1 cm and 5° of it.')


def _both(position_m: float, rotation_rad: float) -> str:
    return f'{quantity(position_m, "m")} and {quantity(rotation_rad, "rad")}'


def marked(metric: dict) -> str:
    """A metric's value with its unit, and a mark where a note belongs to it."""
    return quantity(metric['value'], metric['unit']) + (MARK if metric['n'] and metric.get('note') else '')


def notes_of(parts: Iterable[dict]) -> list[str]:
    """The notes on the metrics of parts of a summary, each once."""
    metrics = [metric for part in parts for metric in part['metrics'].values()]
    return list(dict.fromkeys(metric['note'] for metric in metrics if metric['n'] and metric.get('note')))
