# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.report.run_report import format_table, render_html
from posegrasp_ros.runs.folder import RunFolder, RunFolderError, read_reports

TARGET = ErrorTarget(np.random.default_rng(0).uniform(-0.05, 0.05, (100, 3)), 0.17)
SECOND = 1_000_000_000


def summary_of(frames=20, picks=0, name='<box & co>'):
    run = RunMetrics(TARGET, load_baselines())
    for index in range(frames):
        stamp, found = index * SECOND, index % 5 > 0
        run.add_truth(stamp, make_transform(None, (0, 0, 0.6)))
        reason = '' if found else 'no_detection'
        run.add_report(StageReport(stamp, 'perception', found, reason, {'latency_ms': 41.5}))
        if found:
            run.add_estimate(stamp, make_transform(None, (0.001 * index, 0, 0.6)))
    for index in range(picks):
        run.add_report(StageReport((index + 1) * SECOND, 'execution', index > 0, '' if index else 'slipped'))
    bag = {'name': 'b', 'files': {'b.mcap': 12345}}
    return run.summary({'model': {'name': name, 'sha256': 'ab' * 32}, 'bags': [bag]})


BLAMED = {
    'waterfall': {'of': 'attempts', 'attempts': 100, 'successes': 80, 'steps': [
        {'reason': 'no_image', 'stage': 'camera', 'lost': 0, 'left': 100},
        {'reason': 'not_detected', 'stage': 'perception', 'lost': 12, 'left': 88},
        {'reason': 'pose_outside_tolerance', 'stage': 'perception', 'lost': 8, 'left': 80}],
        'if_perfect': {'perception': 1.0, 'planning': None, 'execution': None}},
    'next': {'text': 'Work on the poses.', 'metrics': [
        {'metric': 'recall_1cm_5deg', 'action': 'work on', 'why': 'it costs most'},
        {'metric': 'score_ece', 'action': 'ignore', 'why': 'nothing is lost to it'}]},
    'paired': [{'estimator': 'onnx', 'other': 'network', 'metric': 'recall_1cm_5deg', 'difference': 0.042,
                'interval': [0.01, 0.075], 'p_value': 0.012, 'verdict': 'better'}],
}


