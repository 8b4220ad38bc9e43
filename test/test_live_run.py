# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.catalogue import Metric
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import STAGES, StageReport
from posegrasp_ros.monitoring.live_run import LiveRun
from posegrasp_ros.monitoring.liveness import ERROR, OK, STALE, WARN, Health
from posegrasp_ros.monitoring.model_match import ModelMatch
from posegrasp_ros.monitoring.object_watch import LiveObject
from posegrasp_ros.monitoring.run_keeper import RunKeeper
from posegrasp_ros.runs.folder import read_reports
from posegrasp_ros.runtime.errors import InvalidInputError

TARGET = ErrorTarget(np.random.default_rng(0).uniform(-0.05, 0.05, (100, 3)), 0.17)
POSE = make_transform(None, (0.0, 0.0, 0.6))
FRAME_NS = 33_333_333
SECOND = 1_000_000_000


class Robot:
    """A run and the steady clock that it sees."""

    def __init__(self, folder):
        self.now_s = 0.0
        self.folder = folder
        self.run = LiveRun({'': LiveObject(TARGET)}, load_baselines(), RunKeeper(folder, None, print), 1.5,
                           {'provenance': {}}, clock=lambda: self.now_s)

    def frame(self, stamp_ns: int, error_m: float = 0.001, has_truth: bool = True, step_s: float = 1 / 30) -> None:
        """One image that both stages answer."""
        self.run.image(stamp_ns)
        if has_truth:
            self.run.truth(stamp_ns, lambda: POSE)
        self.run.estimate(stamp_ns, lambda: make_transform(None, (error_m, 0.0, 0.6)), np.eye(6))
        for report in (StageReport(stamp_ns, stage, True, '', {'latency_ms': 20.0}) for stage in STAGES[:2]):
            self.run.report(lambda report=report: report)
        self.now_s += step_s

    def health(self, task: str) -> Health:
        return next(health for health in self.run.healths() if health.task == task)

    def summary(self) -> dict:
        self.run.write_summary()
        return json.loads((self.folder / 'summary.json').read_text())


@pytest.fixture
def robot(tmp_path) -> Robot:
    robot = Robot(tmp_path / 'run')
    yield robot
    robot.run.close()


def irregular() -> np.ndarray:
    raise InvalidInputError('pose: position: expected finite metres, got (nan, 0.0, 0.6)')


def test_a_pose_that_is_none_is_a_failure_counted_and_said(robot):
    robot.frame(SECOND)
    robot.run.image(2 * SECOND)
    robot.run.truth(2 * SECOND, lambda: POSE)
    with pytest.raises(InvalidInputError):
        robot.run.estimate(2 * SECOND, irregular, np.eye(6))
    robot.run.report(lambda: StageReport(2 * SECOND, 'perception', True))
    assert (robot.health('messages').level, robot.health('messages').values) == (WARN, {'unusable pose': '1'})
    summary = robot.summary()
    assert summary['metrics']['recall_1cm_5deg']['value'] == 0.5
    assert summary['provenance']['anomalies'] == {'unusable pose': 1}


def test_a_truth_that_is_none_is_no_truth(robot):
    robot.frame(SECOND)
    robot.run.image(2 * SECOND)
    with pytest.raises(InvalidInputError):
        robot.run.truth(2 * SECOND, irregular)
    assert robot.summary()['frames']['with_object'] == 1
    assert robot.health('messages').values == {'unusable ground truth': '1'}


def test_ground_truth_for_half_of_the_images_is_used_and_said(robot):
    for index in range(120):
        robot.frame(index * FRAME_NS, has_truth=index % 2 == 0)
    robot.now_s += 3.0
    assert robot.health('ground truth').level == WARN
    assert robot.health('ground truth').text == 'for 50% of the last 120 images'
    frames = robot.summary()['frames']
    assert (frames['seen'], frames['with_object']) == (120, 60)


