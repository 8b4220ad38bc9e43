# SPDX-License-Identifier: Apache-2.0
"""First card, failures and frame browser of a run's report: their numbers are those of the run."""
from __future__ import annotations

import base64
import json
import math
import re

import numpy as np
import pytest
from chromium import empty_page, needs_chromium

from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.report.failure_groups import failure_groups
from posegrasp_ros.report.first_card import first_card
from posegrasp_ros.report.frame_browser import COLUMNS
from posegrasp_ros.report.frame_rows import MOST_ROWS, Recording, frame_rows, place_in
from posegrasp_ros.report.run_report import page_of, requirements_of

TARGET = ErrorTarget(np.random.default_rng(0).uniform(-0.05, 0.05, (100, 3)), 0.17)
SECOND = 1_000_000_000
FIRST_NS = 1_700_000_000 * SECOND
# Error of each frame in millimetres and degrees; None for no pose.
ERRORS = [(1, 1), (2, 0.5), (12, 1), (3, 7), (20, 9), None, (4, 1), (0.5, 0.2), None, (30, 1)]
OUTCOMES = ['passed', 'passed', 'position', 'rotation', 'both', 'not_detected', 'passed', 'passed', 'not_detected',
            'position']


def run_of(errors, has_truth=True):
    run = RunMetrics(TARGET, load_baselines())
    truth = make_transform(None, (0, 0, 0.6))
    for index, error in enumerate(errors):
        stamp = FIRST_NS + index * SECOND
        if has_truth:
            run.add_truth(stamp, truth)
        run.add_report(StageReport(stamp, 'perception', error is not None, '' if error else 'low_score',
                                   {'latency_ms': 40.0 + index, **({'score': 0.9} if error else {})}))
        if error:
            moved = make_transform(rotation_from_vector((0, 0, math.radians(error[1]))), (error[0] / 1000, 0, 0.6))
            run.add_estimate(stamp, moved)
    return run


def picture(index, size=60):
    data = base64.b64encode(bytes([index % 256]) * size).decode()
    return {'stamp_ns': FIRST_NS + index * SECOND, 'object': '', 'data_uri': f'data:image/jpeg;base64,{data}'}


def recorded(run):
    return {**run.summary(), 'recordings': [Recording('run.mcap', FIRST_NS).to_dict()]}


def page_with(run, pictures=()):
    return page_of(run.table(), pictures)(recorded(run))


def browser_of(page):
    return json.loads(re.search(r'id="frame-data">(.*?)</script>', page, re.DOTALL).group(1))


def test_every_frame_is_listed_with_the_numbers_of_the_run():
    run = run_of(ERRORS)
    data, summary = browser_of(page_with(run)), run.summary()
    rows = [dict(zip(COLUMNS, row)) for row in data['rows']]
    assert data['recording'] == 'run.mcap' and data['columns'] == list(COLUMNS) and len(rows) == len(ERRORS)
    assert [data['outcomes'][row['outcome']]['name'] for row in rows] == OUTCOMES
    for index, (row, error) in enumerate(zip(rows, ERRORS)):
        assert row['place'] == f'{index:.2f} s' and row['stamp_ns'] == str(FIRST_NS + index * SECOND)
        assert row['latency_ms'] == 40 + index
        if error:
            assert (row['position_mm'], row['rotation_deg']) == pytest.approx(error, abs=1e-3)
            assert row['error'] == pytest.approx(max(error[0] / 10, error[1] / 5), abs=1e-3)
        else:
            assert (row['position_mm'], row['error'], row['said']) == (None, -1, 'low score')
    counts = {each['name']: each['count'] for each in data['outcomes']}
    assert counts['passed'] == round(summary['headline']['value'] * summary['headline']['n']) == 4
    assert counts == {name: OUTCOMES.count(name) for name in OUTCOMES}


def test_the_first_card_answers_in_one_sentence_with_the_counts_of_the_headline():
    run = run_of(ERRORS)
    frames = frame_rows(run.table(), 'recall_1cm_5deg', pictures=[picture(index) for index in range(10)])
    card = first_card(run.summary(), requirements_of(run.summary())['recall_1cm_5deg'], frames)
    assert card.sentence.startswith('4 of 10 frames with the object have a pose within 1 cm and 5°: 40.0 %')
    assert 'at least 80.0 %' in card.sentence
    assert card.counts == ((4, 'passed', 'pass'), (6, 'failed', 'fail'))
    assert card.missed == []  # no other requirement is missed beyond doubt
    assert [(each.title, each.row.position_m) for each in card.frames] == [
        ('Good', pytest.approx(5e-4)), ('Typical (median relative to the requirement)', pytest.approx(0.012)),
        ('Worst', pytest.approx(0.03))]


def test_the_page_begins_with_the_card_and_its_three_pictures():
    page = page_with(run_of(ERRORS), [picture(index) for index in range(10)])
    hero = page.partition('class="hero"')[2].partition('</section>')[0]
    assert hero.count('<img') == 3 and '<b>4</b> passed' in hero and '<b>6</b> failed' in hero
    assert hero.index('Good') < hero.index('Typical') < hero.index('Worst')


