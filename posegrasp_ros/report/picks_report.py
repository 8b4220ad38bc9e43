# SPDX-License-Identifier: Apache-2.0
"""Report of a picking run: tables for the terminal, and report.html."""

from __future__ import annotations

from collections.abc import Sequence

from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.pick_metrics import ASSUMED, GIVEN, QUALITY, Condition
from posegrasp_ros.report.clips import Clip
from posegrasp_ros.report.page import render_page
from posegrasp_ros.report.provenance_table import provenance_rows
from posegrasp_ros.report.table import aligned


def format_picks(summary: dict) -> str:
    """The summary as aligned plain text."""
    blocks = [_success_rows(summary), _share_rows(summary), _gain_rows(summary), _calibration_rows(summary)]
    scenes = summary['scenes']
    if not summary['complete']:
        blocks.append([f'Interrupted in scene {scenes["tried"]} of {scenes["planned"]}'])
    return '\n\n'.join('\n'.join(block) for block in blocks if block)


def render_picks(summary: dict, clips: Sequence[Clip] = ()) -> str:
    """The summary as one self-contained page, with clips of picks that held and that failed."""
    curves = [noise_curve(curve, 'Position' if name == 'position' else 'Rotation')
              for name, curve in summary['curves'].items() if curve]
    return render_page('picks.html.j2', summary=summary, headline=headline(summary),
                       origin=provenance_rows(summary['provenance'], summary['schema']), curves=curves,
                       clips=clips, of_others=_of_other_conditions(summary, clips), objects=_objects(summary),
                       dots=reliability_dots(summary['calibration']))


def headline(summary: dict) -> dict:
    """What was counted under the main condition: the estimated pose where there is one, else the true pose."""
    return next((each for each in summary['conditions'] if each['pose'] == 'estimate' and each['n']),
                summary['conditions'][0])


def _of_other_conditions(summary: dict, clips: Sequence[Clip]) -> bool:
    """Whether clips are of picks that the headline does not count."""
    return any(not clip.caption.endswith(f', {headline(summary)["name"]}') for clip in clips)


def main_condition(conditions: Sequence[Condition]) -> Condition:
    """The condition that the report begins with."""
    return next((each for each in conditions if each.pose == 'estimate'), conditions[0])


def noise_curve(curve: dict, title: str) -> dict:
    """Success over noise as SVG points in a box of 100 by 100, starting at zero noise, common to all lines.

    Intervals are paths from their low to their high end.
    """
    unit, most = curve['unit'], max(level['level'] for level in curve['levels'])
    lines = []
    for key, label in (('given', GIVEN), ('not_given', ASSUMED), ('quality', QUALITY)):
        rates = [(0.0, curve['truth'])] if curve['truth']['n'] else []
        rates += [(level['level'], level[key]) for level in curve['levels']]
        dots = [{'x': 100 * at / most, 'y': 100 - 100 * rate['rate'], 'low': 100 - 100 * rate['interval'][0],
                 'high': 100 - 100 * rate['interval'][1], 'n': rate['n']} for at, rate in rates]
        lines.append({'label': label, 'dots': dots})
    ticks = [{'x': 100 * level / most, 'text': f'{formatting.shown_value(level, unit):.3g}'}
             for level in (0.0, *(level['level'] for level in curve['levels']))]
    return {'title': f'{title} noise', 'unit': formatting.shown_unit(unit), 'lines': lines, 'ticks': ticks}


def reliability_dots(calibration: dict | None) -> list[dict]:
    """Share lifted over predicted probability in a box of 100 by 100; dot size shows the number of picks."""
    if not calibration:
        return []
    return [{'x': 100 * each['score'], 'y': 100 - 100 * each['right'], 'n': each['n'],
             'width': 4 + 10 * (each['n'] / calibration['n']) ** 0.5} for each in calibration['bins']]


def _objects(summary: dict) -> list[str]:
    return sorted({name for condition in summary['conditions'] for name in condition['objects']})


def _success_rows(summary: dict) -> list[str]:
    """Success of each condition, in total and by object."""
    objects = _objects(summary)
    rows = [['pose', 'lifted', 'of', 'success', '95 % interval', *objects, 'failures']]
    for each in summary['conditions']:
        by_object = [_rate(each['objects'].get(name)) for name in objects]
        failures = ', '.join(f'{reason} {count}' for reason, count in each['failures'].items())
        rows.append([each['name'], str(each['lifted']), str(each['n']), formatting.quantity(each['rate'], '1'),
                     formatting.interval(each['interval'], '1'), *by_object, failures or 'none'])
    return aligned(rows, left=(0, len(rows[0]) - 1))


def _rate(counted: dict | None) -> str:
    return f'{counted["lifted"]}/{counted["n"]}' if counted else formatting.NOTHING


def _share_rows(summary: dict) -> list[str]:
    share = summary['share_of_truth']
    if not share:
        return []
    return [f'Success with the estimated pose relative to the true pose, same {share["n"]} scenes: '
            f'{formatting.with_interval(share["value"], share["interval"], "1")}']


def _gain_rows(summary: dict) -> list[str]:
    """Gain from the covariance at each level of noise."""
    rows = [['noise', 'given', 'not given', 'quality alone', 'gain over it', '95 % interval']]
    for curve in summary['curves'].values():
        for level in curve['levels'] if curve else ():
            rows.append([formatting.quantity(level['level'], curve['unit']),
                         formatting.quantity(level['given']['rate'], '1'),
                         formatting.quantity(level['not_given']['rate'], '1'),
                         formatting.quantity(level['quality']['rate'], '1'),
                         formatting.difference(level['gain'], '1'),
                         formatting.interval(level['gain_interval'], '1')])
    return aligned(rows) if len(rows) > 1 else []


def _calibration_rows(summary: dict) -> list[str]:
    calibration = summary['calibration']
    if not calibration:
        return []
    return [f'Predicted success probability, expected calibration error over {calibration["n"]} picks: '
            f'{formatting.with_interval(calibration["ece"], calibration["interval"], "1")}']
