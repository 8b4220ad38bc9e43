# SPDX-License-Identifier: Apache-2.0
"""Plot geometry for the report pages: summary values as coordinates in a box of 100 by 100, y down as in SVG.

``parts`` are summaries, or their sections of each estimator, by the name shown in the legend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.catalogue import Curve, catalogue, curves
from posegrasp_ros.metrics.diagnosis.next_step_text import is_by_the_grasp
from posegrasp_ros.metrics.stage_report import STAGES

# Percentiles drawn in a strip: whiskers, body and median.
STRIP_PERCENTS = (5, 25, 50, 75, 95)
# Largest span of a logarithmic axis; the near-zero errors of the oracle would stretch it without limit.
MOST_SPAN = 1e4
# Above this ratio of the largest to the smallest value the axis is logarithmic.
WIDE_SPAN = 20.0
# Number of ticks that fit below a plot on a narrow screen.
MOST_TICKS = 6
# An axis of errors shows so much of the frames, at least a little beyond the need and at most so many times it.
SHOWN_PERCENT, LEAST_NEEDS, MOST_NEEDS = 95, 1.2, 4.0
# A value is shown on hovering at every such percentile.
TIP_STEP = 5


def error_curves(parts: Mapping[str, dict]) -> list[dict]:
    """Cumulative error distributions: the recall at every threshold."""
    drawn = (_error_curve(parts, curve) for curve in curves())
    return [each for each in drawn if each]


def _error_curve(parts: Mapping[str, dict], curve: Curve) -> dict | None:
    """The distribution of one error; None when nothing was measured."""
    spreads = _distributions(parts, curve.key)
    if not spreads:
        return None
    unit = next(iter(spreads.values()))['unit']
    limit, ticks = linear_axis(_shown_limit(spreads, curve), unit)
    lines = [{'name': label, 'points': _polyline(each['percentiles'], limit),
              'tips': _curve_tips(label, each['percentiles'], limit, unit)} for label, each in spreads.items()]
    return {'title': curve.title, 'unit': formatting.shown_unit(unit), 'lines': lines, 'ticks': ticks,
            'requirement': formatting.quantity(curve.need, unit) if curve.need else '',
            'requirement_x': 100 * curve.need / limit if curve.need else None}


def _shown_limit(spreads: Mapping[str, dict], curve: Curve) -> float:
    """End of the axis of an error: by the data and the need; where BOP's thresholds end where there is none."""
    if not curve.need:
        return curve.step * curve.steps
    shown = [error for each in spreads.values() for error in each['percentiles'][:SHOWN_PERCENT + 1]
             if error is not None]
    return min(max(LEAST_NEEDS * curve.need, *shown, 0.0), MOST_NEEDS * curve.need)


def _curve_tips(label: str, percentiles: Sequence[float | None], limit: float, unit: str) -> list[dict]:
    """Points with the values to show on hovering."""
    return [{'x': 100 * error / limit, 'y': 100 - percent,
             'text': f'{label}: {percent} % of the frames within {formatting.quantity(error, unit)}'}
            for percent, error in enumerate(percentiles)
            if percent and percent % TIP_STEP == 0 and error is not None and error <= limit]


def linear_axis(most: float, unit: str) -> tuple[float, list[dict]]:
    """End of an axis from zero and its ticks, {x, text}, at round numbers in display units.

    :param most: above 0, of ``unit``, as is the end
    """
    factor = formatting.shown_value(1.0, unit)
    power = 10.0 ** math.floor(math.log10(most * factor))
    step = next(step for step in (0.1 * power, 0.2 * power, 0.25 * power, 0.5 * power, power, 2 * power)
                if math.ceil(most * factor / step - 1e-6) <= MOST_TICKS)
    count = math.ceil(most * factor / step - 1e-6)
    return count * step / factor, [{'x': 100 * index / count, 'text': f'{index * step:.6g}'}
                                   for index in range(count + 1)]


def _distributions(parts: Mapping[str, dict], name: str) -> dict[str, dict]:
    """The distributions of the parts that measured this error."""
    found = {label: (part.get('distributions') or {}).get(name) for label, part in parts.items()}
    return {label: each for label, each in found.items() if each}


def _polyline(percentiles: Sequence[float | None], limit: float) -> str:
    """Points "x,y ..." of the share of frames (y from 100 up to 0) over the error (x, 100 at the limit): steps."""
    points, share = [(0.0, 0)], 0
    for percent, error in enumerate(percentiles):
        if error is None or error > limit:
            break
        points += [(100 * error / limit, share), (100 * error / limit, percent)]
        share = percent
    points.append((100.0, share))
    return ' '.join(f'{x:.2f},{100 - y}' for x, y in points)


def error_strips(parts: Mapping[str, dict]) -> list[dict]:
    """Spread of the errors of the poses given, on a logarithmic axis."""
    figures, labels = [], list(parts)
    for curve in curves():
        spreads = _distributions(parts, curve.key)
        if spreads and curve.need:
            rows = [(label, labels.index(label), _of_poses_given(each['percentiles']),
                     _stated_median(parts[label], curve)) for label, each in spreads.items()]
            figures.append(_strips(curve.title, next(iter(spreads.values()))['unit'], rows, curve.need))
    return [figure for figure in figures if figure]


def _of_poses_given(percentiles: Sequence[float | None]) -> list[float | None]:
    """101 percentiles of the finite part of a distribution."""
    known = [value for value in percentiles if value is not None]
    if not known:
        return [None] * len(percentiles)
    return [known[round(percent / 100 * (len(known) - 1))] for percent in range(101)]


