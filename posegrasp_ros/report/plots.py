# SPDX-License-Identifier: Apache-2.0
"""Plot geometry for the report pages: summary values as coordinates in a box of 100 by 100, y down as in SVG.

``parts`` are summaries, or their sections of each estimator, by the name shown in the legend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.catalogue import Curve, curves
from posegrasp_ros.metrics.stage_report import STAGES

# Percentiles drawn in a strip: whiskers, body and median.
STRIP_PERCENTS = (5, 25, 50, 75, 95)
# Largest span of a logarithmic axis; the near-zero errors of the oracle would stretch it without limit.
MOST_SPAN = 1e4
# Above this ratio of the largest to the smallest value the axis is logarithmic.
WIDE_SPAN = 20.0
# Number of ticks that fit below a strip on a narrow screen.
MOST_TICKS = 6


def error_curves(parts: Mapping[str, dict]) -> list[dict]:
    """Cumulative error distributions: the recall at every threshold."""
    drawn = (_error_curve(parts, curve) for curve in curves())
    return [each for each in drawn if each]


def _error_curve(parts: Mapping[str, dict], curve: Curve) -> dict | None:
    """The distribution of one error; None when nothing was measured."""
    spreads = _distributions(parts, curve.key)
    if not spreads:
        return None
    unit, limit = next(iter(spreads.values()))['unit'], curve.step * curve.steps
    lines = [{'name': label, 'points': _polyline(each['percentiles'], limit)} for label, each in spreads.items()]
    ticks = [{'x': 100 * step / curve.steps, 'text': f'{formatting.shown_value(curve.step * step, unit):.3g}'}
             for step in range(curve.steps + 1)]
    return {'title': curve.title, 'unit': formatting.shown_unit(unit), 'lines': lines, 'ticks': ticks,
            'requirement_x': 100 * curve.need / limit if curve.need else None}


def _distributions(parts: Mapping[str, dict], name: str) -> dict[str, dict]:
    """The distributions of the parts that measured this error."""
    found = {label: (part.get('distributions') or {}).get(name) for label, part in parts.items()}
    return {label: each for label, each in found.items() if each}


def _polyline(percentiles: Sequence[float | None], limit: float) -> str:
    """Points "x,y ..." of the share of frames (y from 100 up to 0) over the error (x, 100 at the limit)."""
    points, share = [(0.0, 0)], 0
    for percent, error in enumerate(percentiles):
        if error is None or error > limit:
            break
        share = percent
        points.append((100 * error / limit, percent))
    points.append((100.0, share))
    return ' '.join(f'{x:.2f},{100 - y}' for x, y in points)


def error_strips(parts: Mapping[str, dict]) -> list[dict]:
    """Spread of the errors on a logarithmic axis; frames without an answer are beyond the right end."""
    figures, labels = [], list(parts)
    for curve in curves():
        spreads = _distributions(parts, curve.key)
        if spreads and curve.need:
            rows = [(label, labels.index(label), each['percentiles']) for label, each in spreads.items()]
            figures.append(_strips(curve.title, next(iter(spreads.values()))['unit'], rows, curve.need))
    return [figure for figure in figures if figure]


def latency_strips(parts: Mapping[str, dict], need_ms: float | None) -> dict | None:
    """Spread of the latency of each stage on a logarithmic axis; None where no latency is known.

    :param need_ms: required time from image to pose
    """
    rows = [(f'{stage}, {label}' if len(parts) > 1 else stage, index, times['percentiles'])
            for stage in STAGES for index, (label, part) in enumerate(parts.items())
            if (times := (part.get('latency') or {}).get(stage))]
    return _strips('Time', 'ms', rows, need_ms)


def _strips(title: str, unit: str, rows: Sequence[tuple[str, int, Sequence[float | None]]],
            need: float | None) -> dict | None:
    """One strip per row, from the 5th to the 95th percentile.

    :param rows: name, colour index, and 101 percentiles, null where infinite
    """
    spreads = [[percentiles[percent] for percent in STRIP_PERCENTS] for _, _, percentiles in rows]
    known = [value for spread in spreads for value in spread if value]
    if not known:
        return None
    shown = [*known, need] if need else known
    low, high, ticks = log_axis(max(min(shown), max(shown) / MOST_SPAN), max(shown), unit)
    strips = []
    for (name, colour, _), spread in zip(rows, spreads):
        p5, p25, p50, p75, p95 = (_log_place(value, low, high) for value in spread)
        strips.append({'name': name, 'colour': colour, 'p5': p5, 'p25': p25, 'p50': p50, 'p75': p75, 'p95': p95,
                       'is_cut': spread[-1] is None, 'has_median': spread[2] is not None,
                       'text': formatting.quantity(spread[2], unit)})
    return {'title': title, 'unit': formatting.shown_unit(unit), 'strips': strips, 'ticks': ticks,
            'requirement': formatting.quantity(need, unit),
            'requirement_x': _log_place(need, low, high) if need else None}


def log_axis(least: float, most: float, unit: str) -> tuple[float, float, list[dict]]:
    """Ends of a logarithmic axis and its ticks, {x, text}, at 1, 2 and 5 times powers of ten in display units.

    :param least: above 0, of ``unit``, as is ``most``
    :return: low, high (both of ``unit``), ticks
    """
    factor = formatting.shown_value(1.0, unit)
    first, last = (math.floor(math.log10(least * factor)), math.ceil(math.log10(most * factor)))
    steps = [step * 10.0**power for power in range(first, last + 1) for step in (1, 2, 5)]
    low = max([step for step in steps if step <= least * factor * 1.001], default=steps[0])
    high = min([step for step in steps if step >= most * factor * 0.999 and step > low], default=10 * low)
    marks = [step for step in steps if low <= step <= high]
    if len(marks) > MOST_TICKS:
        marks = [mark for mark in marks if math.log10(mark) == round(math.log10(mark))]
    ticks = [{'x': _log_place(mark, low, high), 'text': f'{mark:g}'} for mark in marks]
    return low / factor, high / factor, ticks


def _log_place(value: float | None, low: float, high: float) -> float:
    """Position of a value between two ends, clipped; None is at the high end."""
    if value is None:
        return 100.0
    share = math.log(max(value, low) / low) / math.log(high / low)
    return 100 * min(max(share, 0.0), 1.0)


def reliability_curves(parts: Mapping[str, dict]) -> list[dict]:
    """Calibration plots of score and covariance; dot size shows the number of frames."""
    titles = {'score': 'share of correct poses over score',
              'covariance': 'share of true poses inside the region over its level'}
    dots_of = {'score': _score_dots, 'covariance': _covariance_dots}
    curves = []
    for key, about in titles.items():
        lines = [{'name': label, 'dots': dots} for label, part in parts.items()
                 if (dots := dots_of[key]((part.get('calibration') or {}).get(key) or []))]
        if lines:
            curves.append({'title': key.capitalize(), 'about': about, 'lines': lines})
    return curves


def _score_dots(bins: Sequence[dict]) -> list[dict]:
    total = sum(each['n'] for each in bins)
    return [{'x': 100 * each['score'], 'y': 100 - 100 * each['right'], 'n': each['n'],
             'width': 4 + 10 * (each['n'] / total) ** 0.5} for each in bins]


def _covariance_dots(levels: Sequence[dict]) -> list[dict]:
    return [{'x': 100 * each['level'], 'y': 100 - 100 * each['inside'], 'n': None, 'width': 4} for each in levels]


def waterfall(summary: dict) -> dict | None:
    """Waterfall from all attempts to the successes, one row per reason; None without attempts.

    Shares are of all attempts, 0 to 100. Reasons without losses are listed, not drawn.
    """
    fall = summary.get('waterfall')
    if not fall or not fall['attempts']:
        return None
    total = fall['attempts']
    rows = [{'text': formatting.reason(step['reason']), 'stage': step['stage'], 'lost': step['lost'],
             'share': 100 * step['lost'] / total, 'left': 100 * step['left'] / total}
            for step in fall['steps'] if step['lost']]
    now = fall['successes'] / total
    is_judged = fall.get('is_judged', True)
    gains = [{'stage': stage, 'rate': rate, 'gain': rate - now, 'now': 100 * now, 'place': 100 * rate}
             for stage, rate in (fall.get('if_perfect') or {}).items() if rate is not None and is_judged]
    return {'of': fall['of'], 'total': total, 'successes': fall['successes'], 'rows': rows, 'gains': gains,
            'rate': now, 'is_judged': is_judged,
            'unharmed': [formatting.reason(step['reason']) for step in fall['steps']
                         if not step['lost'] and _took_part(summary, step['stage'])]}


def _took_part(summary: dict, stage: str) -> bool:
    """Whether a stage had inputs; the camera always counts as having some."""
    return stage == 'camera' or summary['stages'][stage]['inputs'] > 0


def verdict_scale(items: Sequence[dict]) -> dict:
    """Positions of a metric's value, its interval and all references on one axis, from 0 to 100.

    The axis is 0 to 1 for shares, otherwise starts at 0, or is logarithmic where values are far apart.

    :param items: verdicts of one metric
    """
    first = items[0]
    values = [first['value'], *(first['interval'] or ()), *(item['reference'] for item in items)]
    high, least = (1.0 if first['unit'] == '1' else 1.1 * max(values)), min(values)
    if first['unit'] == '1' or least <= 0 or max(values) / least < WIDE_SPAN:
        def place(value: float) -> float:
            return 100 * min(max(value / high, 0.0), 1.0) if high else 0.0
    else:
        def place(value: float) -> float:
            return _log_place(value, least / 1.5, 1.5 * max(values))
    return {'value': place(first['value']), 'interval': [place(end) for end in first['interval'] or ()],
            'marks': [{'x': place(item['reference']), 'verdict': item['verdict'], 'kind': item['kind'],
                       'entry': item['entry']} for item in items]}
