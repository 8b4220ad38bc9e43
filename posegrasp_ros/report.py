"""A run's summary for people: a table for the terminal, and report.html, one file that needs no network."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import jinja2

from posegrasp_ros import display
from posegrasp_ros.metrics.summary import RECALL_POSITION_M, RECALL_ROTATION_RAD

# The source of an entry that was measured with the run, not taken from the ledger.
SAME_FRAMES = 'measured on the same frames'
TEMPLATES = Path(__file__).parent / 'templates'
# Beyond so many times the requirement an error is simply wrong: the curves end there.
CURVE_SPAN = 4
# Metrics of the side-by-side table and their column heads, in the terminal and on the page.
COMPARED = {
    'recall_1cm_5deg': ('1 cm, 5°', 'Within 1 cm and 5°'),
    'false_poses': ('false poses', 'Poses of what is not there'),
    'instance_recall': ('found', 'Objects found'),
    'instance_precision': ('are right', 'Poses right'),
    'add_recall_10pct': ('ADD < 10 %', 'ADD < 10 %'),
    'position_error_median': ('position', 'Position'),
    'rotation_error_median': ('rotation', 'Rotation'),
    'covariance_coverage_90': ('in 90 %', '90 % region'),
    'score_ece': ('ECE', 'Score ECE'),
    'image_to_pose_p50': ('to pose', 'To pose'),
    'image_to_grasp_p50': ('to grasp', 'To grasp'),
}


def format_table(summary: dict) -> str:
    """The summary as aligned plain text."""
    blocks = [[_headline(summary)], _stage_rows(summary), _estimator_rows(summary), _verdict_rows(summary)]
    failures = ', '.join(f'{reason} {count}' for reason, count in summary['failures'].items())
    blocks.append([f'Failures: {failures or "none"}'])
    return '\n\n'.join('\n'.join(block) for block in blocks if block)


def render_html(summary: dict) -> str:
    """The summary as one self-contained page."""
    return render_page(
        'report.html.j2', summary=summary, estimators=_estimators(summary), same_frames=SAME_FRAMES,
        headline_bar=requirement_verdict(summary, summary['headline']['name']),
        compared={name: COMPARED[name][1] for name in _compared(summary)}, requirement=requirement_verdict,
        curves=[error_curves(summary, 'position_error', 'Position error', RECALL_POSITION_M),
                error_curves(summary, 'rotation_error', 'Rotation error', RECALL_ROTATION_RAD)],
        reliability=[curve for curve in (score_reliability(summary), covariance_reliability(summary)) if curve],
        verdicts=[list(items) for _, items in groupby(summary['verdicts'], lambda item: item['metric'])],
        most_failures=max(summary['failures'].values(), default=1))


def render_page(template: str, **values) -> str:
    """One of our templates, filled in; what it shows of numbers it takes from :mod:`posegrasp_ros.display`."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template).render(display=display, **values)


def requirement_verdict(summary: dict, metric: str) -> dict | None:
    """The verdict on a metric that a reader looks for first: that against the requirement."""
    return next((v for v in summary['verdicts'] if v['metric'] == metric and v['kind'] == 'requirement'), None)


def error_curves(summary: dict, name: str, title: str, requirement: float) -> dict | None:
    """Share of frames within an error, as SVG polylines in a box of 100 by 100; None when nothing was measured.

    :param name: of the distribution
    :param requirement: drawn in, in the distribution's unit
    """
    limit = requirement * CURVE_SPAN
    lines = []
    for estimator, part in _estimators(summary).items():
        distribution = (part.get('distributions') or {}).get(name)
        if distribution:
            unit = distribution['unit']
            lines.append({'estimator': estimator, 'points': _polyline(distribution['percentiles'], limit)})
    if not lines:
        return None
    ticks = [{'x': 100 * step / CURVE_SPAN, 'text': f'{display.shown_value(requirement * step, unit):.3g}'}
             for step in range(CURVE_SPAN + 1)]
    return {'title': title, 'unit': display.shown_unit(unit), 'lines': lines, 'ticks': ticks,
            'requirement': display.quantity(requirement, unit), 'requirement_x': 100 / CURVE_SPAN}


