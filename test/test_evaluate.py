# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from posegrasp_ros.datasets import bag_writer as bag_writer
from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourceOptions
from posegrasp_ros.datasets.paint_over import paint_over
from posegrasp_ros.datasets.photographs import PhotographReader
from posegrasp_ros.estimation.card_calibration import UNCALIBRATED
from posegrasp_ros.estimation.perception_stage import PerceptionStage
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.estimation.scripted import MeanPoseEstimator, OracleEstimator
from posegrasp_ros.evaluation import frame_answers
from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.evaluation.method import MethodUnderTest
from posegrasp_ros.evaluation.run_comparison import _blocks
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, invert, look_at, make_transform, rotation_from_vector
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED, ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.runs.finished_run import FinishedRun
from posegrasp_ros.runs.folder import read_reports
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.sensing.image_camera import ImageCamera

SECOND = 1_000_000_000
CAMERA = Camera.from_field_of_view(64, 48, 1.0)
BASE_FROM_CAMERA = look_at((0.4, 0.1, 0.5), (0, 0, 0.03))
MESH = load_mesh(resource_path('models/box/mesh.obj'))


def frame(index):
    """A box that stands on the table, turned a little further in each frame."""
    base_from_object = make_transform(rotation_from_vector([0, 0, 0.1 * index]), (0.002 * index, 0, 0.0225))
    image = np.full((48, 64, 3), 10 * index % 250, np.uint8)
    camera_from_object = invert(BASE_FROM_CAMERA) @ base_from_object
    return BagFrame((index + 1) * SECOND, image, CAMERA, camera_from_object, BASE_FROM_CAMERA)


class Shifted:
    """Answers 4 mm beside the truth, nothing on dark images, and has a bug for bright ones."""

    def estimate(self, image, camera, truth=None, depth_m=None, stamp_ns=None):
        if image.mean() < 15:
            return Estimation(reason='too_dark')
        if image.mean() > 225:
            raise RuntimeError('a bug')
        pose = truth @ make_transform(None, (0.004, 0, 0))
        return Estimation([PoseEstimate(pose, 0.9, np.eye(6) * 1e-6)], numbers={'network_ms': 1.0})


@pytest.fixture(autouse=True)
def estimators(monkeypatch):
    made = {'onnx': Shifted, 'network': Shifted, 'oracle': OracleEstimator, 'feature_match': Shifted,
            'mean_pose': lambda: MeanPoseEstimator(frame(30).camera_from_object)}
    monkeypatch.setattr(frame_answers, 'create_estimator', lambda name, card, threads=None: made[name]())


@pytest.fixture
def card():
    return SimpleNamespace(name='box', mesh=MESH, symmetry=NO_SYMMETRY, tolerance=STATED_NEED,
                           calibration=UNCALIBRATED,
                           network_sha256='00' * 32, sha256='1' * 64, identity='box')


@pytest.fixture(scope='module')
def planner():
    gripper = load_gripper()
    return GraspPlanner(gripper, load_grasps(resource_path('models/box/grasps.yaml'), gripper))


def record(path, frames):
    with BagWriter(path) as writer:
        for item in frames:
            writer.write(item)
    return path


@pytest.fixture
def bag(tmp_path):
    return record(tmp_path / 'bag', [frame(index) for index in range(25)])


def run(bags, card, out=None, topics=None, **options):
    source = options.pop('source', SourceOptions(topics=topics or BagTopics()))
    return evaluate_bags(bags, card, EvaluateOptions(source=source, **options), out=out, progress=False)


