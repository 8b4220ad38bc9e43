# SPDX-License-Identifier: Apache-2.0
"""Report of a feasibility study: text for the terminal, and report.html."""

from __future__ import annotations

import re
from collections.abc import Sequence

from posegrasp_ros.metrics import formatting
from posegrasp_ros.report.page import render_page
from posegrasp_ros.report.plots import linear_axis
from posegrasp_ros.report.provenance_table import provenance_rows
from posegrasp_ros.report.table import aligned
from posegrasp_ros.runtime.text_layout import wrapped

# Word of the verdict -> class of its badge.
BADGES = {'feasible': 'better', 'feasible if': 'inconclusive', 'not feasible': 'worse'}
NEEDS = {'grasp': 'Feasible grasp', 'grip': 'Success with the true pose',
         'camera': 'Success with the best possible estimator', 'success': 'Expected success',
         'views': 'Views with sufficient success', 'orientation': 'Views with ambiguous orientation',
         'twins': 'Surface with identical artwork', 'time': 'Image to pose', 'break_even': 'Break-even success',
         'changes': 'Success after the best change'}
# Needs with an upper limit.
AT_MOST = ('orientation', 'twins', 'time')
UNITS = {'across_m': 'm', 'along_m': 'm', 'tilt_rad': 'rad', 'about_rad': 'rad'}
# Tolerances that differ by at least this factor are named separately in the summary sentence.
TELLING = 1.5
# Errors above 0.1 m and 45 degrees are not tried: a limit close to them means that none was found.
ANY = {'m': 0.098, 'rad': 0.77}
# Condition where no change makes the cell feasible but no need is significantly missed.
UNSURE = 'the needs that are still uncertain are met'
# Values below this, in degrees or micrometres, are rounding errors.
LEAST_TOLD = 1e-6
# A curve is shown up to the error at which success falls below this.
LEAST_SHOWN = 0.05


def format_study(summary: dict) -> str:
    """The summary as plain text."""
    lines = [f'{summary["object"]["name"]}, {summary["gripper"]["name"]}: {headline(summary)}', '',
             *_archetype_lines(summary), *_reason_lines(summary), '', *_requirement_rows(summary), '',
             *_budget_rows(summary), '', *_efficiency_rows(summary), '', *_change_rows(summary), '',
             *_verification_rows(summary)]
    return re.sub('\n{3,}', '\n\n', '\n'.join(lines)).rstrip()


def render_study(summary: dict, pictures: dict) -> str:
    """The summary as one self-contained page.

    :param pictures: see :func:`posegrasp_ros.feasibility.pictures.study_pictures`
    """
    required, expected = summary['required'], summary['expected_std']
    groups = [{'title': title, 'rows': direction_rows(required[key], expected[name])}
              for title, key, name in (('Along the gripper axes', 'gripper_axes', 'gripper'),
                                       ('Along the object axes', 'object_axes', 'object')) if required[key]]
    return render_page('feasibility.html.j2', summary=summary, pictures=pictures, headline=headline(summary),
                       origin=provenance_rows(summary['provenance'], summary['schema']),
                       badges=BADGES, needs=NEEDS, at_most=AT_MOST, groups=groups,
                       twins=_unseen_twins(summary), saying=saying(required['gripper_axes']),
                       curves=tolerance_curves(required),
                       budget_units=UNITS, worst_budget=_budget_most(summary['budget']),
                       conditions=conditions(summary), binned=views_by_success(summary), short=short,
                       margin_text=margin_text, standing=standing, unsure=UNSURE)


def _unseen_twins(summary: dict) -> list[dict]:
    """Ambiguities that occur in none of the sampled views."""
    return [each for each in summary['attainable']['ambiguities'] if not each['views']]


def headline(summary: dict) -> str:
    """The verdict with its condition, or with the needs that are met but not beyond doubt."""
    word, needed = summary['verdict']['word'], conditions(summary)
    if word == 'feasible':
        unsure = [NEEDS[reason['name']].lower() for reason in summary['verdict']['reasons']
                  if standing(reason)[1] == 'inconclusive']
        return f'{word}; still uncertain: {", ".join(unsure)}' if unsure else word
    if word != 'feasible if':
        return word
    return f'{word} {needed[0]["text"] if needed else UNSURE}'


