# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.metrics.units import SHOWN_UNITS
from posegrasp_ros.report.plots import (
    error_curves,
    error_strips,
    latency_strips,
    log_axis,
    reliability_curves,
    round_ends,
    verdict_scale,
    waterfall,
)


def part(errors_m):
    """What a summary says of the position errors of some frames; infinite for no answer."""
    percentiles = np.quantile(errors_m, np.linspace(0, 1, 101), method='inverted_cdf')
    return {'distributions': {'position_error': {
        'unit': 'm', 'percentiles': [float(each) if np.isfinite(each) else None for each in percentiles]}}}


def test_the_curve_passes_the_recall_at_the_requirement():
    curve, = error_curves({'run': part(0.001 * np.arange(20))})
    points = [tuple(map(float, point.split(','))) for point in curve['lines'][0]['points'].split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    share = 100 - min(y for x, y in points if x <= curve['requirement_x'] + 1e-9)
    assert share == pytest.approx(100 * 11 / 20, abs=1), '0 to 10 mm of 0 to 19 mm'


def test_a_strip_spans_what_was_measured_on_a_logarithmic_axis():
    figure, = error_strips({'run': part(np.geomspace(0.001, 0.1, 1001))})
    strip, = figure['strips']
    places = [strip[key] for key in ('p5', 'p25', 'p50', 'p75', 'p95')]
    steps = np.diff(places)
    assert steps / steps.mean() == pytest.approx(np.array([20, 25, 25, 20]) / 22.5, rel=0.02)
    assert strip['text'] == '10.0 mm' and strip['p50'] == pytest.approx(figure['requirement_x'], abs=0.1)


def test_a_strip_is_of_the_poses_given_and_its_median_that_of_the_metrics():
    strip = error_strips({'run': part([0.002, 0.003, 0.004, np.inf])})[0]['strips'][0]
    assert strip['text'] == '3.00 mm' and strip['p25'] < strip['p50'] < strip['p95'] < 100
    stated = {**part([0.002, 0.003, 0.004, np.inf]), 'metrics': {'position_error_median': {'value': 0.0031}}}
    assert error_strips({'run': stated})[0]['strips'][0]['text'] == '3.10 mm'
    strip = error_strips({'other': part([0.001]), 'run': part([np.inf, np.inf])})[0]['strips'][1]
    assert not strip['has_median'] and strip['text'] == '–'


@pytest.mark.parametrize('errors_mm, end, step', [
    ([1, 2, 3], '12', 2), ([1, 2, 30], '30', 5), ([1, 2, 500], '40', 10)])
def test_the_axis_of_an_error_fits_the_data_holds_the_need_and_has_round_ticks(errors_mm, end, step):
    curve, = error_curves({'run': part([error / 1000 for error in errors_mm])})
    texts = [tick['text'] for tick in curve['ticks']]
    assert texts[-1] == end and texts == [f'{step * index:g}' for index in range(len(texts))]
    assert curve['requirement_x'] == pytest.approx(100 * 10 / float(end))
    assert all(tip['text'].startswith('run: ') and ' mm' in tip['text'] for tip in curve['lines'][0]['tips'])


def test_what_is_needed_is_on_the_axis_even_where_nobody_reaches_it():
    figure, = error_strips({'run': part([0.1, 0.2, 0.4])})
    assert figure['requirement_x'] < figure['strips'][0]['p5'], '10 mm, and the best is 100 mm off'


def test_bops_curves_end_at_its_last_thresholds_and_have_no_need():
    spread = {'unit': '1', 'percentiles': list(np.linspace(0, 1, 101))}
    curve, = error_curves({'run': {'distributions': {'mssd': spread, 'mspd': None}}})
    assert curve['requirement_x'] is None and curve['ticks'][-1]['text'] == '50' and curve['unit'] == '%'
    heights = {float(x): 100 - float(y) for x, y in (point.split(',') for point in
                                                     curve['lines'][0]['points'].split())}
    recalls = [heights[each] for each in range(10, 101, 10)]
    assert np.mean(recalls) == pytest.approx(27.5), 'AR is their mean: of errors spread evenly up to the diameter'


def test_an_oracle_without_errors_does_not_stretch_the_axis():
    figure, = error_strips({'oracle': part([1e-18] * 5), 'run': part([0.01, 0.02])})
    assert 1 < len(figure['ticks']) <= 6 and figure['strips'][0]['p50'] == 0


@pytest.mark.parametrize('low, high, unit, expected', [
    (0.0031, 0.0072, 'm', (0, 10)), (0.61, 0.83, '1', (60, 100)), (0.0, 41.0, 'ms', (0, 100)),
    (5.0, 5.2, 'px', (5, 5.2))])
def test_an_axis_has_round_ends_and_a_round_middle_around_the_data(low, high, unit, expected):
    found = [value * SHOWN_UNITS[unit][0] for value in round_ends(low, high, unit)]
    assert found[0] <= low * SHOWN_UNITS[unit][0] + 1e-9 and found[1] >= high * SHOWN_UNITS[unit][0] - 1e-9
    assert found == pytest.approx(expected)


@pytest.mark.parametrize('least, most, unit, low, high, ticks', [
    (0.0031, 0.045, 'm', 0.002, 0.05, ['2', '5', '10', '20', '50']),
    (3.0, 2400.0, 'ms', 2.0, 5000.0, ['10', '100', '1000']),
    (7.0, 7.0, 'ms', 5.0, 10.0, ['5', '10']),
])
def test_a_logarithmic_axis_ends_at_round_numbers_as_people_read_them(least, most, unit, low, high, ticks):
    found_low, found_high, marks = log_axis(least, most, unit)
    assert (found_low, found_high) == pytest.approx((low, high))
    assert [mark['text'] for mark in marks] == ticks
    assert marks[0]['x'] >= 0 and marks[-1]['x'] <= 100


def test_latency_has_a_strip_for_every_stage_that_ran_and_perception_comes_first():
    times = {'percentiles': list(np.linspace(10, 110, 101))}
    parts = {'a': {'latency': {'perception': times, 'planning': None}},
             'b': {'latency': {'planning': times, 'perception': times}}}
    figure = latency_strips(parts, 100.0)
    assert [(strip['name'], strip['colour']) for strip in figure['strips']] == [
        ('perception, a', 0), ('perception, b', 1), ('planning, b', 1)]
    assert 0 < figure['requirement_x'] <= 100
    assert latency_strips({'a': {}}, 100.0) is None


def test_reliability_puts_a_score_that_means_what_it_says_on_the_diagonal():
    score = [{'low': 0.8, 'high': 0.9, 'n': 3, 'score': 0.85, 'right': 0.85}]
    curve, = reliability_curves({'run': {'calibration': {'score': score, 'covariance': None}}})
    dot, = curve['lines'][0]['dots']
    assert dot['x'] == pytest.approx(100 - dot['y']) and dot['text'] == 'score 85 %: 85 % of 3 poses correct'


def test_the_waterfall_falls_from_all_to_the_successes():
    steps = [{'reason': 'not_detected', 'stage': 'perception', 'lost': 5, 'left': 15},
             {'reason': 'stale_pose', 'stage': 'perception', 'lost': 0, 'left': 15},
             {'reason': 'no_feasible_grasp', 'stage': 'planning', 'lost': 0, 'left': 15},
             {'reason': 'execution', 'stage': 'execution', 'lost': 3, 'left': 12}]
    stages = {'perception': {'inputs': 20}, 'planning': {'inputs': 0}, 'execution': {'inputs': 15}}
    fall = waterfall({'stages': stages, 'waterfall': {
        'of': 'attempts', 'attempts': 20, 'successes': 12, 'steps': steps,
        'if_perfect': {'perception': 0.8, 'planning': None, 'execution': 0.75}}})
    assert [row['left'] + row['share'] for row in fall['rows']] == [100, 75]
    assert fall['rows'][-1]['left'] == 100 * fall['rate'] == 60
    assert fall['unharmed'] == ['pose too old'], 'a stage that took no part cannot lose anything'
    assert [(gain['stage'], round(gain['gain'], 9)) for gain in fall['gains']] == [('perception', 0.2),
                                                                                 ('execution', 0.15)]
    alone = {'of': 'frames', 'attempts': 20, 'successes': 15, 'steps': steps[:1], 'if_perfect': {'perception': 1}}
    assert waterfall({'stages': stages, 'waterfall': alone})['gains'] == [], 'one stage lost all'
    assert waterfall({'waterfall': {'attempts': 0}}) is None and waterfall({}) is None


def against(value, interval, references, unit):
    return [{'value': value, 'interval': interval, 'reference': reference, 'unit': unit, 'verdict': 'better',
             'kind': 'requirement', 'entry': 'a need'} for reference in references]


@pytest.mark.parametrize('items, value, marks', [
    (against(0.5, [0.25, 0.75], [0.8], '1'), 50, [80]),
    (against(11.0, None, [100.0], 'ms'), 10, [100 / 1.1]),
    (against(10.0, [10.0, 10.0], [10.0, 1000.0], 'ms'), pytest.approx(7.49, abs=0.01),
     [pytest.approx(7.49, abs=0.01), pytest.approx(92.51, abs=0.01)]),
    (against(0.0, [0.0, 0.0], [0.0], 'm'), 0, [0]),
])
def test_a_value_lies_among_its_references(items, value, marks):
    scale = verdict_scale(items)
    assert scale['value'] == value and [mark['x'] for mark in scale['marks']] == pytest.approx(marks)
    assert all(0 <= end <= 100 for end in scale['interval'])