def test_stages_metrics_and_failures_of_a_recording(bag, card, planner):
    summary = run([bag], card, planner=planner)
    perception = summary['stages']['perception']
    assert (perception['inputs'], perception['answered']) == (25, 21), '2 dark, 2 bright'
    assert summary['failures'] == {'too_dark': 2, 'internal_error': 2}
    assert summary['metrics']['recall_1cm_5deg']['value'] == pytest.approx(21 / 25)
    assert summary['metrics']['position_error_median']['value'] == pytest.approx(0.004)
    assert summary['stages']['planning']['inputs'] == 21
    assert summary['stages']['planning']['coverage'] == 1
    assert summary['metrics']['image_to_grasp_p50']['value'] > summary['metrics']['image_to_pose_p50']['value']


def test_a_scene_that_stands_still_is_one_observation_of_the_block_that_is_asked_for(bag, card):
    by_second, by_ten = (run([bag], card, compare_with=(), block_s=block_s) for block_s in (1.0, 10.0))
    assert (by_second['frames']['blocks'], by_ten['frames']['blocks']) == (25, 3)
    assert by_ten['metrics']['recall_1cm_5deg']['interval'] is None, 'three observations are too few'
    assert by_second['metrics']['recall_1cm_5deg']['interval'] is not None


def test_all_five_stand_side_by_side_and_the_others_are_references(bag, card):
    summary = run([bag], card)
    assert list(summary['estimators']) == ['onnx', 'network', 'feature_match', 'mean_pose', 'oracle']
    assert summary['estimators']['oracle']['metrics']['recall_1cm_5deg']['value'] == 1
    assert summary['estimators']['onnx']['metrics'] == summary['metrics']
    verdicts = {(item['entry'], item['metric']): item for item in summary['verdicts']
                if item['kind'] in ('scripted', 'simple_ml')}
    assert {entry for entry, _ in verdicts} == {'network', 'feature_match', 'mean_pose'}, 'the truth is no rival'
    assert verdicts['network', 'recall_1cm_5deg']['kind'] == 'simple_ml'
    assert verdicts['mean_pose', 'recall_1cm_5deg']['verdict'] == 'better'
    assert ('mean_pose', 'image_to_pose_p50') not in verdicts, 'a rule that does not look is fast for no merit'


def test_any_estimator_can_be_the_one_in_question(bag, card):
    summary = run([bag], card, estimator='oracle', compare_with=['mean_pose'])
    assert summary['estimator'] == 'oracle' and summary['headline']['value'] == 1
    assert list(summary['estimators']) == ['oracle', 'mean_pose']


def test_the_run_folder_holds_every_report_and_the_summary(bag, card, planner, tmp_path):
    summary = run([bag], card, planner=planner, compare_with=[], out=tmp_path / 'run')
    assert json.loads((tmp_path / 'run' / 'summary.json').read_text()) == json.loads(json.dumps(summary))
    reports, warnings = read_reports(tmp_path / 'run')
    assert len(reports) == 25 + 21 and warnings == []
    lines = [json.loads(line) for line in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()]
    assert {(line['estimator'], line['bag']) for line in lines if 'stage' in line} == {('onnx', 'bag')}
    assert 'Estimators' not in (tmp_path / 'run' / 'report.html').read_text()


def test_recordings_of_the_same_times_do_not_run_together(tmp_path, card):
    first = record(tmp_path / 'first', [frame(index) for index in range(5, 15)])
    second = record(tmp_path / 'second', [frame(index) for index in range(5, 15)])
    summary = run([first, second], card, compare_with=[])
    assert summary['frames'] == {'seen': 20, 'with_object': 20, 'without_object': 0, 'blocks': 20, 'block_s': 1.0,
                                 'repeated_messages': 0}
    assert [bag['name'] for bag in summary['provenance']['bags']] == ['first', 'second']


