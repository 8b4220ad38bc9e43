# SPDX-License-Identifier: Apache-2.0
"""Recordings of the stages: what was said is measured as it was said."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hand_made_bags import CAMERA, HandMade

from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_writer import make_header, new_message, pose_parts
from posegrasp_ros.estimation.card_calibration import UNCALIBRATED
from posegrasp_ros.evaluation.recorded import RecordedTopics, evaluate_recorded
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, make_transform
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED, ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.runs.folder import read_reports
from posegrasp_ros.runtime.resources import resource_path

SECOND = 1_000_000_000
MESH = load_mesh(resource_path('models/box/mesh.obj'))
TRUTH = make_transform(None, (0.0, 0.02, 0.6))
FOUND = make_transform(None, (0.004, 0.02, 0.6))


@pytest.fixture
def card():
    return SimpleNamespace(
        name='box', mesh=MESH, symmetry=NO_SYMMETRY, tolerance=STATED_NEED, calibration=UNCALIBRATED,
        network_sha256='0' * 64,
        sha256='1' * 64,
    )


class StageBag(HandMade):
    """Records what the nodes say."""

    def report(self, stamp_ns, stage='perception', reason='', topic='/perception/report', at_ns=None, **numbers):
        values = [new_message('diagnostic_msgs/msg/KeyValue', key=key, value=repr(value))
                  for key, value in numbers.items()]
        status = new_message('diagnostic_msgs/msg/DiagnosticStatus', level=2 if reason else 0,
                             name=f'posegrasp: {stage}', message=reason, hardware_id='', values=values)
        self._diagnostics(topic, stamp_ns, status, at_ns)

    def health(self, stamp_ns):
        status = new_message('diagnostic_msgs/msg/DiagnosticStatus', level=0, name='monitor: camera', message='',
                             hardware_id='', values=[])
        self._diagnostics('/diagnostics', stamp_ns, status, None)

    def estimate(self, stamp_ns, pose=FOUND, scale=1.0):
        position, orientation = pose_parts(pose)
        orientation.w *= scale
        inner = new_message('geometry_msgs/msg/Pose', orientation=orientation,
                            position=new_message('geometry_msgs/msg/Point', **position))
        covariance = new_message('geometry_msgs/msg/PoseWithCovariance', pose=inner,
                                 covariance=np.eye(6).ravel() * 1e-5)
        kind = 'geometry_msgs/msg/PoseWithCovarianceStamped'
        self.put('/perception/pose', kind, stamp_ns, new_message(kind, header=make_header(stamp_ns, 'cam'),
                                                                 pose=covariance))

    def _diagnostics(self, topic, stamp_ns, status, at_ns):
        message = new_message(
            'diagnostic_msgs/msg/DiagnosticArray', header=make_header(stamp_ns, ''), status=[status]
        )
        self.put(topic, 'diagnostic_msgs/msg/DiagnosticArray', at_ns or stamp_ns, message)


def record_stages(path, images=6, first=1):
    """Of the images one is not detected, one has no answer at all, and every other one has no truth."""
    with StageBag(path) as bag:
        for number in range(first, first + images):
            stamp = number * SECOND
            bag.info(stamp)
            bag.health(stamp)
            if number % 2 == 0:
                bag.truth(stamp, TRUTH)
            if number == first + 1:
                bag.report(stamp, reason='no_detection', latency_ms=5.0)
            elif number != first + 2:
                bag.estimate(stamp)
                bag.report(stamp, latency_ms=10.0, score=0.8)
                bag.report(stamp, 'planning', topic='/grasp_planner/report', latency_ms=3.0)
                bag.report(stamp, 'execution', 'slipped' if number == first else '', '/robot/report',
                           at_ns=stamp + 7 * SECOND)
    return path


def by_hand():
    """What a monitor hears of :func:`record_stages`."""
    metrics = RunMetrics(ErrorTarget.from_mesh(MESH))
    metrics.add_camera(CAMERA.matrix, CAMERA.width)
    for number in range(1, 7):
        stamp = number * SECOND
        metrics.add_image(stamp)
        if number % 2 == 0:
            metrics.add_truth(stamp, TRUTH)
        if number == 2:
            metrics.add_report(StageReport(stamp, 'perception', False, 'no_detection', {'latency_ms': 5.0}))
        elif number != 3:
            metrics.add_estimate(stamp, FOUND, np.eye(6) * 1e-5)
            metrics.add_report(StageReport(stamp, 'perception', True, '', {'latency_ms': 10.0, 'score': 0.8}))
            metrics.add_report(StageReport(stamp, 'planning', True, '', {'latency_ms': 3.0}))
            reason = 'slipped' if number == 1 else ''
            metrics.add_report(StageReport(stamp, 'execution', not reason, reason))
    return metrics.summary()


def test_the_summary_is_that_of_a_monitor_that_heard_it_all(card, tmp_path):
    bag = record_stages(tmp_path / 'bag')
    summary = evaluate_recorded([bag], card, out=tmp_path / 'run', progress=False)
    expected = by_hand()
    for key in ('headline', 'stages', 'metrics', 'failures', 'frames', 'distributions', 'calibration',
                'waterfall'):
        assert summary[key] == expected[key]
    assert summary['metrics']['grasp_success_rate']['n'] == 4
    assert summary['verdicts'] and summary['provenance']['complete'] is True
    reports, _ = read_reports(tmp_path / 'run')
    assert len(reports) == 5 + 4 + 4 and (tmp_path / 'run' / 'report.html').is_file()


def test_recordings_of_the_same_times_do_not_run_together(card, tmp_path):
    bags = [record_stages(tmp_path / name) for name in 'ab']
    summary = evaluate_recorded(bags, card, progress=False)
    assert summary['frames']['seen'] == 12 and summary['frames']['repeated_messages'] == 0


def test_repeated_answers_count_once_and_are_counted(card, tmp_path):
    with StageBag(tmp_path / 'bag') as bag:
        bag.info(SECOND)
        for topic in ('/perception/report', '/perception_2/report'):
            bag.report(SECOND, topic=topic)
    summary = evaluate_recorded([tmp_path / 'bag'], card, progress=False)
    assert summary['stages']['perception']['inputs'] == 1 and summary['frames']['repeated_messages'] == 1


def test_a_pose_that_is_none_is_no_answer_and_said_once(card, tmp_path):
    with StageBag(tmp_path / 'bag') as bag:
        for number, pose in enumerate((FOUND, make_transform(None, (np.nan, 0, 0))), start=1):
            bag.info(number * SECOND)
            bag.truth(number * SECOND, TRUTH)
            bag.estimate(number * SECOND, pose)
            bag.report(number * SECOND)
    summary = evaluate_recorded([tmp_path / 'bag'], card, progress=False)
    assert summary['metrics']['recall_1cm_5deg']['value'] == 0.5
    warning, = summary['provenance']['warnings']
    assert '/perception/pose' in warning and 'finite' in warning


def test_a_recording_without_reports_is_refused_with_what_it_holds(card, tmp_path):
    with StageBag(tmp_path / 'bag') as bag:
        bag.info(SECOND)
        bag.health(SECOND)
    with pytest.raises(BagError, match=r'expected the reports of a stage .*found /cam/camera_info'):
        evaluate_recorded([tmp_path / 'bag'], card, progress=False)
    with pytest.raises(BagError, match='/nope: no such topic'):
        evaluate_recorded([tmp_path / 'bag'], card, RecordedTopics(pose='/nope'), progress=False)
