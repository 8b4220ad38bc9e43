# SPDX-License-Identifier: Apache-2.0
"""The frames that teach most, as recordings of their own; and runs as Parquet."""

from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pytest

pytest.importorskip('pyarrow', reason='the extra fleet is not installed')
pytest.importorskip('fsspec', reason='the extra fleet is not installed')
pytest.importorskip('duckdb', reason='the extra fleet is not installed')
from fleet_bags import METHOD, record_fleet

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_messages import BagMessages
from posegrasp_ros.datasets.frame_excerpt import header_stamp_ns
from posegrasp_ros.fleet.fleet_evaluation import evaluate_fleet
from posegrasp_ros.fleet.frame_query import view_of, view_of_results
from posegrasp_ros.fleet.frame_schema import frames_schema
from posegrasp_ros.fleet.hard_frames import DISAGREE, REASONS, UNLIKE, hard_frames
from posegrasp_ros.fleet.result_file import ResultFolder, write_frames
from posegrasp_ros.fleet.stored_result import read_results


@pytest.fixture(scope='module')
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp('fleet')
    record_fleet(folder / 'bags')
    assert not evaluate_fleet([str(folder / 'bags/**/*.mcap')], METHOD, str(folder / 'results')).failures
    return folder


def listed(out):
    with (out / 'frames.csv').open() as file:
        return list(csv.DictReader(file))


def test_hard_frames_have_their_reasons_and_scenes_of_their_own(fleet, tmp_path, capsys):
    out = tmp_path / 'hard'
    assert main(['mine', str(fleet / 'results'), '--out', str(out), '--budget', '12']) == 0
    rows = listed(out)
    assert 6 < len(rows) <= 12 and {row['reason'] for row in rows} <= set(REASONS)
    assert {'wrong', 'not_found', 'sources_disagree'} <= {row['reason'] for row in rows}
    assert max(Counter((row['bag'], int(row['stamp_ns']) // 1_000_000_000) for row in rows).values()) == 1
    assert '12 frames: ' in capsys.readouterr().out
    with view_of_results(str(fleet / 'results')) as view:
        for row in rows:
            (is_found, position_m), = view.rows(
                f"select perception_ok, position_m from frames where estimator = '/pose' and bag = '{row['bag']}' "
                f"and stamp_ns = {row['stamp_ns']}")
            if row['reason'] == 'not_found':
                assert not is_found
            elif row['reason'] == 'wrong':
                assert is_found and position_m == pytest.approx(float(row['position_m']))


def test_a_view_unlike_the_rest_of_the_fleet_is_found(fleet, tmp_path):
    import pyarrow as pa

    stored = read_results(ResultFolder(str(fleet / 'results')))[0]
    table = stored.rows('/pose', pa.schema(frames_schema(tuple(stored.document['columns']))).names)
    rng = np.random.default_rng(0)
    views = [{'correlation': each, 'evidence': 1.0} for each in rng.normal(0.9, 0.01, table.num_rows)]
    views[7]['correlation'] = 0.4
    column = pa.array([list(each.items()) for each in views], frames_schema().field('view').type)
    table = table.set_column(table.column_names.index('view'), 'view', column)
    write_frames(tmp_path / 'one.parquet', [table], stored.document)
    with view_of([str(tmp_path / 'one.parquet')]) as view:
        unlike = [frame for frame in hard_frames(view, '/pose', 100) if frame.reason == UNLIKE]
    assert [frame.stamp_ns for frame in unlike] == [table['stamp_ns'][7].as_py()]


def test_yardsticks_do_not_disagree(fleet, tmp_path):
    """That a constant guess is wrong where the source is right says nothing of a frame."""
    import pyarrow as pa

    stored = read_results(ResultFolder(str(fleet / 'results')))[0]
    names = frames_schema(tuple(stored.document['columns'])).names
    ours, other = (stored.rows(name, names) for name in ('/pose', '/other'))
    for yardstick, is_told in (('mean_pose', False), ('/another', True)):
        column = pa.array([yardstick] * other.num_rows).dictionary_encode()
        renamed = other.set_column(names.index('estimator'), other.schema.field('estimator'), column)
        write_frames(tmp_path / f'{is_told}.parquet', [ours, renamed], stored.document)
        with view_of([str(tmp_path / f'{is_told}.parquet')]) as view:
            assert (DISAGREE in {each.reason for each in hard_frames(view, '/pose', 100)}) == is_told


def test_what_is_mined_can_be_evaluated(fleet, tmp_path):
    out = tmp_path / 'hard'
    assert main(['mine', str(fleet / 'results'), '--out', str(out), '--budget', '5']) == 0
    rows = listed(out)
    folders = sorted({str(out / row['recording']) for row in rows})
    for folder in folders:
        stamps = {int(row['stamp_ns']) for row in rows if str(out / row['recording']) == folder}
        images = [header_stamp_ns(message) for message in BagMessages(folder).messages(['/cam/image_raw'])]
        assert set(images) == stamps
    run = tmp_path / 'run'
    assert main(['evaluate', *folders, '--estimator', 'mean_pose', '--compare-with', '--out', str(run)]) == 0
    summary = json.loads((run / 'summary.json').read_text())
    assert summary['frames']['with_object'] == len(rows)


def test_a_recording_that_is_gone_is_named_and_the_others_written(tmp_path, capsys):
    bags = record_fleet(tmp_path / 'bags', 2)
    evaluate_fleet([str(tmp_path / 'bags/**/*.mcap')], METHOD, str(tmp_path / 'results'))
    bags[0].unlink()
    assert main(['mine', str(tmp_path / 'results'), '--out', str(tmp_path / 'hard'), '--budget', '6']) == 1
    assert str(bags[0]) in capsys.readouterr().err
    assert {row['bag'] for row in listed(tmp_path / 'hard')} == {str(bags[1])}
    assert main(['mine', str(tmp_path / 'results'), '--out', str(tmp_path / 'hard')]) == 2
    assert 'already exists' in capsys.readouterr().err


def test_a_run_is_packed_and_asked(fleet, tmp_path, capsys):
    bag = next((fleet / 'bags').rglob('*.mcap'))
    run = tmp_path / 'run'
    assert main(['evaluate', str(bag), '--recorded', '--pose-topic', '/pose', '--model', 'box', '--out',
                 str(run)]) == 0
    summary = json.loads((run / 'summary.json').read_text())
    assert main(['pack', str(run)]) == 0
    assert main(['query', str(run), 'select count(*) n, median(position_m) m from frames', '--json']) == 0
    (answer,) = json.loads(capsys.readouterr().out.split('frames.parquet\n')[1])
    assert answer['n'] == summary['frames']['seen']
    assert answer['m'] == pytest.approx(summary['metrics']['position_error_median']['value'])
    assert main(['pack', str(tmp_path)]) == 2