@pytest.mark.slow
@pytest.mark.parametrize('block_s, blocks', [(1.0, 40), (0.7, 40), (30.0, 4), (3600.0, 4)])
def test_a_block_never_goes_from_one_recording_into_the_next(tmp_path, card, block_s, blocks):
    """And a comparison counts those of the summary, whatever the stamps."""
    bags = [record(tmp_path / f'bag_{number}', [frame(index) for index in range(5, 15)]) for number in range(4)]
    folders = [tmp_path / 'run', tmp_path / 'again']
    for folder in folders:
        summary = run(bags, card, compare_with=[], block_s=block_s, out=folder)
        assert summary['frames']['blocks'] == summary['metrics']['recall_1cm_5deg']['clusters'] == blocks
    reference = FinishedRun.load(folders[0], 'run')
    assert len(set(_blocks(list(reference.answers), reference))) == blocks


def test_the_configuration_does_not_depend_on_how_many_processes_measured(bag, card, tmp_path):
    one, two = (run([bag], card, compare_with=[], jobs=jobs, threads=1)['provenance'] for jobs in (1, None))
    assert one['configuration'] == two['configuration'] and (one['jobs'], two['jobs']) == (1, None)


@pytest.fixture
def bag_without_tf(tmp_path):
    return record(tmp_path / 'bag', [replace(frame(index), base_from_camera=None) for index in range(3, 8)])


def test_without_the_camera_pose_nothing_is_planned_and_that_is_said_once(bag_without_tf, card, planner, caplog):
    summary = run([bag_without_tf], card, planner=planner)
    assert summary['stages']['planning']['inputs'] == 0
    assert summary['metrics']['image_to_grasp_p50']['n'] == 0
    warning, = summary['provenance']['warnings']
    assert "camera_optical_frame' with the base frame 'base_link'" in warning and 'frames are: none.' in warning
    assert [record.getMessage() for record in caplog.records] == [warning]


def test_without_a_planner_nobody_misses_the_camera_pose(bag_without_tf, card):
    assert run([bag_without_tf], card, compare_with=[])['provenance']['warnings'] == []


def test_a_camera_pose_that_is_given_takes_the_place_of_tf(bag_without_tf, card, planner):
    summary = run([bag_without_tf], card, planner=planner, compare_with=[], base_from_camera=BASE_FROM_CAMERA)
    assert summary['stages']['planning']['coverage'] == 1
    assert summary['provenance']['warnings'] == []
    below = make_transform(None, (0, 0, -0.5)) @ BASE_FROM_CAMERA
    sunk = run([bag_without_tf], card, planner=planner, compare_with=[], base_from_camera=below)
    assert sunk['stages']['planning']['answered'] == 0, 'a box half a metre under the support plane'


def test_an_unknown_base_frame_is_told_with_the_frames_that_there_are(bag, card, planner):
    summary = run([bag], card, planner=planner, compare_with=[], topics=BagTopics(base_frame='world'))
    assert summary['stages']['planning']['inputs'] == 0
    warning, = summary['provenance']['warnings']
    assert "'world'" in warning and 'base_link, camera_optical_frame' in warning


def test_a_truth_that_never_matches_an_image_is_told_with_both_first_stamps(tmp_path, card, monkeypatch):
    late = 5 * SECOND
    make = bag_writer.new_message

    def with_late_truth(kind, **fields):
        if kind == 'geometry_msgs/msg/PoseStamped':
            fields['header'] = bag_writer.make_header(late, bag_writer.CAMERA_FRAME)
        return make(kind, **fields)

    monkeypatch.setattr(bag_writer, 'new_message', with_late_truth)
    bag = record(tmp_path / 'bag', [frame(index) for index in range(10, 13)])
    summary = run([bag], card, estimator='mean_pose', compare_with=[])
    warning, = summary['provenance']['warnings']
    assert f'{late} ns' in warning and f'{11 * SECOND} ns' in warning and '/ground_truth' in warning
    assert summary['metrics']['recall_1cm_5deg']['n'] == 0


def test_without_ground_truth_coverage_and_latency_remain(tmp_path, card):
    bag = record(tmp_path / 'bag', [replace(frame(index), camera_from_object=None) for index in range(3, 8)])
    summary = run([bag], card, estimator='mean_pose', compare_with=[])
    assert summary['metrics']['recall_1cm_5deg']['n'] == 0 and summary['headline']['value'] is None
    assert summary['metrics']['image_to_pose_p50']['n'] == 5


