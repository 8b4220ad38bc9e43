# SPDX-License-Identifier: Apache-2.0
"""What was wrong with the input reaches the person: console, summary, page, log of reports, exit code."""

from __future__ import annotations

import json

from hand_made_bags import IMAGE, SECOND, HandMade

from posegrasp_ros.cli import main
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.evaluation.problems import MOST_KINDS, Problems


def bad_frame(text, reason='bad_image', stamp_ns=7, warning=''):
    return BagFrame(stamp_ns, None, None, reason=reason, problem=text, warning=warning)


def test_each_kind_is_kept_once_with_its_count_and_first_place():
    problems = Problems()
    for image, text in enumerate(('expected 10 bytes, got 7', 'expected 10 bytes, got 8', 'no camera_info')):
        problems.look_at(bad_frame(text, stamp_ns=image + 5), 'bag', image)
    first, second = problems.to_list()
    assert first == {'reason': 'bad_image', 'text': 'expected 10 bytes, got 7', 'count': 2, 'bag': 'bag',
                     'image': 0, 'stamp_ns': 5}
    assert (second['count'], second['image']) == (1, 2)
    assert (problems.frames, problems.usable) == (3, 0)
    assert problems.sentence().startswith('none of 3 images could be used: bad_image: expected 10 bytes')


def test_a_hostile_recording_cannot_fill_the_memory_with_kinds():
    problems = Problems()
    for number in range(3 * MOST_KINDS):
        problems.look_at(bad_frame(''.join(chr(97 + int(digit)) for digit in str(number))), 'bag', number)
    kept = problems.to_list()
    assert len(kept) == MOST_KINDS + 1 and sum(kind['count'] for kind in kept) == 3 * MOST_KINDS


def test_warnings_of_recordings_stand_beside_those_of_frames_and_not_twice():
    problems = Problems()
    problems.look_at(bad_frame('', reason='', warning='depth is ignored'), 'bag', 0)
    told = problems.to_list([('bag', '/tmp/bag: depth is ignored'), ('bag', '/tmp/bag: cut off')])
    assert [(each['reason'], each['text']) for each in told] == [('warning', 'depth is ignored'),
                                                                 ('warning', '/tmp/bag: cut off')]
    assert problems.usable == 1


def test_what_a_terminal_would_obey_is_written_out():
    problems = Problems()
    problems.look_at(bad_frame('a\x1b[31m\nposegrasp: error: ü'), 'bag', 0)
    assert problems.to_list()[0]['text'] == 'a\\x1b[31m\\nposegrasp: error: ü'


def record(path, bad):
    with HandMade(path) as writer:
        for index in range(6):
            writer.info((1 + index) * SECOND)
            data = IMAGE.ravel()[:-5] if index in bad else None
            writer.image((1 + index) * SECOND, data=data)
    return path


def evaluate(tmp_path, model, bad):
    bag = record(tmp_path / 'bag', bad)
    return main.main(['evaluate', str(bag), '--model', str(model), '--estimator', 'mean_pose', '--compare-with',
                      '--out',
                     str(tmp_path / 'run')])


def test_problems_are_printed_stored_and_shown(tmp_path, scripted_model, capsys):
    assert evaluate(tmp_path, scripted_model, bad=(2, 4)) == 0
    line = ('2 x bad_image: image: data: expected 9216 bytes for 64x48 bgr8 with step 192, got 9211 '
            '(first: bag, 2.00 s, image 2')
    assert capsys.readouterr().out.count(line) == 1
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    problem = summary['problems'][0]
    assert (problem['reason'], problem['count'], problem['image'], problem['stamp_ns']) == (
        'bad_image', 2, 2, 3 * SECOND)
    assert 'got 9211' in (tmp_path / 'run' / 'report.html').read_text()
    lines = [json.loads(line) for line in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()]
    told = [each.get('words', {}).get('problem', '') for each in lines if 'stage' in each]
    assert ['got 9211' in text for text in told] == [False, False, True, False, True, False]


def test_the_exit_code_is_2_when_no_frame_could_be_used(tmp_path, scripted_model, capsys):
    assert evaluate(tmp_path, scripted_model, bad=range(6)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith('posegrasp: error: none of 6 images could be used: bad_image: image: data: expected')
    assert json.loads((tmp_path / 'run' / 'summary.json').read_text())['problems']
