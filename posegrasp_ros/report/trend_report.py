# SPDX-License-Identifier: Apache-2.0
"""Report of trends over many runs: a table for the terminal, and trend.html."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

from posegrasp_ros.metrics import formatting
from posegrasp_ros.report.page import render_page
from posegrasp_ros.report.plots import round_ends
from posegrasp_ros.report.table import aligned
from posegrasp_ros.runtime.text_layout import wrapped

# Verdict -> class of its badge.
BADGES = {'better': 'better', 'worse': 'worse', 'changed': 'inconclusive', 'too few runs': 'inconclusive',
          'steady': ''}


def format_trends(trends: dict) -> str:
    """The trends as aligned plain text, and a paragraph on each change."""
    day = dates_of(trends)
    rows = [['metric', 'last', '95 % interval', 'runs', 'trend']]
    for name, trend in trends['metrics'].items():
        rows.append([name, formatting.quantity(trend['value'], trend['unit']),
                     formatting.interval(trend['interval'], trend['unit']), str(len(trend['series'])),
                     verdict_text(trend, day)])
    lines = [f'{len(trends["runs"])} runs, {day(trends["runs"][0]["time"])} to {day(trends["runs"][-1]["time"])}',
             '', *aligned(rows, left=(0, 4))]
    for name, trend in trends['metrics'].items():
        for change in trend['changes']:
            lines += ['', *wrapped(change_text(name, trend['unit'], change, day))]
    return '\n'.join([*lines, '', *wrapped(promise(trends))])


def render_trends(trends: dict) -> str:
    """The trends as one self-contained page, those that changed first."""
    day = dates_of(trends)
    shown = sorted(trends['metrics'], key=lambda name: not trends['metrics'][name]['changes'])
    metrics = []
    for name in shown:
        trend = trends['metrics'][name]
        metrics.append({'name': name, 'trend': trend, 'verdict': verdict_text(trend, day),
                        'plot': plot_of(trend, day),
                        'changes': [change_text(name, trend['unit'], change, day) for change in trend['changes']]})
    return render_page('trend.html.j2', trends=trends, metrics=metrics, badges=BADGES, promise=promise(trends),
                       day=day)


def verdict_text(trend: dict, day: Callable[[str], str]) -> str:
    """``steady``, ``worse since 2026-11-20`` and the like."""
    return f'{trend["verdict"]} since {day(trend["since"])}' if trend['since'] else trend['verdict']


def change_text(name: str, unit: str, change: dict, day: Callable[[str], str]) -> str:
    """A change in words: from what to what, when, in which slice, and what else changed."""
    before, after = (formatting.with_interval(change[side]['value'], change[side]['interval'], unit)
                     for side in ('before', 'after'))
    earliest, latest = (day(time) for time in change['between'])
    text = (f'{formatting.label(name)}: {change["verdict"]} since {day(change["time"])}, run {change["run"]}: '
            f'from {before} to {after}. It happened between {earliest} and {latest} (95 %), and was noticed on '
            f'{day(change["noticed"])}.')
    if moved := change['slice']:
        text += (f' Of the slices, {moved["name"]} moved most: '
                 f'{formatting.difference(moved["difference"], unit)}, '
                 f'95 % interval {formatting.interval(moved["interval"], unit)}.')
    if change['differs']:
        text += ' Changed with it: ' + '; '.join(
            f'{what} {old or "none"} → {new or "none"}' for what, (old, new) in change['differs'].items()) + '.'
    return text


def promise(trends: dict) -> str:
    """What the verdicts are worth."""
    return ('Where nothing changes, and runs scatter independently of each other, the probability that any metric '
            f'is ever called changed is at most {formatting.quantity(trends["level"], "1")}, however often this '
            'is read. Steady means that no change was noticed, not that there is none.')


def dates_of(trends: dict) -> Callable[[str], str]:
    """How to show the times of runs: by their days, with the hour where several are of one day."""
    days = {run['time'][:10] for run in trends['runs']}
    length = 10 if len(days) == len(trends['runs']) else 16
    return lambda time: time[:length].replace('T', ' ')


def plot_of(trend: dict, day: Callable[[str], str]) -> dict:
    """Values with intervals over time, the need where it is on the axis, means between changes, and when the
    changes may have been; 0 to 100."""
    need = trend['need']
    times = [_seconds(each['time']) for each in trend['series']]
    first, span = times[0], (times[-1] - times[0]) or 1.0
    ends = [end for each in trend['series'] for end in (each['value'], *(each['interval'] or ()))]
    low, high = min(ends), max(ends)
    room = 0.05 * (high - low) or abs(high) or 1.0
    low, high = low - room, high + room
    low, high = round_ends(max(low, 0.0) if min(ends) >= 0 else low, high, trend['unit'])
    if trend['unit'] == '1' and high > 1.0:
        low, high = max(low - (high - 1.0), 0.0), 1.0

    def x(time: str) -> float:
        return 100 * (_seconds(time) - first) / span

    def y(value: float) -> float:
        return 100 * (high - min(max(value, low), high)) / (high - low)

    dots = [{'x': x(each['time']), 'y': y(each['value']), 'ends': [y(end) for end in each['interval'] or ()],
             'text': f'{day(each["time"])}: '
                     f'{formatting.with_interval(each["value"], each["interval"], trend["unit"])}'}
            for each in trend['series']]
    return {'dots': dots, 'means': _means(trend, x, y),
            'need_y': y(need['reference']) if need and low <= need['reference'] <= high else None,
            'need': formatting.target(need['reference'], need['tolerance'], trend['unit']) if need else '',
            'bands': [[x(end) for end in change['between']] for change in trend['changes']],
            'unit': formatting.shown_unit(trend['unit']),
            'y_ticks': [f'{formatting.shown_value(value, trend["unit"]):.6g}'
                        for value in (high, (low + high) / 2, low)],
            'x_ticks': [{'x': 0, 'text': day(trend['series'][0]['time'])},
                        {'x': 100, 'text': day(trend['series'][-1]['time'])}]}


def _means(trend: dict, x: Callable[[str], float], y: Callable[[float], float]) -> list[dict]:
    """Horizontal lines of the means before, between and after changes."""
    changes: Sequence[dict] = trend['changes']
    if not changes:
        return []
    edges = [0.0, *(x(change['time']) for change in changes), 100.0]
    values = [changes[0]['before']['value'], *(change['after']['value'] for change in changes)]
    return [{'x1': low, 'x2': high, 'y': y(value)} for low, high, value in zip(edges, edges[1:], values)]


def _seconds(time: str) -> float:
    return datetime.datetime.fromisoformat(time.replace('Z', '+00:00')).timestamp()
