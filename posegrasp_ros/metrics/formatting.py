# SPDX-License-Identifier: Apache-2.0
"""Formatting of values for display: millimetres, degrees and percent, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from posegrasp_ros.metrics.catalogue import catalogue
from posegrasp_ros.metrics.units import SHOWN_UNITS

# Display text of failure reasons: first of attempts, then of grasps.
REASONS = {
    'no_image': 'no image',
    'not_detected': 'object not detected',
    'pose_outside_tolerance': "pose outside the grasp's tolerance",
    'stale_pose': 'pose too old',
    'no_feasible_grasp': 'no feasible grasp',
    'execution': 'object not held',
    'too_wide': 'wider than the opening',
    'below_support': 'fingers would touch the table',
    'approach_blocked': 'approach path blocked',
    'collides': 'gripper would collide',
    'unreachable': 'out of reach',
    'pose_too_uncertain': 'pose too uncertain',
    'path_limits': 'joints cannot follow the approach',
    'self_collision': 'arm would touch itself',
    'arm_collision': 'arm would collide',
}
NOTHING = '–'


def label(metric: str) -> str:
    """Display name of a metric."""
    known = catalogue().get(metric)
    return known.label if known else metric


def reason(word: str) -> str:
    """Display text of a failure reason; text with spaces is returned unchanged."""
    return REASONS.get(word, word if ' ' in word else word.replace('_', ' '))


def shown_unit(unit: str) -> str:
    """Display unit for values of ``unit``."""
    return SHOWN_UNITS[unit][1]


def shown_value(value: float, unit: str) -> float:
    """Convert a value of the summary to its display unit."""
    return value * SHOWN_UNITS[unit][0]


def number(value: float | None, unit: str) -> str:
    """Three significant figures without the unit, such as ``3.12``; integers from 100 on."""
    if value is None:
        return NOTHING
    shown = shown_value(value, unit)
    digits = 1 if unit == '1' else 2 - min(2, max(0, math.floor(math.log10(max(abs(shown), 1.0)))))
    return f'{shown:.{digits}f}'


def quantity(value: float | None, unit: str) -> str:
    """A number with its unit, such as ``3.12 mm``."""
    if value is None:
        return NOTHING
    space = '' if shown_unit(unit) == '°' else ' '
    return f'{number(value, unit)}{space}{shown_unit(unit)}'


def difference(value: float | None, unit: str) -> str:
    """A signed difference; differences of shares are percentage points: ``+4.20 points``."""
    if value is None:
        return NOTHING
    shown = number(abs(value), unit)
    sign = '' if not float(shown) else '−' if value < 0 else '+'
    words = {'1': ' points', 'rad': '°'}
    return f'{sign}{shown}{words.get(unit, " " + shown_unit(unit))}'


def target(value: float, tolerance: float, unit: str) -> str:
    """A reference with its tolerance and unit: ``90.0 ± 5.0 %``."""
    return f'{number(value, unit)} ± {quantity(tolerance, unit)}' if tolerance else quantity(value, unit)


def interval(bounds: Sequence[float] | None, unit: str) -> str:
    """An interval in brackets without the unit; a dash where there is none."""
    if bounds is None:
        return NOTHING
    return f'[{number(bounds[0], unit)}, {number(bounds[1], unit)}]'.replace('-', '−')


def with_interval(value: float | None, bounds: Sequence[float] | None, unit: str) -> str:
    """A number with its unit and, where there is one, its interval: ``73.3 % [61.0, 82.9]``."""
    text = quantity(value, unit)
    return f'{text} {interval(bounds, unit)}' if bounds else text


def probability(value: float | None) -> str:
    """A p-value: two figures, small ones as a bound."""
    if value is None:
        return NOTHING
    return '< 0.001' if value < 0.001 else f'{value:.2g}'


def remaining(count: int | None, metric: str, block_s: float) -> str:
    """How much more data would decide an inconclusive verdict; empty where unknown.

    :param count: attempts for grasp success, else blocks of ``block_s`` seconds
    """
    if not count:
        return ''
    what = 'attempt' if metric == 'grasp_success_rate' else f'block of {block_s:g}\u00a0s'
    head, _, tail = what.partition(' ')
    return f'about {count} more {head}{"s" if count > 1 else ""}{" " + tail if tail else ""}'


def verdict_word(verdict: str, kind: str) -> str:
    """How a verdict is called: a requirement is met or missed, another figure is worse or better."""
    return {'better': 'meets', 'worse': 'misses'}.get(verdict, verdict) if kind == 'requirement' else verdict
