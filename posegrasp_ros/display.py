"""Numbers as a person reads them: millimetres, degrees and percent, with the interval beside."""

from __future__ import annotations

import math

LABELS = {
    'position_error_median': 'Position error, median',
    'rotation_error_median': 'Rotation error, median',
    'recall_1cm_5deg': 'Pose within 1 cm and 5°',
    'add_recall_10pct': 'ADD below 10 % of diameter',
    'covariance_coverage_90': 'Truth in the 90 % region of the covariance',
    'score_ece': 'Score, expected calibration error',
    'instance_recall': 'Objects found, of several',
    'instance_precision': 'Poses that are right, of several',
    'false_poses': 'Poses of what is not there',
    'grasp_success_rate': 'Grasp success',
    'image_to_pose_p50': 'Image to pose, median',
    'image_to_grasp_p50': 'Image to grasp, median',
}
# unit of the summary -> (factor, unit for reading)
SHOWN_UNITS = {'m': (1e3, 'mm'), 'rad': (180 / math.pi, '°'), '1': (100.0, '%'), 'ms': (1.0, 'ms')}
NOTHING = '–'


def label(metric: str) -> str:
    """A metric's name for a person."""
    return LABELS.get(metric, metric)


def shown_unit(unit: str) -> str:
    """The unit in which a value of ``unit`` is read."""
    return SHOWN_UNITS[unit][1]


def shown_value(value: float, unit: str) -> float:
    """A value of the summary in the unit in which it is read."""
    return value * SHOWN_UNITS[unit][0]


def number(value: float | None, unit: str) -> str:
    """Three figures without the unit, such as ``3.12``; whole numbers from 100 on."""
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


def target(value: float, tolerance: float, unit: str) -> str:
    """A reference with its unit, and how far from it one may be: ``90.0 ± 5.0 %``."""
    return f'{number(value, unit)} ± {quantity(tolerance, unit)}' if tolerance else quantity(value, unit)


def interval(bounds: list[float] | None, unit: str) -> str:
    """An interval in brackets without the unit; a dash where there is none."""
    if bounds is None:
        return NOTHING
    return f'[{number(bounds[0], unit)}, {number(bounds[1], unit)}]'