def test_of_images_without_the_object_the_share_with_a_pose_is_measured(bag, card, tmp_path):
    summary = run([bag], card, estimator='mean_pose', compare_with=['oracle'], no_object=True,
                  out=tmp_path / 'run')
    assert summary['metrics']['false_poses']['value'] == 1.0 and summary['metrics']['recall_1cm_5deg']['n'] == 0
    assert summary['estimators']['oracle']['metrics']['false_poses']['value'] == 0.0, 'the truth is not told'
    assert 'frames without the object have a false pose' in (tmp_path / 'run' / 'report.html').read_text()


def test_a_painted_over_object_is_gone_and_the_rest_is_not(card):
    camera = CAMERA.resized(640, 480)
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(100, 120, (48, 64, 3), np.uint8), (640, 480))
    item = replace(frame(3), image=image, camera=camera)
    outline = np.round(camera.project(MESH.vertices @ item.camera_from_object[:3, :3].T
                                      + item.camera_from_object[:3, 3])).astype(np.int32)
    mask = np.zeros((480, 640), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(outline), 1)
    image[mask > 0] = 255
    painted = paint_over(item, MESH)
    assert painted.camera_from_object is None
    assert painted.image[mask > 0].max() < 130, 'nothing of the white object is left'
    far = cv2.dilate(mask, np.ones((101, 101), np.uint8)) == 0
    assert (painted.image[far] == image[far]).all()
    assert paint_over(replace(item, camera_from_object=None), MESH) is None


def test_frames_that_cannot_be_painted_over_are_left_out(bag_with_gaps, card):
    summary = run([bag_with_gaps], card, estimator='mean_pose', compare_with=[], paint=True)
    assert summary['frames']['seen'] == summary['metrics']['false_poses']['n'] == 3


@pytest.fixture
def bag_with_gaps(tmp_path):
    frames = [replace(frame(index), camera_from_object=None) if index % 2 else frame(index) for index in range(6)]
    return record(tmp_path / 'gaps', frames)


def test_a_folder_of_photographs_is_a_recording_without_truth(card, tmp_path):
    for index, name in enumerate(('b.png', 'a.JPG', 'c.jpeg')):
        cv2.imwrite(str(tmp_path / name), np.full((48, 64 + 2 * index, 3), 100, np.uint8))
    (tmp_path / 'd.png').write_bytes(b'no image')
    (tmp_path / 'notes.txt').write_text('not read')
    frames = list(PhotographReader(tmp_path, ImageCamera(None, np.radians(90))))
    assert [item.reason for item in frames] == ['', '', '', 'bad_image']
    assert [item.camera.width for item in frames[:3]] == [66, 64, 68], 'by name'
    assert frames[0].camera.fx == pytest.approx(33)
    summary = run([tmp_path], card, estimator='mean_pose', compare_with=[], no_object=True)
    assert summary['metrics']['false_poses']['value'] == 3 / 4
    assert summary['frames']['blocks'] == 4, 'each is a scene of its own'
    problem, assumed = summary['problems']
    assert 'd.png: image: data' in problem['text'] and problem['image'] == 3
    assert 'assumed a lens without distortion, 60 degrees wide' in assumed['text']


def test_a_frame_that_cannot_be_used_is_counted_with_its_reason(card):
    method = MethodUnderTest(RunMetrics(ErrorTarget.from_mesh(MESH)))
    broken = replace(frame(7), image=None, camera=None, reason='bad_image', problem='image: ...')
    reports = []
    for item in (frame(6), broken):
        _, estimation, outcome, _ = PerceptionStage(Shifted(), 'box').perceive_decoded(item)
        answer = frame_answers.Answer(estimation, outcome.report('perception', item.stamp_ns), None)
        reports += method.count(item, {'': answer})
    assert [(report.ok, report.reason) for report in reports] == [(True, ''), (False, 'bad_image')]
    assert (reports[0].numbers['position_error_m'] == pytest.approx(0.004)
            and reports[0].numbers['rotation_error_rad'] < 1e-6)
    summary = method.metrics.summary()
    assert summary['metrics']['recall_1cm_5deg']['value'] == 0.5
    assert summary['failures'] == {'bad_image': 1}