def _stated_median(part: dict, curve: Curve) -> float | None:
    """The median that the part's metrics state, so that a page has one figure of it; None where they do not."""
    name = next((name for name, metric in catalogue().items()
                 if metric.curve is curve and name.endswith('_median')), '')
    return (part.get('metrics') or {}).get(name, {}).get('value')


def latency_strips(parts: Mapping[str, dict], need_ms: float | None) -> dict | None:
    """Spread of the latency of each stage on a logarithmic axis; None where no latency is known.

    :param need_ms: required time from image to pose
    """
    rows = [(f'{stage}, {label}' if len(parts) > 1 else stage, index, times['percentiles'], None)
            for stage in STAGES for index, (label, part) in enumerate(parts.items())
            if (times := (part.get('latency') or {}).get(stage))]
    return _strips('Time', 'ms', rows, need_ms)


def _strips(title: str, unit: str, rows: Sequence[tuple[str, int, Sequence[float | None], float | None]],
            need: float | None) -> dict | None:
    """One strip per row, from the 5th to the 95th percentile.

    :param rows: name, colour index, 101 percentiles, null where unknown, and the median where it is known exactly
    """
    spreads = [[percentiles[percent] for percent in STRIP_PERCENTS] for _, _, percentiles, _ in rows]
    known = [value for spread in spreads for value in spread if value]
    if not known:
        return None
    shown = [*known, need] if need else known
    low, high, ticks = log_axis(max(min(shown), max(shown) / MOST_SPAN), max(shown), unit)
    strips = []
    for (name, colour, _, median), spread in zip(rows, spreads):
        spread[2] = spread[2] if median is None else median
        p5, p25, p50, p75, p95 = (_log_place(value, low, high) for value in spread)
        tips = [{'x': _log_place(value, low, high), 'text': f'{name}: {percent} % within '
                 f'{formatting.quantity(value, unit)}'} for percent, value in zip(STRIP_PERCENTS, spread) if value]
        strips.append({'name': name, 'colour': colour, 'p5': p5, 'p25': p25, 'p50': p50, 'p75': p75, 'p95': p95,
                       'has_median': spread[2] is not None, 'tips': tips,
                       'text': formatting.quantity(spread[2], unit)})
    return {'title': title, 'unit': formatting.shown_unit(unit), 'strips': strips, 'ticks': ticks,
            'requirement': formatting.quantity(need, unit),
            'requirement_x': _log_place(need, low, high) if need else None}


def round_ends(low: float, high: float, unit: str) -> tuple[float, float]:
    """Ends around two values of ``unit``, round in display units, as is the middle between them."""
    factor = formatting.shown_value(1.0, unit)
    bottom, top = low * factor, high * factor
    power = math.floor(math.log10(max(top - bottom, 1e-9))) - 1
    for step in (round_step * 10.0**exponent for exponent in range(power, power + 4) for round_step in (1, 2, 5)):
        start = step * math.floor(bottom / step + 1e-9)
        if start + 2 * step >= top - 1e-9 * step:
            return start / factor, (start + 2 * step) / factor
    return low, high


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
    titles = {'score': ('Score', 'share of correct poses, %', 'score, %'),
              'covariance': ('Covariance', 'share of true poses inside the region, %', 'level of the region, %')}
    dots_of = {'score': _score_dots, 'covariance': _covariance_dots}
    curves = []
    for key, (title, y_name, x_name) in titles.items():
        lines = [{'name': label, 'dots': dots} for label, part in parts.items()
                 if (dots := dots_of[key]((part.get('calibration') or {}).get(key) or []))]
        if lines:
            curves.append({'title': title, 'y_name': y_name, 'x_name': x_name, 'lines': lines})
    return curves


def _score_dots(bins: Sequence[dict]) -> list[dict]:
    total = sum(each['n'] for each in bins)
    return [{'x': 100 * each['score'], 'y': 100 - 100 * each['right'],
             'width': 4 + 10 * (each['n'] / total) ** 0.5, 'text': f'score {100 * each["score"]:.0f} %: '
             f'{100 * each["right"]:.0f} % of {each["n"]} poses correct'} for each in bins]


def _covariance_dots(levels: Sequence[dict]) -> list[dict]:
    return [{'x': 100 * each['level'], 'y': 100 - 100 * each['inside'], 'width': 4,
             'text': f'{100 * each["level"]:.0f} % region: {100 * each["inside"]:.0f} % of the true poses inside'}
            for each in levels]


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
    # Where one stage alone lost anything, it is clear what it would gain.
    says_something = is_judged and len({row['stage'] for row in rows}) > 1
    gains = [{'stage': stage, 'rate': rate, 'gain': rate - now, 'now': 100 * now, 'place': 100 * rate}
             for stage, rate in (fall.get('if_perfect') or {}).items() if rate is not None and says_something]
    return {'of': fall['of'], 'total': total, 'successes': fall['successes'], 'rows': rows, 'gains': gains,
            'rate': now, 'is_judged': is_judged, 'note': _why_not_the_headline(summary, fall),
            'unharmed': [formatting.reason(step['reason']) for step in fall['steps']
                         if not step['lost'] and _took_part(summary, step['stage'])]}


def _why_not_the_headline(summary: dict, fall: dict) -> str:
    """Sentence on what a good frame is, where the headline counts others; empty where it counts the same."""
    headline = summary.get('headline')
    if headline is None or not is_by_the_grasp(fall, headline):
        return ''
    return (f'A frame is good here if the grasp that was planned with its pose tolerates the error: '
            f'{fall["successes"]} of {fall["attempts"]}; within 1 cm and 5° are '
            f'{round(headline["value"] * headline["n"])}.')


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
