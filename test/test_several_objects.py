# SPDX-License-Identifier: Apache-2.0
"""Several models on one image: each instance goes to one object, and keeps its number."""

from __future__ import annotations

import numpy as np
import pytest
from test_stages import CAMERA, Fixed, packed

from posegrasp_ros.estimation.perception_stage import PerceptionStage
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.estimation.several_objects import ObjectStage, SeveralObjects
from posegrasp_ros.estimation.tracking.track_status import TrackStatus
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.metrics.losses import Losses
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.runtime.resources import resource_path

MESHES = {name: load_mesh(resource_path(f'models/{name}/mesh.obj')) for name in ('box', 'can')}
HALF_RADIUS_M = min(mesh.radius for mesh in MESHES.values()) / 2


def pose(x_m: float, score: float, name: str) -> PoseEstimate:
    """An object whose centre, not its origin, lies at x."""
    return PoseEstimate(make_transform(None, (x_m, 0, 0.5) - MESHES[name].centre), score, np.eye(6) * 1e-6)


def several(**found) -> SeveralObjects:
    return SeveralObjects({name: ObjectStage(PerceptionStage(Fixed(Estimation(
        [pose(x_m, score, name) for x_m, score in poses], numbers={'network_ms': 1.0})), name), MESHES[name])
        for name, poses in found.items()})


def scores(objects: SeveralObjects) -> dict[str, list[float]]:
    return {name: [each.score for each in perceived.estimation.poses]
            for name, perceived in objects.perceive(packed()).items()}


@pytest.mark.parametrize(('apart', 'expected'), [
    (0.9, {'box': [], 'can': [0.8]}), (1.1, {'box': [0.7], 'can': [0.8]})])
def test_an_instance_that_two_models_claim_goes_to_the_better_score(apart, expected):
    assert scores(several(box=[(0.0, 0.7)], can=[(apart * HALF_RADIUS_M, 0.8)])) == expected


def test_what_is_left_of_an_object_is_reported_as_its_own():
    found = several(box=[(0.0, 0.7), (0.3, 0.6)], can=[(0.0, 0.8)]).perceive(packed())
    box, can = found['box'], found['can']
    assert box.outcome.reason == '' and box.outcome.numbers['poses'] == 1 and box.outcome.numbers['score'] == 0.6
    assert (box.outcome.numbers['other_object'], can.outcome.numbers['other_object']) == (1.0, 0.0)
    nothing_left = several(box=[(0.0, 0.7)], can=[(0.0, 0.8)]).perceive(packed())['box']
    assert nothing_left.outcome.reason == nothing_left.estimation.reason == 'other_object'


def test_the_state_of_a_pose_that_goes_to_another_object_goes_with_it():
    objects = several(box=[(0.0, 0.7), (0.3, 0.6)], can=[(0.0, 0.8)])
    box = objects.objects['box'].stage.estimator.estimation
    box.tracks = [TrackStatus('tracked', 0), TrackStatus('found', 1), TrackStatus('lost', 2)]
    found = objects.perceive(packed())
    assert [track.number for track in found['box'].estimation.tracks] == [1, 2]
    assert found['box'].outcome.words['state'] == 'found' and 'state' not in found['can'].outcome.words


def test_two_near_instances_of_one_object_do_not_claim_each_other():
    assert scores(several(box=[(0.0, 0.7), (0.001, 0.6)], can=[])) == {'box': [0.7, 0.6], 'can': []}


def test_a_single_object_answers_as_it_does_alone():
    outcome = several(box=[(0.0, 0.7)]).perceive(packed())['box'].outcome
    assert set(outcome.numbers) == {'network_ms', 'poses', 'depth_used', 'score'}


def test_each_object_gets_its_own_truth_and_the_same_decoded_image():
    objects = several(box=[], can=[])
    objects.perceive(packed(named_truths={'can': (TruePose(make_transform(None, (0, 0, 1.0))),)}))
    asked = {name: each.stage.estimator.asked[0] for name, each in objects.objects.items()}
    assert asked['box'][0] is asked['can'][0] and asked['box'][1] is CAMERA
    assert asked['box'][2] is None and asked['can'][2][2, 3] == 1.0


def test_an_error_of_one_estimator_leaves_the_other_object_its_answer():
    def fail(*_):
        raise ZeroDivisionError('oops')
    objects = several(box=[(0.0, 0.7)], can=[])
    objects.objects['can'].stage.estimator.estimate = fail
    found = objects.perceive(packed())
    assert not found['box'].outcome.reason and found['can'].outcome.reason == 'internal_error'
    assert isinstance(found['can'].error, ZeroDivisionError)


def test_a_report_names_its_object_and_one_of_a_single_object_has_none():
    report = StageReport(1, 'perception', True, object='can')
    assert StageReport.from_dict(report.to_dict()) == report
    assert 'object' not in StageReport(1, 'perception', True).to_dict()


def test_a_lost_report_is_told_with_its_object():
    losses = Losses()
    for sequence, stamp_ns in ((0, 10), (2, 30)):
        for name in ('box', 'can'):
            if (name, sequence) != ('can', 0):
                loss = losses.report(StageReport(stamp_ns, 'perception', True, sequence=sequence,
                                                 publisher=f'p.{name}', object=name))
                if name == 'box' and sequence:
                    assert (loss.object, loss.count, loss.after_ns, loss.before_ns) == ('box', 1, 10, 30)