def test_a_cut_recording_is_measured_and_the_summary_says_so(tmp_path, card):
    noise = np.random.default_rng(0).integers(0, 200, (480, 640, 3), np.uint8)
    camera = CAMERA.resized(640, 480)
    bag = record(tmp_path / 'bag', [replace(frame(i), image=cv2.add(noise, 20), camera=camera) for i in range(20)])
    file = bag / 'bag.mcap'
    file.write_bytes(file.read_bytes()[:int(file.stat().st_size * 0.7)])
    summary = run([bag], card, compare_with=[])
    assert 5 < summary['frames']['seen'] < 20
    assert 'cut off' in summary['provenance']['warnings'][0]


def test_a_recording_without_images_is_refused(tmp_path, card):
    bag = record(tmp_path / 'bag', [])
    with pytest.raises(BagError, match='expected images, found none'):
        run([bag], card)


def test_bad_input_is_refused_before_anything_is_written(tmp_path, card, bag):
    with pytest.raises(BagError, match='no such bag'):
        run([bag, tmp_path / 'nope'], card, out=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_depth_of_a_recording_reaches_the_estimator_with_the_stamp(tmp_path, card, monkeypatch):
    given = []

    class Noting:
        def estimate(self, image, camera, truth=None, depth_m=None, stamp_ns=None):
            given.append((depth_m, stamp_ns))
            return Estimation()

    monkeypatch.setattr(frame_answers, 'create_estimator', lambda name, card, threads=None: Noting())
    depth_m = np.full((48, 64), 0.7, np.float32)
    bag = record(tmp_path / 'bag', [replace(frame(3), depth_m=depth_m), frame(4)])
    with_depth = run([bag], card, compare_with=[], topics=BagTopics(depth=bag_writer.DEPTH_TOPIC),
                     out=tmp_path / 'run')
    np.testing.assert_array_equal(given[0][0], depth_m)
    assert given[1][0] is None and [stamp for _, stamp in given] == [4 * SECOND, 5 * SECOND]
    assert with_depth['provenance']['depth_topic'] == bag_writer.DEPTH_TOPIC
    assert [report.numbers['depth_used'] for report in read_reports(tmp_path / 'run')[0]] == [1, 0]
    run([bag], card, compare_with=[])
    assert given[2][0] is None, 'not unless it is asked for'


def test_a_painted_over_object_has_no_depth_left(card):
    item = replace(frame(3), depth_m=np.full((48, 64), 0.7, np.float32))
    painted = paint_over(item, MESH)
    column, row = CAMERA.project(item.camera_from_object[None, :3, 3])[0].round().astype(int)
    assert np.isnan(painted.depth_m[row, column]) and painted.depth_m[0, 0] == np.float32(0.7)


def test_only_the_estimator_in_question_tracks(bag, card, monkeypatch, caplog):
    wrapped = []
    monkeypatch.setattr(
        frame_answers, 'with_tracking', lambda estimator, say, options: wrapped.append(estimator) or estimator
    )
    summary = run([bag], card, estimator='oracle', compare_with=['onnx'], track=True)
    assert [type(each) for each in wrapped] == [OracleEstimator] and summary['provenance']['tracking'] is True
    assert summary['provenance']['tracking_options'] == {'correction_hz': 2.0, 'give_up_s': 1.5}
    assert run([bag], card, compare_with=[])['provenance']['tracking'] is False and len(wrapped) == 1