def test_repeated_and_late_stamps_change_no_number_and_are_said(robot):
    order = [0, 1, 3, 2, 4, 4, 5, 1, 6]
    for index in order:
        robot.frame(index * FRAME_NS)
    counts = robot.health('messages').values
    assert counts['repeated image'] == '1' and counts['late image'] == '2'
    # Of both images that came again: truth, pose and two reports.
    assert counts['repeated message'] == '8'
    summary = robot.summary()
    assert summary['frames']['seen'] == 7 and summary['metrics']['recall_1cm_5deg']['n'] == 7


def test_a_clock_that_jumps_back_loses_nothing_and_silence_is_still_noticed(robot):
    for index in range(90):
        robot.frame(100 * SECOND + index * FRAME_NS)
    for index in range(90):
        robot.frame(50 * SECOND + index * FRAME_NS)
    assert robot.health('messages').text == 'image stamps went back by 53.0 s'
    assert robot.health('perception').level == OK
    robot.run.image(54 * SECOND)
    robot.now_s += 1.6
    assert robot.health('perception').level == ERROR
    assert robot.summary()['frames']['seen'] == 181
    assert len(read_reports(robot.folder)[0]) == 360


def test_two_nodes_on_one_topic_are_said_as_long_as_they_are_there(robot):
    robot.run.publishers('/perception/report', 2, 0)
    text = robot.health('messages').text
    assert text == '2 nodes publish /perception/report, expected one: their messages are mixed'
    robot.run.publishers('/perception/report', 1, 0)
    assert robot.health('messages').level == OK


def test_a_publisher_that_does_not_get_through_is_said(robot):
    robot.run.publishers('/pose', 1, 1)
    assert 'best effort' in robot.health('messages').text


def test_silence_is_news_once(robot):
    robot.frame(SECOND)
    assert not robot.run.has_news()
    robot.run.image(2 * SECOND)
    robot.now_s += 1.6
    assert [robot.run.has_news() for _ in range(2)] == [True, False]
    robot.frame(3 * SECOND)
    assert robot.run.has_news()
    robot.now_s += 10.0
    assert [robot.health(task).level for task in ('camera', 'perception', 'planning')] == [STALE] * 3
    assert not robot.run.has_news()


def test_a_pick_is_counted_for_the_plan_that_it_began_with(robot):
    robot.frame(SECOND)
    assert robot.run.begin_pick() == SECOND
    robot.frame(2 * SECOND)
    assert robot.run.end_pick(True).stamp_ns == SECOND
    metric = robot.summary()['metrics']['grasp_success_rate']
    assert (metric['value'], metric['n']) == (1.0, 1)
    assert read_reports(robot.folder)[0][-1].stage == 'execution'


def test_answers_under_way_do_not_count_yet_in_a_summary_on_the_way(robot):
    for index in range(90):
        robot.frame(index * FRAME_NS)
    robot.run.image(90 * FRAME_NS)
    robot.run.summarise()
    robot.run._keeper._join()
    early = json.loads((robot.folder / 'summary.json').read_text())
    assert 0 < early['frames']['seen'] <= 60 and early['stages']['perception']['coverage'] == 1.0
    assert robot.summary()['frames']['seen'] == 91


def numbered(stamp_ns, sequence, stage='perception'):
    return StageReport(stamp_ns, stage, True, sequence=sequence, publisher='one')


def test_lost_reports_are_said_and_counted_and_are_no_silence(robot):
    for index in range(60):
        stamp_ns = index * FRAME_NS
        robot.run.look()
        robot.run.image(stamp_ns)
        robot.run.truth(stamp_ns, lambda: POSE)
        robot.run.estimate(stamp_ns, lambda: POSE, np.eye(6))
        if index not in range(20, 31):
            robot.run.report(partial(numbered, stamp_ns, index))
        robot.now_s += 1 / 30
    assert (robot.health('messages').level, robot.health('messages').values) == (
        WARN, {'lost perception report': '11'})
    assert 'reports of perception lost in transit: 11;' in robot.health('messages').text
    summary = robot.summary()
    assert summary['stages']['perception']['coverage'] == 1.0 and summary['metrics']['recall_1cm_5deg']['n'] == 60
    assert summary['provenance']['lost_reports'] == {'perception': 11}
    assert len(read_reports(robot.folder)[0]) + 11 == 60