class Tags(HTMLParser):
    """Checks that tags are closed in order, and collects what the page would load."""

    VOID = {'meta', 'br', 'link', 'img', 'input'}

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.policies = [], [], set()

    def handle_starttag(self, tag, attrs):
        if ('name', 'color-scheme') in attrs:
            self.policies.add(dict(attrs)['content'])
        self.loads += [value for key, value in attrs if key in ('src', 'href')]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.loads += [value for key, value in attrs if key in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize('frames, picks', [(20, 0), (20, 8), (0, 0), (1, 0)])
def test_the_page_is_whole_and_needs_no_network(frames, picks):
    summary = summary_of(frames, picks)
    page = render_html(summary)
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and tags.loads == []
    assert tags.policies == {'light dark'}, 'dark where the reader likes it dark'
    assert "default-src 'none'" in page and '@import' not in page and 'url(' not in page
    assert formatting.label(summary['headline']['name']) in page


def test_names_from_outside_are_escaped():
    page = render_html(summary_of())
    assert '<box' not in page and '&lt;box &amp; co&gt;' in page


def test_the_page_states_headline_verdict_failures_and_provenance():
    text = words_of(render_html(summary_of(picks=8)))
    for words in ('87.5 %', 'The requirement is at least 80.0 %', 'inconclusive', 'no detection 4', 'slipped 1',
                  'ab' * 32, '12,345 bytes'):
        assert words in text, words


def test_pictures_are_inside_the_page():
    page = render_html(summary_of(), pictures=[{'caption': '<12 mm>', 'data_uri': 'data:image/jpeg;base64,AAAA'}])
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and tags.loads == ['data:image/jpeg;base64,AAAA']
    assert '&lt;12 mm&gt;' in page and 'Worst frames' not in render_html(summary_of())


def words_of(page):
    """What a reader sees."""
    return re.sub(r'\s+', ' ', html.unescape(re.sub('<[^>]*>', ' ', page.partition('<body>')[2])))


def test_the_page_leads_from_the_losses_to_what_is_next():
    summary = {**summary_of(), **BLAMED}
    text = words_of(render_html(summary))
    assert 'Work on the poses.' in text and 'Ignore for now: 1 metric ' in text
    for words in ('object not detected perception −12', "pose outside the grasp's tolerance perception −8",
                  'successes 80 80.0 %', 'No losses: no image.'):
        assert words in text, words
    titles = ('Next step', 'Failure attribution', 'Comparison with the baselines')
    assert sorted(titles, key=text.index) == list(titles)


def test_the_table_of_the_terminal_says_the_same():
    table = re.sub(' +', ' ', format_table({**summary_of(), **BLAMED}))
    for words in ('of 100 attempts', 'object not detected perception 12 12.0 %', 'good',
                  'Next: Work on the poses.',
                  'recall_1cm_5deg network +4.2 points [1.0, 7.5] 0.012 better'):
        assert words in table, words


@pytest.mark.parametrize('metric, expected', [('recall_1cm_5deg', 'about 37 more blocks of 1 s'),
                                              ('grasp_success_rate', 'about 37 more attempts')])
def test_an_open_verdict_says_what_would_decide_it(metric, expected):
    summary = summary_of(picks=8)
    for item in summary['verdicts']:
        item.update(verdict='inconclusive', decided_after=37 if item['metric'] == metric else None)
    text = words_of(render_html(summary))
    assert text.replace('\u00a0', ' ').count(f'{expected} would decide') == 1
    assert 'inconclusive (+37)' in format_table(summary)


def test_an_interrupted_run_says_so_first():
    summary = summary_of()
    summary['provenance']['complete'] = False
    assert 'This run was interrupted' in words_of(render_html(summary))[:200]


def test_a_summary_without_blame_and_pairs_still_makes_a_page():
    summary = summary_of()
    for key in ('waterfall', 'next', 'latency', 'paired'):
        summary.pop(key, None)
    assert 'Next step' not in render_html(summary) and 'Next:' not in format_table(summary)


def test_the_table_is_aligned_text_with_every_verdict():
    summary = summary_of(picks=8)
    table = format_table(summary)
    assert 'Grasp success: 87.5 %' in table and 'needed 80.0 %: inconclusive' in table
    assert table.count('(requirement') == sum(item['kind'] == 'requirement' for item in summary['verdicts'])
    for block in table.split('\n\n'):
        lines = block.splitlines()
        rules = [line for line in lines if set(line) == {'-', ' '}]
        if rules:
            assert all(len(line) <= len(rules[0]) for line in lines)
    assert max(len(line) for line in table.splitlines()) < 140


def test_scripted_estimators_are_said_to_be_measured_on_the_same_frames():
    summary = summary_of()
    assert 'same frames' not in format_table(summary) + render_html(summary)
    for item in summary['verdicts']:
        item.update(kind='scripted', source='measured on the same frames')
    assert 'measured on the same frames' in format_table(summary)
    assert 'scripted estimators were measured on the same frames' in render_html(summary)


def test_stretches_of_video_are_not_called_scenes():
    summary = summary_of()
    page = render_html(summary)
    assert '20 frames in 20 blocks of 1\u00a0s' in page and 'scenes' not in page
    assert 'Too few blocks of 1\u00a0s for an interval' in render_html(
        {**summary, 'headline': {**summary['headline'], 'interval': None}})


def test_a_verdict_shows_where_its_reference_is_from():
    assert 'project brief, position error below 1 cm' in render_html(summary_of())


def test_the_table_of_an_empty_run_prints():
    assert 'Failures: none' in format_table(summary_of(frames=0))


@pytest.mark.parametrize('value, unit, expected', [
    (0.00312, 'm', '3.12 mm'), (0.0123, 'm', '12.3 mm'), (np.radians(5), 'rad', '5.00°'), (0.8, '1', '80.0 %'),
    (123.4, 'ms', '123 ms'), (None, 'ms', '–'), (0, 'm', '0.00 mm'), (3.21, 'px', '3.21 px')])
def test_numbers_are_shown_in_the_units_that_people_read(value, unit, expected):
    assert formatting.quantity(value, unit) == expected


@pytest.mark.parametrize('value, unit, expected', [
    (0.042, '1', '+4.2 points'), (-0.0059, 'm', '−5.90 mm'), (0.0, 'ms', '0.00 ms'), (-1e-9, 'm', '0.00 mm'),
    (np.radians(-2), 'rad', '−2.00°'), (None, 'm', '–')])
def test_differences_have_a_sign_and_shares_differ_by_points(value, unit, expected):
    assert formatting.difference(value, unit) == expected


REPORTS = [StageReport(index, 'perception', True, '', {'latency_ms': 1.5}) for index in range(3)]


def test_every_report_is_on_disk_before_the_folder_is_closed(tmp_path):
    folder = RunFolder(tmp_path / 'run')
    for count, report in enumerate(REPORTS, start=1):
        folder.append(report, estimator='onnx')
        assert read_reports(tmp_path / 'run') == (REPORTS[:count], [])
    folder.close()


def test_a_line_that_was_cut_off_is_left_out_said_and_does_not_spoil_what_follows(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.append(REPORTS[0])
        folder.append(REPORTS[1])
    path = tmp_path / 'metrics.jsonl'
    path.write_bytes(path.read_bytes()[:-20])
    reports, warnings = read_reports(tmp_path)
    assert reports == REPORTS[:1] and len(warnings) == 1 and 'line 2' in warnings[0]
    with RunFolder(tmp_path) as folder:
        folder.append(REPORTS[2])
    assert read_reports(tmp_path)[0] == [REPORTS[0], REPORTS[2]]


def test_a_fresh_folder_begins_anew(tmp_path):
    for _ in range(2):
        with RunFolder(tmp_path, fresh=True) as folder:
            folder.append(REPORTS[0])
    assert len(read_reports(tmp_path)[0]) == 1


def test_not_a_number_does_not_get_into_the_log(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.append(StageReport(1, 'planning', True, '', {'latency_ms': float('nan'), 'score': 1.0}))
    assert read_reports(tmp_path)[0][0].numbers == {'score': 1.0}


def test_summary_and_report_are_written_whole(tmp_path):
    summary = summary_of()
    with RunFolder(tmp_path) as folder:
        folder.write_summary(summary)
    assert json.loads((tmp_path / 'summary.json').read_text()) == summary
    assert (tmp_path / 'report.html').read_text().rstrip().endswith('</html>')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['metrics.jsonl', 'report.html', 'run.json',
                                                                 'summary.json']


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(RunFolderError, match='a folder that can be written'):
        RunFolder(tmp_path / 'file' / 'run')
    with pytest.raises(RunFolderError, match='no such file'):
        read_reports(tmp_path)