def margin_text(summary: dict) -> str:
    """Factor by which the expected errors may grow."""
    margin, most = summary['expected_success']['margin'], summary['expected_success']['most_margin']
    return f'at least {most:g}' if margin == most else f'{margin:.2g}'


def standing(reason: dict) -> tuple[str, str]:
    """Whether a need is met, as text and as the class of its badge."""
    low, high = reason['interval'] or (reason['figure'], reason['figure'])
    if low < reason['needed'] < high:
        return ('met, uncertain' if reason['holds'] else 'missed, uncertain'), 'inconclusive'
    if reason['holds']:
        return 'met', 'better'
    return 'missed', 'worse' if reason['decides'] else 'inconclusive'


def conditions(summary: dict) -> list[dict]:
    """The changes that make the cell feasible, single changes before pairs."""
    return [change for change in summary['verdict']['changes'] if change['word'] == 'feasible']


def saying(axes: Sequence[dict]) -> str:
    """The tolerance in one sentence: the widest and the narrowest direction."""
    parts = []
    for unit in ('m', 'rad'):
        known = sorted((axis for axis in axes if axis['unit'] == unit and axis['limit']),
                       key=lambda axis: axis['limit'])
        if not known:
            continue
        least, most = known[0], known[-1]
        if most['limit'] >= TELLING * least['limit']:
            widest = limit_text(most)
            parts.append(f'{"any error" if widest == "any" else widest} {most["name"]} is tolerated, '
                         f'but only {limit_text(least)} {least["name"]}')
        else:
            parts.append(f'at most {limit_text(least)} in any direction')
    return '; '.join(parts)


def limit_text(axis: dict) -> str:
    """The largest tolerated standard deviation."""
    if not axis['limit']:
        return 'none'
    return 'any' if axis['limit'] >= ANY[axis['unit']] else short(axis['limit'], axis['unit'])


def short(value: float, unit: str) -> str:
    """Two significant figures with the unit; micrometres below 0.1 mm."""
    shown, name = formatting.shown_value(value, unit), formatting.shown_unit(unit)
    if unit == 'm' and shown < 0.1:
        shown, name = 1e3 * shown, 'µm'
    text = '0' if shown < LEAST_TOLD else f'{shown:.2g}' if shown < 100 else f'{shown:.0f}'
    return f'{text}{"" if name == "°" else " "}{name}'


def direction_rows(axes: Sequence[dict], expected: Sequence[float] | None) -> list[dict]:
    """One row per direction: tolerated and expected standard deviation, and their ratio."""
    rows = []
    for index, axis in enumerate(axes):
        std = expected[index] if expected else None
        interval = axis['limit_interval']
        rows.append({'name': axis['name'], 'limit': limit_text(axis),
                     'interval': '' if not interval or axis['limit'] >= ANY[axis['unit']]
                     else f'{short(interval[0], axis["unit"])} to {short(interval[1], axis["unit"])}',
                     'expected': formatting.NOTHING if std is None else short(std, axis['unit']),
                     'used': None if std is None or not axis['limit'] else std / axis['limit'],
                     'trials': len(axis['trials'])})
    return rows


def tolerance_curves(required: dict) -> list[dict]:
    """Success over the error along three axes in one plot, in a box of 100 by 100; bands are 95 % intervals."""
    plots = []
    for key, whose in (('gripper_axes', 'of the gripper'), ('object_axes', 'of the object')):
        for unit, what in (('m', 'Shift along the axes'), ('rad', 'Rotation about the axes')):
            axes = [axis for axis in required[key] if axis['unit'] == unit and axis['curve']]
            if axes:
                plots.append({'title': f'{what} {whose}', 'unit': formatting.shown_unit(unit),
                              **_lines(axes, unit)})
    return plots


def _lines(axes: Sequence[dict], unit: str) -> dict:
    most = max(point[0] for axis in axes for point in axis['curve'] if point[1] >= LEAST_SHOWN) or 1.0
    most, ticks = linear_axis(most, unit)
    curves = {axis['name']: [point for point in axis['curve'] if point[0] <= most] for axis in axes}

    def place(error: float, share: float) -> str:
        return f'{100 * error / most:.2f},{100 - 100 * share:.2f}'

    lines = [{'name': axis['name'],
              'points': ' '.join(place(error, success) for error, success, _, _ in curves[axis['name']]),
              'band': ' '.join([place(error, low) for error, _, low, _ in curves[axis['name']]]
                               + [place(error, high) for error, _, _, high in reversed(curves[axis['name']])]),
              'picks': [{'x': 100 * error / most, 'lifted': lifted} for error, lifted in axis['trials']
                        if error <= most]} for axis in axes]
    return {'lines': lines, 'ticks': ticks}