def test_of_frames_that_all_failed_none_is_called_good():
    page = page_with(run_of([(20, 6), (30, 7), (40, 8)]), [picture(index) for index in range(3)])
    hero = page.partition('class="hero"')[2].partition('</section>')[0]
    assert 'Good' not in hero and hero.index('Best') < hero.index('Typical') < hero.index('Worst')


def test_failures_are_grouped_by_cause_with_their_shares_and_the_worst_first():
    run = run_of(ERRORS)
    groups = failure_groups(frame_rows(run.table(), 'recall_1cm_5deg',
                                       pictures=[picture(index) for index in (2, 5, 9)]))
    found = {group.cause: (group.count, group.share, group.said) for group in groups}
    assert found == {'not_detected': (2, 0.2, 'low score 2'), 'position': (2, 0.2, ''), 'rotation': (1, 0.1, ''),
                     'both': (1, 0.1, '')}
    position = next(group for group in groups if group.cause == 'position')
    assert [row.position_m for row in position.rows] == pytest.approx([0.03, 0.012])


def test_without_truth_nothing_is_said_to_be_right():
    page = page_with(run_of(ERRORS, has_truth=False))
    assert '8 of 10 frames got a pose, but the poses were not checked' in page
    counts = {each['name']: each['count'] for each in browser_of(page)['outcomes']}
    assert counts == {'unchecked': 8, 'not_detected': 2}
    assert '100.0 %' not in page and ' passed' not in page.partition('<script>')[0]


def test_columns_without_a_number_and_names_from_outside_do_not_break_the_list():
    run = run_of([(1, 1), None], has_truth=False)
    page = page_of(run.table())({**run.summary(), 'recordings': [Recording('</script><i>', FIRST_NS).to_dict()]})
    data = browser_of(page)
    assert [each['name'] for each in data['shown']] == ['score', 'latency_ms']
    assert data['recording'] == '</script><i>' and '</script><i>' not in page


def test_a_picture_is_in_the_page_once_besides_the_first_card():
    pictures = [picture(index) for index in (0, 5, 9)]
    page = page_with(run_of(ERRORS), pictures)
    assert page.count(pictures[1]['data_uri']) == 1, 'a failure without a pose'
    data = browser_of(page)
    assert [each if each.startswith('#') else 'own' for each in data['pictures']] == ['own', '#f0-0', '#f1-0']
    assert 'id="f0-0"' in page and 'id="f1-0"' in page


def test_a_page_of_500_frames_stays_below_6_megabytes():
    errors = [(index % 25, 1) if index % 9 else None for index in range(500)]
    # As many and as large as a run keeps at most.
    pictures = [picture(index, 22_000) for index in range(0, 500, 3)]
    assert 1_000_000 < len(page_with(run_of(errors), pictures)) < 6_000_000


@pytest.mark.slow
@needs_chromium
def test_a_browser_lists_the_frames_without_asking_anyone(tmp_path):
    file = tmp_path / 'report.html'
    file.write_text(page_with(run_of(ERRORS), [picture(index) for index in range(10)]))
    with empty_page() as (page, problems, urls):
        page.goto(file.as_uri())
        assert '10 of 10 shown' in page.content()
        body = page.content().partition('<tbody>')[2].partition('</tbody>')[0]
        assert body.count('<tr') == 10 and body.count('passed') == 4 and body.count('aria-current') == 1
        for order in ('position_mm', 'rotation_deg'):
            page.select_option('#sort-by', order)
            assert 'no pose given' in page.inner_text('#frames tbody tr'), 'the farthest off first'
        assert problems == [] and {url for url in urls if not url.startswith('data:')} == {file.as_uri()}


def test_of_a_long_run_all_failures_are_listed_and_some_others():
    table = run_of([(1, 1) if index % 50 else (20, 1) for index in range(MOST_ROWS + 500)]).table()
    frames = frame_rows(table, 'recall_1cm_5deg')
    assert len(frames.rows) == MOST_ROWS and frames.total == MOST_ROWS + 500
    assert sum(row.failed for row in frames.rows) == frames.failed == 70
    stamps = [row.stamp_ns for row in frames.rows]
    assert stamps == sorted(stamps) and stamps[-1] - stamps[0] > (MOST_ROWS + 450) * SECOND


def test_of_a_long_run_that_fails_the_frames_with_pictures_are_listed_all_the_same():
    table = run_of([(20, 1)] * (MOST_ROWS + 100) + [(1, 1)]).table()
    frames = frame_rows(table, 'recall_1cm_5deg', pictures=[picture(MOST_ROWS + 100)])
    assert len(frames.rows) == MOST_ROWS and [row.outcome for row in frames.rows if row.picture] == ['passed']


def test_a_frame_is_named_by_its_file_or_by_the_time_since_the_recording_began():
    recordings = [Recording('a', 5 * SECOND), Recording('b', SECOND, 10 * SECOND),
                  Recording('photos', SECOND, 30 * SECOND, {2 * SECOND: 'IMG_2.jpg'})]
    assert place_in(recordings, 'a', 7 * SECOND) == 'a, 2.00 s'
    assert place_in(recordings, 'photos', 2 * SECOND) == 'IMG_2.jpg'
    assert 'stamp' in place_in(recordings, 'c', SECOND)
    assert [Recording.from_dict(json.loads(json.dumps(each.to_dict()))) for each in recordings] == recordings