def score_reliability(summary: dict) -> dict | None:
    """Share of right poses over their score, in a box of 100 by 100; None when no score was measured."""
    lines = []
    for estimator, part in _estimators(summary).items():
        bins = part['calibration']['score'] or []
        total = sum(each['n'] for each in bins)
        dots = [{'x': 100 * each['score'], 'y': 100 - 100 * each['right'], 'n': each['n'],
                 'width': 4 + 10 * (each['n'] / total) ** 0.5} for each in bins]
        lines += [{'estimator': estimator, 'dots': dots}] if dots else []
    return {'title': 'Score', 'about': 'share of poses that are right over their score', 'lines': lines} \
        if lines else None


def covariance_reliability(summary: dict) -> dict | None:
    """Share of truths inside the covariance's region over its level, in a box of 100 by 100; None for no data."""
    lines = []
    for estimator, part in _estimators(summary).items():
        levels = part['calibration']['covariance'] or []
        dots = [{'x': 100 * each['level'], 'y': 100 - 100 * each['inside'], 'n': None, 'width': 4}
                for each in levels]
        lines += [{'estimator': estimator, 'dots': dots}] if dots else []
    return {'title': 'Covariance', 'about': 'share of truths inside a region over its level',
            'lines': lines} if lines else None


def _polyline(percentiles: list[float | None], limit: float) -> str:
    """Points "x,y ..." of the share of frames (y from 100 up to 0) over the error (x, 100 at the limit)."""
    points, share = [(0.0, 0)], 0
    for percent, error in enumerate(percentiles):
        if error is None or error > limit:
            break
        share = percent
        points.append((100 * error / limit, percent))
    points.append((100.0, share))
    return ' '.join(f'{x:.2f},{100 - y}' for x, y in points)


def _estimators(summary: dict) -> dict[str, dict]:
    """The estimators side by side; a live run has one, under the name of its summary."""
    return summary.get('estimators') or {summary.get('estimator', 'this run'): summary}


def _compared(summary: dict) -> list[str]:
    """The metrics that were measured of some estimator; all where nothing was."""
    measured = [name for name in COMPARED
                if any(part['metrics'][name]['n'] for part in _estimators(summary).values())]
    return measured or list(COMPARED)


def _headline(summary: dict) -> str:
    headline = summary['headline']
    bar = requirement_verdict(summary, headline['name'])
    text = (f'{display.label(headline["name"])}: {display.quantity(headline["value"], "1")} '
            f'{display.interval(headline["interval"], "1")}, n = {headline["n"]}')
    return text + (f'   (needed {display.quantity(bar["reference"], "1")}: {bar["verdict"]})' if bar else '')


def _stage_rows(summary: dict) -> list[str]:
    rows = [['stage', 'inputs', 'answered', 'coverage', 'p50 ms', 'p95 ms', 'p99 ms']]
    for name, stage in summary['stages'].items():
        if stage['inputs']:
            times = [display.number((stage['latency_ms'] or {}).get(key), 'ms') for key in ('p50', 'p95', 'p99')]
            rows.append([name, str(stage['inputs']), str(stage['answered']),
                         display.quantity(stage['coverage'], '1'), *times])
    return aligned(rows)


def _estimator_rows(summary: dict) -> list[str]:
    compared = _compared(summary)
    rows = [['estimator', 'coverage', *(COMPARED[name][0] for name in compared)]]
    for estimator, part in _estimators(summary).items():
        metrics = part['metrics']
        rows.append([estimator, display.quantity(part['stages']['perception']['coverage'], '1'),
                     *(display.quantity(metrics[name]['value'], metrics[name]['unit']) for name in compared)])
    return aligned(rows)


def _verdict_rows(summary: dict) -> list[str]:
    if not summary['verdicts']:
        return []
    rows = [['metric', 'value', '95 % interval', 'against', 'reference', 'verdict']]
    for item in summary['verdicts']:
        unit = item['unit']
        against = f'{item["entry"]} ({item["kind"]}{"" if item["fair"] else ", not fair"})'
        rows.append([item['metric'], display.quantity(item['value'], unit),
                     display.interval(item['interval'], unit), against,
                     display.target(item['reference'], item['tolerance'], unit), item['verdict']])
    lines = aligned(rows, left=(0, 3, 5))
    if any(item['source'] == SAME_FRAMES for item in summary['verdicts']):
        lines.append('scripted, simple_ml: measured on the same frames; the verdict takes the figure as it is')
    return lines


def aligned(rows: list[list[str]], left: tuple[int, ...] = (0,)) -> list[str]:
    """Rows padded to columns, numbers to the right, with a rule below the first."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ['  '.join(cell.ljust(width) if column in left else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]
    return [lines[0], '  '.join('-' * width for width in widths), *lines[1:]]