def views_by_success(summary: dict, columns: int = 20) -> list[dict]:
    """Histogram of the views' success: bars in a box of 100 by 100, as shares of all views."""
    success = summary['expected_success']['success_by_view']
    counts = [0] * columns
    for value in success:
        counts[min(int(value * columns), columns - 1)] += 1
    return [{'x': 100 * index / columns, 'width': 100 / columns, 'height': 100 * count / len(success),
             'count': count,
             'is_enough': (index + 0.5) / columns >= summary['wanted']} for index, count in enumerate(counts)]


def _budget_most(rows: Sequence[dict]) -> dict[str, float]:
    return {column: max(row[column] for row in rows) or 1.0 for column in UNITS}


def _archetype_lines(summary: dict) -> list[str]:
    """What kind of project it is, and what follows, for a manager; nothing where it was not stated."""
    stated = summary.get('archetype')
    if not stated:
        return []
    lines = wrapped(f'{stated["name"]} ({stated["title"]}): {stated["text"]}')
    for risk in stated['risks']:
        lines += wrapped(f'risk   {risk["text"]} Watched by the gate "{risk["gate"]}" of posegrasp status.',
                         later='       ')
    return [*lines, '']


def _reason_lines(summary: dict) -> list[str]:
    lines = []
    for reason in summary['verdict']['reasons']:
        mark, _ = standing(reason)
        text = f'{mark if reason["holds"] else mark.upper():6} {reason["name"]}: {reason["text"]}'
        lines += wrapped(text, later='       ')
    if summary['expected_success']['margin']:
        lines.append(f'       margin: errors may be {margin_text(summary)} times as large as expected')
    return lines


def _requirement_rows(summary: dict) -> list[str]:
    required, expected = summary['required'], summary['expected_std']
    rows = [['direction', 'tolerated', '95 % interval', 'expected']]
    for key, name in (('gripper_axes', 'gripper'), ('object_axes', 'object')):
        rows += [[f'{name}, {row["name"]}', row['limit'], row['interval'], row['expected']]
                 for row in direction_rows(required[key], expected[name])]
    return aligned(rows) if len(rows) > 1 else []


def _budget_rows(summary: dict) -> list[str]:
    rows = [['error from', 'across sight', 'along sight', 'tilt', 'about sight', 'success without']]
    for row in summary['budget']:
        rows.append([row['name'], *(short(row[column], unit) for column, unit in UNITS.items()),
                     formatting.quantity(row['success_without'], '1')])
    return aligned(rows)


def _efficiency_rows(summary: dict) -> list[str]:
    """The object's estimator compared with the bound, where that was measured."""
    rows = [['estimator and bound', 'error', 'bound', 'times above', '95 % interval']]
    for axis in (summary['efficiency'] or {'axes': ()})['axes']:
        rows.append([axis['name'], short(axis['error_rms'], axis['unit']), short(axis['bound_rms'], axis['unit']),
                     f'{axis["times"]:.0f}', '{:.0f} to {:.0f}'.format(*axis['interval'])])
    return aligned(rows) if len(rows) > 1 else []


def _verification_rows(summary: dict) -> list[str]:
    """Predicted success and verification picks, if requested."""
    rows = [['errors of', 'predicted', 'lifted', '95 % interval', 'of']]
    for level in summary['verification']:
        rows.append([f'{short(level["position_std_m"], "m")}, {short(level["rotation_std_rad"], "rad")}',
                     formatting.quantity(level['predicted'], '1'), formatting.quantity(level['measured'], '1'),
                     formatting.interval(level['interval'], '1'), str(level['picks'])])
    return aligned(rows) if len(rows) > 1 else []


def _change_rows(summary: dict) -> list[str]:
    rows = [['what if', 'verdict', 'success', 'gain', 'ideal']]
    for each in summary['what_if']:
        figures = each['figures']
        rows.append([each['name'], each['word'], formatting.quantity(figures['success'], '1'),
                     formatting.difference(each['gain'], '1'), formatting.quantity(figures['ideal'], '1')])
    return aligned(rows, left=(0, 1)) if len(rows) > 1 else []
