# SPDX-License-Identifier: Apache-2.0
"""A run made again from its metrics.jsonl: equal to what it wrote, also what a killed one never wrote."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hand_made_bags import frames
from run_frames import TARGET, TRUTH, off_by

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.metrics.baselines.baselines import Baselines, load_baselines
from posegrasp_ros.metrics.catalogue import HIGHER, Metric, register_metric, unregister_metric
from posegrasp_ros.metrics.frame_record import FrameRecord
from posegrasp_ros.metrics.observations import rate
from posegrasp_ros.metrics.pose.instance_matching import InstanceCount
from posegrasp_ros.metrics.pose.pose_errors import NOT_FOUND, PoseErrors
from posegrasp_ros.metrics.stage_report import STAGES, StageReport
from posegrasp_ros.monitoring.live_run import LiveRun
from posegrasp_ros.monitoring.object_watch import LiveObject
from posegrasp_ros.monitoring.run_keeper import RunKeeper
from posegrasp_ros.report.clips import Clip, write_clips
from posegrasp_ros.ros.demo import add_clips
from posegrasp_ros.runs.rebuild import rebuild
from posegrasp_ros.runs.run_log import RunLogError
from posegrasp_ros.runs.state import partial_because

SECOND = 1_000_000_000


class Robot:
    """A live run and its steady clock."""

    def __init__(self, folder: Path, names=('',), most_bytes: int | None = None, **options):
        self.now_s, self.folder, self.names = 0.0, folder, names
        objects = {name: LiveObject(TARGET) for name in names}
        self.run = LiveRun(objects, load_baselines(), RunKeeper(folder, most_bytes, print), 0.5,
                           {'provenance': {}}, clock=lambda: self.now_s, **options)

    def frames(self, first: int, last: int) -> None:
        """Two images a second that are answered, every seventh not found."""
        for index in range(first, last):
            stamp_ns = index * SECOND // 2
            self.run.image(stamp_ns)
            for name in self.names:
                self.run.truth(stamp_ns, lambda: TRUTH, name)
                if index % 7:
                    estimate = off_by(0.001 * (index % 5))
                    self.run.estimate(stamp_ns, lambda estimate=estimate: estimate, 1e-5 * np.eye(6), name)
                for stage in STAGES[:2]:
                    report = StageReport(stamp_ns, stage, bool(index % 7), '' if index % 7 else 'no_detection',
                                         {'latency_ms': 20.0 + index, 'score': 0.9}, object=name)
                    self.run.report(lambda report=report: report)
            self.now_s += 0.5
            self.run.verdicts()


def written(folder: Path) -> dict:
    return json.loads((folder / 'summary.json').read_text())


@pytest.mark.parametrize('names', [('',), ('box',), ('box', 'can')])
def test_a_finished_live_run_made_again_is_equal(tmp_path, names):
    robot = Robot(tmp_path / 'run', names, most_images=30)
    robot.frames(0, 60)
    robot.run.write_summary()
    robot.run.close()
    rebuilt = rebuild(tmp_path / 'run')
    assert rebuilt.summary == written(tmp_path / 'run') and rebuilt.warnings == []
    assert rebuilt.summary['frames']['seen'] == 30 * len(names), 'those that were forgotten are left out again'
    page = (tmp_path / 'run' / 'report.html').read_text()
    rebuilt.write(tmp_path / 'again')
    assert (tmp_path / 'again' / 'report.html').read_text() == page


def test_the_simulators_clips_come_into_the_report_and_stay_in_it(tmp_path):
    robot = Robot(tmp_path / 'run')
    robot.frames(0, 6)
    robot.run.write_summary()
    robot.run.close()
    summary, clips = written(tmp_path / 'run'), tmp_path / 'clips.json'
    write_clips(clips, [Clip('', False, 'slipped', 'pick 3', 'data:image/webp;base64,AAAA', 'data:,')])
    for _ in range(2):
        add_clips(tmp_path / 'run', clips)
        page = (tmp_path / 'run' / 'report.html').read_text()
        assert 'src="data:image/webp;base64,AAAA"' in page and 'slipped' in page and 'pick 3' in page
    assert written(tmp_path / 'run') == summary and not clips.exists()
    rebuild(tmp_path / 'run').write(tmp_path / 'again')
    assert (tmp_path / 'again' / 'report.html').read_text() == page


def test_a_late_answer_counts_in_the_run_that_is_made_again(tmp_path):
    robot = Robot(tmp_path / 'run')
    robot.frames(0, 20)
    robot.run.report(lambda: StageReport(5 * SECOND, 'execution', True))
    robot.run.write_summary()
    robot.run.close()
    assert rebuild(tmp_path / 'run').summary == written(tmp_path / 'run')
    assert written(tmp_path / 'run')['metrics']['grasp_success_rate']['n'] == 1


def test_a_killed_live_run_gets_a_summary_of_all_that_was_reported(tmp_path):
    robot = Robot(tmp_path / 'run')
    robot.frames(0, 40)
    summary = rebuild(tmp_path / 'run').summary
    assert summary['frames']['seen'] == 40, 'also the images whose rows were not due yet'
    assert summary['provenance']['complete'] is False
    assert summary['frames']['with_object'] >= 36, 'of the last images the ground truth was not written down yet'
    robot.run.close()


def test_a_line_that_is_none_is_left_out_with_a_warning(tmp_path, capsys):
    robot = Robot(tmp_path / 'run')
    robot.frames(0, 20)
    robot.run.write_summary()
    robot.run.close()
    log = tmp_path / 'run' / 'metrics.jsonl'
    log.write_text('{"frame": 7, "stamp_ns": 1}\n[1]\nhalf a li\n' + log.read_text())
    rebuilt = rebuild(tmp_path / 'run')
    assert rebuilt.summary == written(tmp_path / 'run') and len(rebuilt.warnings) == 3
    assert main(['report', str(tmp_path / 'run')]) == 0
    assert capsys.readouterr().err.count('left out') == 3


def test_a_log_whose_beginning_was_deleted_does_not_replace_the_summary(tmp_path, capsys):
    robot = Robot(tmp_path / 'run', most_bytes=100_000)
    robot.frames(0, 250)
    robot.run.write_summary()
    robot.run.close()
    before = written(tmp_path / 'run')
    with pytest.raises(RunLogError, match=r'expected the 250 frames of summary\.json, found'):
        rebuild(tmp_path / 'run')
    assert main(['report', str(tmp_path / 'run')]) == 2 and written(tmp_path / 'run') == before
    assert 'most_megabytes' in capsys.readouterr().err


def test_a_folder_without_a_run_is_refused_in_one_line(tmp_path, capsys):
    assert main(['report', str(tmp_path)]) == 2
    (tmp_path / 'metrics.jsonl').write_text(json.dumps(StageReport(1, 'planning', True).to_dict()) + '\n')
    assert main(['report', str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and 'expected a run' in lines[0] and 'expected a run' in lines[1]


def test_other_baselines_judge_anew(tmp_path):
    robot = Robot(tmp_path / 'run')
    robot.frames(0, 40)
    robot.run.write_summary()
    robot.run.close()
    strict = load_baselines().with_requirement('position_error_median', 0.0001)
    needs = {item['reference']: item['verdict'] for item in rebuild(tmp_path / 'run', strict).summary['verdicts']
             if item['metric'] == 'position_error_median' and item['kind'] == 'requirement'}
    assert needs == {0.0001: 'worse'}


def test_a_metric_that_was_added_since_is_measured_on_old_runs(tmp_path):
    robot = Robot(tmp_path / 'run')
    robot.frames(0, 40)
    robot.run.write_summary()
    robot.run.close()
    register_metric(Metric('within_2mm', '1', HIGHER, 'Within 2 mm', lambda table: rate(
        table.position_error_m < 0.0025, table.counts_for_recall, table.blocks)))
    try:
        found = rebuild(tmp_path / 'run').summary['metrics']['within_2mm']
    finally:
        unregister_metric('within_2mm')
    assert 0 < found['value'] < 1 and found['n'] == 40


RECORDS = [
    FrameRecord(),
    FrameRecord(has_image=True, image_width_px=640.0, has_truth=True, lost=frozenset({'planning'})),
    FrameRecord(has_estimate=True, errors=NOT_FOUND, reports={'perception': (True, '')}),
    FrameRecord(has_estimate=True, errors=PoseErrors(0.1, 1e-17, 0.3, 0.2, 0.1, math.inf, math.nan), score=0.25,
                latency_ms={'perception': 1 / 3}, confidence_level=1.0, fits_grasp=0.0,
                instances=InstanceCount(2, 1, 1), centres=((0.1, 0.2, 0.3),), is_without_object=True),
]


@pytest.mark.parametrize('record', RECORDS)
def test_a_row_holds_all_that_the_metrics_need(record):
    row = json.loads(json.dumps(record.to_row(), allow_nan=False))
    assert repr(FrameRecord.from_row(row)) == repr(record), 'compared as text, for NaN is not equal to itself'


def test_baselines_survive_as_plain_values():
    baselines = load_baselines()
    plain = json.loads(json.dumps({name: dataclasses.asdict(each) for name, each in baselines.metrics.items()}))
    assert Baselines.from_dict(plain) == baselines


@pytest.fixture(scope='module')
def evaluated(tmp_path_factory, scripted_model) -> Path:
    """Run folder of an evaluation that compared three estimators."""
    folder = tmp_path_factory.mktemp('evaluated')
    with BagWriter(folder / 'bag') as writer:
        for frame in frames(6):
            writer.write(frame)
    options = EvaluateOptions('mean_pose', ['oracle', 'feature_match'])
    evaluate_bags([folder / 'bag'], load_model_card(scripted_model), options, out=folder / 'run', progress=False)
    return folder / 'run'


def test_an_evaluation_made_again_is_equal_page_and_pictures_included(evaluated, tmp_path):
    rebuilt = rebuild(evaluated)
    assert rebuilt.summary == written(evaluated) and rebuilt.pictures
    rebuilt.write(tmp_path)
    assert (tmp_path / 'report.html').read_text() == (evaluated / 'report.html').read_text()


def test_an_evaluation_that_was_killed_gets_the_summary_of_the_frames_until_then(evaluated, tmp_path, capsys):
    lines = (evaluated / 'metrics.jsonl').read_text().splitlines()
    last = max(number for number, line in enumerate(lines) if '"estimator": "feature_match", "stamp_ns"' in line)
    (tmp_path / 'metrics.jsonl').write_text('\n'.join(lines[:last + 1]) + '\n{"bag": "ba')
    assert main(['report', str(tmp_path)]) == 0
    summary, whole = written(tmp_path), written(evaluated)
    assert summary['metrics'] == whole['metrics'] and summary['verdicts'] == whole['verdicts']
    assert summary['provenance']['complete'] is False
    assert partial_because(tmp_path, summary) == 'it was interrupted'
    assert 'line' in capsys.readouterr().err