def test_the_last_reports_are_missed_too(robot):
    robot.run.report(lambda: numbered(SECOND, 0))
    robot.run.sent('perception', 'one', 3)
    for _ in range(20):
        robot.run.look()
        robot.now_s += 0.1
    assert robot.health('messages').values == {'lost perception report': '2'}


def test_who_stands_still_says_so_and_takes_nobody_for_silent(robot):
    for index in range(90):
        robot.run.look()
        robot.frame(index * FRAME_NS)
    robot.run.image(90 * FRAME_NS)
    robot.now_s += 15.0
    robot.run.look()
    assert robot.health('messages').text == 'this monitor was blocked for 15.0 s'
    assert [robot.health(task).level for task in ('camera', 'perception', 'planning')] == [OK] * 3
    assert not robot.run.has_news()
    robot.now_s += 1.6
    assert robot.health('perception').level == ERROR, 'from now on it counts again'


@pytest.fixture
def broken_metric(added_metric) -> None:
    """A metric whose observation raises."""
    added_metric(Metric('broken', '1', 'higher_is_better', 'Broken', lambda table: 1 / 0))


def test_a_metric_that_fails_is_said_and_the_run_goes_on(broken_metric, robot):
    for index in range(120):
        robot.frame(index * FRAME_NS)
    assert {item['metric'] for item in robot.run.verdicts()} >= {'position_error_median', 'image_to_pose_p50'}
    health = robot.health('verdicts')
    assert health.level == ERROR and 'broken: ZeroDivisionError' in health.text


def test_images_are_forgotten_whatever_the_verdicts_do(robot, monkeypatch):
    def fail(*_) -> None:
        raise RuntimeError('a bug')

    monkeypatch.setattr(RunMetrics, 'live_verdicts', fail)
    for index in range(5):
        robot.frame(index * FRAME_NS)
    robot.run._most_images = 2
    with pytest.raises(RuntimeError):
        robot.run.verdicts()
    assert robot.summary()['frames']['seen'] == 2


def test_stages_that_work_with_another_model_are_an_error():
    match = ModelMatch('box 5bb4f6b61456')
    assert match.health().level == OK
    for stage, model, level in (('perception', 'box 5bb4f6b61456', OK), ('planning', 'can 0123456789ab', ERROR),
                                ('planning', 'box 5bb4f6b61456', OK)):
        match.report(StageReport(1, stage, True, words={'model': model}))
        assert match.health().level == level
    match.report(StageReport(2, 'execution', True))
    assert match.health().level == OK, 'who names no model is not judged'


def compiled_signatures() -> dict[str, int]:
    """How many each compiled function of the metrics has."""
    return {f'{name}.{function.__name__}': len(function.signatures) for name, module in list(sys.modules.items())
            if name.startswith('posegrasp_ros.metrics') for function in vars(module).values()
            if isinstance(function, Dispatcher)}


NEW_SIGNATURES = """
import sys
from pathlib import Path
from test_live_run import SECOND, TARGET, Robot, compiled_signatures
from posegrasp_ros.metrics.compiling import compile_metrics
compile_metrics(TARGET)
before = compiled_signatures()
robot = Robot(Path(sys.argv[1]))
for second in range(1, 9):
    robot.frame(second * SECOND, step_s=1.0, error_m=0.001 * second)
robot.run.verdicts()
robot.summary()
print([name for name, count in compiled_signatures().items() if count > before[name]])
"""


def test_nothing_is_compiled_while_reports_come(tmp_path):
    """It would take seconds in the middle of a run, and at its end."""
    done = subprocess.run([sys.executable, '-c', NEW_SIGNATURES, str(tmp_path / 'run')], cwd=Path(__file__).parent,
                          capture_output=True, text=True)
    assert done.stdout == '[]\n', done.stderr
