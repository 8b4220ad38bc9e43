# SPDX-License-Identifier: Apache-2.0
"""Frames answered by one process or by several, and by nobody any more after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import simulated_frames

from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.card_calibration import UNCALIBRATED
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.evaluation import frame_answers
from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, make_transform
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.runs.folder import read_reports
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.interrupt import interrupt_noted
from posegrasp_ros.runtime.resources import resource_path

SECOND = 1_000_000_000
MESH = load_mesh(resource_path('models/box/mesh.obj'))
TRUTH = make_transform(None, (0, 0, 0.5))


@pytest.fixture(scope='module')
def card():
    return load_model_card(resource_path('models/box'))


@pytest.fixture(scope='module')
def bag(card, tmp_path_factory):
    path = tmp_path_factory.mktemp('jobs') / 'bag'
    with BagWriter(path) as writer:
        for index, frame in enumerate(simulated_frames(card.mesh, 4, seed=3)):
            writer.write(BagFrame((index + 1) * SECOND, frame.image, frame.camera, frame.camera_from_object,
                                  frame.base_from_camera))
    return path


def without_times(reports):
    return [
        (report.stamp_ns, report.stage, report.ok, report.reason, report.words,
         {name: value for name, value in report.numbers.items() if not name.endswith('_ms')})
        for report in reports
    ]


@pytest.mark.slow
def test_results_do_not_depend_on_how_many_processes_share_the_frames(card, bag, tmp_path):
    gripper = load_gripper()
    planner = GraspPlanner(gripper, load_grasps(card.grasps_path, gripper, card.mesh), symmetry=card.symmetry,
                           mesh=card.mesh)
    summaries = []
    for jobs in (1, 2):
        options = EvaluateOptions('onnx', ('mean_pose',), planner, jobs=jobs, bop_csv=tmp_path / f'{jobs}.csv')
        summaries.append(evaluate_bags([bag], card, options, out=tmp_path / str(jobs), progress=False))
    one, two = ([report for report in without_times(read_reports(tmp_path / str(jobs))[0])] for jobs in (1, 2))
    assert one == two and len(one) >= 12
    for key in ('failures', 'frames', 'distributions', 'calibration', 'headline', 'waterfall'):
        assert summaries[0][key] == summaries[1][key]
    tables = [
        [line.rpartition(',')[0] for line in (tmp_path / f'{jobs}.csv').read_text().splitlines()]
        for jobs in (1, 2)
    ]
    assert tables[0] == tables[1] and len(tables[0]) > 1
    pages = [(tmp_path / str(jobs) / 'report.html').read_text() for jobs in (1, 2)]
    assert pages[0].count('data:image/jpeg') == pages[1].count('data:image/jpeg') > 0


def test_of_several_jobs_each_has_one_thread_and_none_may_track():
    cards = {'': SimpleNamespace()}
    assert EvaluateOptions(jobs=3).work(cards).threads == EvaluateOptions(jobs=1).work(cards).threads == 1
    assert (EvaluateOptions().work(cards).threads is None
            and EvaluateOptions(jobs=2, threads=4).work(cards).threads == 4)
    with pytest.raises(InvalidInputError, match='expected one job'):
        EvaluateOptions(jobs=2, track=True).work(cards)


class Interrupting:
    """Answers with the truth; somebody presses Ctrl-C while it works on the third image."""

    count = 0

    def estimate(self, image, camera, truth=None, depth_m=None, stamp_ns=None):
        Interrupting.count += 1
        if Interrupting.count == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return Estimation([PoseEstimate(truth, 0.9, np.eye(6) * 1e-6)])


def test_ctrl_c_leaves_a_whole_run_of_what_was_measured(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(frame_answers, 'create_estimator', lambda name, card, threads=None: Interrupting())
    camera = Camera.from_field_of_view(64, 48, 1.0)
    with BagWriter(tmp_path / 'bag') as writer:
        for index in range(6):
            writer.write(BagFrame((index + 1) * SECOND, np.zeros((48, 64, 3), np.uint8), camera, TRUTH))
    small = SimpleNamespace(name='box', mesh=MESH, symmetry=NO_SYMMETRY, tolerance=STATED_NEED,
                           calibration=UNCALIBRATED,
                            network_sha256='0' * 64, sha256='1' * 64, identity='box')
    before = signal.getsignal(signal.SIGINT)
    summary = evaluate_bags([tmp_path / 'bag'], small, EvaluateOptions(compare_with=()), out=tmp_path / 'run',
                            progress=False)
    assert summary['frames']['seen'] == 3 and summary['provenance']['complete'] is False
    assert json.loads((tmp_path / 'run' / 'summary.json').read_text())['provenance']['complete'] is False
    assert len(read_reports(tmp_path / 'run')[0]) == 3 and (tmp_path / 'run' / 'report.html').is_file()
    assert 'interrupted after 3 frames' in caplog.text
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_ctrl_c_is_heeded_at_once():
    with pytest.raises(KeyboardInterrupt), interrupt_noted() as was_interrupted:
        os.kill(os.getpid(), signal.SIGINT)
        assert was_interrupted()
        os.kill(os.getpid(), signal.SIGINT)


def test_in_a_thread_signals_are_not_ours():
    noted = []

    def work():
        with interrupt_noted() as was_interrupted:
            noted.append(was_interrupted())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert noted == [False]
