# SPDX-License-Identifier: Apache-2.0
"""Poses that any node or file states are measured as our own: every message type, every way to match them."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hand_made_bags import SECOND, TRUTH, HandMade
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import make_header, new_message, pose_parts
from posegrasp_ros.datasets.frame_sources import SourceOptions
from posegrasp_ros.evaluation.source_evaluation import JudgedObject, JudgeOptions, evaluate_sources
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.pose_sources.asked_sources import AskedSources
from posegrasp_ros.pose_sources.pose_matching import ImageTimes, Matching, matched_poses
from posegrasp_ros.pose_sources.pose_messages import READERS
from posegrasp_ros.pose_sources.stated_pose import StatedPose
from posegrasp_ros.runs.rebuild import rebuild
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path

MS = 1_000_000
MESH = load_mesh(resource_path('models/box/mesh.obj'))
OFF = make_transform(rotation_from_vector((0, 0, 0.02)), (0.003, 0, 0))
"""Each source is wrong by 3 mm and 20 mrad."""
CAMERA_FROM_WORLD = make_transform(rotation_from_vector((0.4, -1.0, 0.3)), (0.1, 0.2, 0.9))
VISION = {
    'vision_msgs/msg/ObjectHypothesis': 'string class_id\nfloat64 score',
    'vision_msgs/msg/ObjectHypothesisWithPose':
        'vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose',
    'vision_msgs/msg/BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size',
    'vision_msgs/msg/Detection3D': 'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
                                   'vision_msgs/BoundingBox3D bbox\nstring id',
    'vision_msgs/msg/Detection3DArray': 'std_msgs/Header header\nvision_msgs/Detection3D[] detections',
    'vision_msgs/msg/Point2D': 'float64 x\nfloat64 y',
    'vision_msgs/msg/Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'vision_msgs/msg/BoundingBox2D': 'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'vision_msgs/msg/Detection2D': 'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
                                   'vision_msgs/BoundingBox2D bbox\nstring id',
    'vision_msgs/msg/Detection2DArray': 'std_msgs/Header header\nvision_msgs/Detection2D[] detections'}
OLD_VISION = {**VISION, 'vision_msgs/msg/ObjectHypothesisWithPose':
              'string id\nfloat64 score\ngeometry_msgs/PoseWithCovariance pose'}


def types_with(definitions):
    store = get_typestore(Stores.ROS2_JAZZY)
    for kind, text in definitions.items():
        store.register(get_types_from_msg(text, kind))
    return store


def pose_message(pose):
    position, orientation = pose_parts(pose)
    return new_message('geometry_msgs/msg/Pose', position=new_message('geometry_msgs/msg/Point', **position),
                       orientation=orientation)


def with_covariance(pose, sigma_m=0.003):
    covariance = np.diag([sigma_m ** 2] * 3 + [0.02 ** 2] * 3)
    return new_message('geometry_msgs/msg/PoseWithCovariance', pose=pose_message(pose),
                       covariance=covariance.ravel())


class SourceBag(HandMade):
    """Records poses as nodes of others do."""

    def says(self, kind, stamp_ns, pose, topic='/pose', frame_id='cam', at_ns=None, others=()):
        getattr(self, f'_{kind}')(stamp_ns, pose, topic, frame_id, at_ns or stamp_ns + 40 * MS, others)

    def _PoseStamped(self, stamp_ns, pose, topic, frame_id, at_ns, _):
        kind = 'geometry_msgs/msg/PoseStamped'
        self.put(topic, kind, at_ns, new_message(kind, header=make_header(stamp_ns, frame_id),
                                                 pose=pose_message(pose)))

    def _PoseWithCovarianceStamped(self, stamp_ns, pose, topic, frame_id, at_ns, _):
        kind = 'geometry_msgs/msg/PoseWithCovarianceStamped'
        self.put(topic, kind, at_ns, new_message(kind, header=make_header(stamp_ns, frame_id),
                                                 pose=with_covariance(pose)))

    def _PoseArray(self, stamp_ns, pose, topic, frame_id, at_ns, others):
        kind = 'geometry_msgs/msg/PoseArray'
        self.put(topic, kind, at_ns, new_message(kind, header=make_header(stamp_ns, frame_id),
                                                 poses=[pose_message(each) for each in (pose, *others)]))

    def _TransformStamped(self, stamp_ns, pose, topic, frame_id, at_ns, _):
        position, orientation = pose_parts(pose)
        kind = 'geometry_msgs/msg/TransformStamped'
        translation = new_message('geometry_msgs/msg/Vector3', **position)
        self.put(topic, kind, at_ns, new_message(
            kind, header=make_header(stamp_ns, frame_id), child_frame_id='box',
            transform=new_message('geometry_msgs/msg/Transform', translation=translation, rotation=orientation)))

    def _TFMessage(self, stamp_ns, pose, topic, frame_id, at_ns, _):
        self.transform(stamp_ns, frame_id, 'found_box', pose, topic='/tf', at_ns=at_ns)

    def _Detection3DArray(self, stamp_ns, pose, topic, frame_id, at_ns, others, definitions=VISION, kind='3D'):
        store = types_with(definitions)
        topic_kind = f'vision_msgs/msg/Detection{kind}Array'
        array = store.types[topic_kind]
        header = make_header(stamp_ns, frame_id)
        detections = [self._detection(store, header, each, class_id, score, kind)
                      for each, class_id, score in ((pose, 'box', 0.9), *others)]
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, topic_kind, typestore=store)
        self._writer.write(self._connections[topic], at_ns,
                           store.serialize_cdr(array(header=header, detections=detections), topic_kind))

    def _OldDetections(self, *arguments):
        self._Detection3DArray(*arguments, definitions=OLD_VISION)

    def _Detection2DArray(self, *arguments):
        self._Detection3DArray(*arguments, kind='2D')

    @staticmethod
    def _detection(store, header, pose, class_id, score, kind):
        types = store.types
        said = {'id': class_id, 'score': score}
        if 'id' not in types['vision_msgs/msg/ObjectHypothesisWithPose'].__dataclass_fields__:
            said = {'hypothesis': types['vision_msgs/msg/ObjectHypothesis'](class_id=class_id, score=score)}
        result = types['vision_msgs/msg/ObjectHypothesisWithPose'](**said, pose=with_covariance(pose))
        if kind == '3D':
            box = types['vision_msgs/msg/BoundingBox3D'](
                center=pose_message(pose), size=new_message('geometry_msgs/msg/Vector3', x=0.1, y=0.1, z=0.1))
        else:
            point = types['vision_msgs/msg/Point2D'](x=320.0, y=240.0)
            box = types['vision_msgs/msg/BoundingBox2D'](
                center=types['vision_msgs/msg/Pose2D'](position=point, theta=0.0), size_x=50.0, size_y=50.0)
        return types[f'vision_msgs/msg/Detection{kind}'](header=header, results=[result], bbox=box, id='7')


def write(path, kind='PoseStamped', count=4, images=True, info=True, silent=(), truth=True, **options):
    """A recording in which a source says where the object is, 40 ms after each image but the silent ones."""
    with SourceBag(path) as bag:
        for number in range(1, count + 1):
            stamp = number * SECOND
            if images:
                bag.image(stamp)
            if info:
                bag.info(stamp)
            if truth:
                bag.truth(stamp)
            if number not in silent:
                bag.says(kind, stamp, TRUTH @ OFF, **options)
    return path


def judged(path, asked=None, known=None, **options):
    asked = asked or AskedSources(('/pose',))
    return evaluate_sources([path], {'': known or JudgedObject(MESH)}, asked, JudgeOptions(**options),
                            progress=False)


def assert_off(summary, n=4):
    metrics = summary['metrics']
    assert metrics['position_error_median']['value'] == pytest.approx(0.003, abs=1e-9)
    assert metrics['rotation_error_median']['value'] == pytest.approx(0.02, abs=1e-9)
    assert metrics['recall_1cm_5deg']['n'] == n


@pytest.mark.parametrize('kind', ['PoseStamped', 'PoseWithCovarianceStamped', 'PoseArray', 'TransformStamped',
                                  'Detection3DArray', 'OldDetections', 'Detection2DArray'])
def test_each_message_type_is_measured_alike(tmp_path, kind):
    summary = judged(write(tmp_path / 'bag', kind))
    assert_off(summary)
    assert summary['metrics']['image_to_pose_p50']['value'] == pytest.approx(40)
    states_score = 'Detection' in kind
    states_covariance = kind == 'PoseWithCovarianceStamped' or states_score
    assert (summary['metrics']['covariance_coverage_90']['n'] > 0) == states_covariance
    assert (summary['metrics']['score_ece']['n'] > 0) == states_score


def test_every_type_that_is_read_has_a_test_above():
    assert {kind.rpartition('/')[2] for kind in READERS} == {
        'PoseStamped', 'PoseWithCovarianceStamped', 'PoseArray', 'TransformStamped', 'Detection3DArray',
        'Detection2DArray', 'TFMessage', 'Odometry'}


def test_a_tf_frame_counts_as_published_and_is_not_interpolated(tmp_path):
    path = write(tmp_path / 'bag', 'TFMessage', silent=(2,))
    summary = judged(path, AskedSources(frames=('found_box',)))
    assert_off(summary)
    assert summary['stages']['perception']['coverage'] == 0.75
    with pytest.raises(InvalidInputError, match="no frame 'mug'; its frames are: found_box"):
        judged(path, AskedSources(frames=('mug',)))


def test_silence_counts_and_is_named(tmp_path):
    summary = judged(write(tmp_path / 'bag', silent=(1, 3)))
    assert summary['stages']['perception']['coverage'] == 0.5
    assert summary['failures'] == {'no_pose': 2}
    assert summary['metrics']['recall_1cm_5deg']['value'] == 0.5


def test_poses_in_another_frame_come_through_tf(tmp_path):
    path = tmp_path / 'bag'
    with SourceBag(path) as bag:
        bag.transform(SECOND, 'world', 'cam', np.linalg.inv(CAMERA_FROM_WORLD))
        for number in range(1, 5):
            stamp = number * SECOND
            bag.image(stamp)
            bag.info(stamp)
            bag.truth(stamp)
            bag.says('PoseStamped', stamp, np.linalg.inv(CAMERA_FROM_WORLD) @ TRUTH @ OFF, frame_id='world')
            bag.says('PoseStamped', stamp, TRUTH, topic='/lost', frame_id='map')
    assert_off(judged(path))
    summary = judged(path, AskedSources(('/lost',)))
    assert summary['failures'] == {'frame_not_connected': 4}
    assert any('poses are in the frame map, which /tf does not connect' in line
               for line in summary['provenance']['warnings'])


@pytest.mark.parametrize(('images', 'info'), [(False, True), (False, False)])
def test_images_are_not_needed(tmp_path, images, info):
    """Then camera_info stands for them, and without it the stamps of the poses do, which is said."""
    summary = judged(write(tmp_path / 'bag', images=images, info=info, silent=(2,)))
    assert_off(summary, 4 if info else 3)
    assert summary['stages']['perception']['coverage'] == (0.75 if info else 1.0)
    assert any('stand for those of images' in line for line in summary['provenance']['warnings']) == (not info)


def test_without_a_camera_the_frame_of_most_poses_counts(tmp_path):
    with SourceBag(tmp_path / 'bag') as bag:
        for number in range(1, 6):
            bag.truth(number * SECOND)
            bag.says('PoseStamped', number * SECOND, TRUTH @ OFF, frame_id='cam' if number < 5 else 'arm')
    summary = judged(tmp_path / 'bag')
    assert_off(summary, 5)
    assert summary['failures'] == {'frame_not_connected': 1}


@pytest.mark.parametrize('z', [1e308, 1e160, 1e9])
def test_a_pose_farther_away_than_anything_is_none(tmp_path, z):
    far = TRUTH.copy()
    far[2, 3] = z
    with SourceBag(tmp_path / 'bag') as bag:
        for number in range(1, 5):
            bag.image(number * SECOND)
            bag.info(number * SECOND)
            bag.truth(number * SECOND)
            bag.says('PoseStamped', number * SECOND, TRUTH @ OFF if number > 1 else far)
    assert_off(judged(tmp_path / 'bag'))


def test_the_class_tells_whose_pose_it_is(tmp_path):
    path = write(tmp_path / 'bag', 'Detection3DArray', others=((TRUTH, 'can', 0.99),))
    assert_off(judged(path, AskedSources(('/pose',), classes={'': 'box'})))
    assert judged(path, AskedSources(('/pose',), classes={'': 'can'})
                  )['metrics']['position_error_median']['value'] == pytest.approx(0, abs=1e-9)
    with pytest.raises(InvalidInputError, match=r"classes 'box' \(4 poses\), 'can' \(4 poses\)"):
        judged(path)


def test_several_objects_by_their_classes(tmp_path):
    path = tmp_path / 'bag'
    other = make_transform(None, (0.2, 0, 0.8))
    with SourceBag(path) as bag:
        for number in range(1, 5):
            stamp = number * SECOND
            bag.image(stamp)
            bag.info(stamp)
            bag.truth(stamp, topic='/box/ground_truth')
            bag.truth(stamp, other, topic='/can/ground_truth')
            bag.says('Detection3DArray', stamp, TRUTH @ OFF, others=((other, '7', 0.8),))
    objects = {'box': JudgedObject(MESH), 'can': JudgedObject(MESH)}
    summary = evaluate_sources([path], objects, AskedSources(('/pose',), classes={'can': '7'}), progress=False)
    assert summary['objects']['box']['metrics']['position_error_median']['value'] == pytest.approx(0.003)
    assert summary['objects']['can']['metrics']['position_error_median']['value'] == pytest.approx(0, abs=1e-9)


def test_without_a_mesh_position_and_rotation_are_measured(tmp_path):
    summary = judged(write(tmp_path / 'bag'), known=JudgedObject())
    assert_off(summary)
    assert {name for name, each in summary['metrics'].items() if each['n']} == {
        'position_error_median', 'rotation_error_median', 'recall_1cm_5deg', 'image_to_pose_p50'}


def test_several_sources_are_compared_on_the_same_frames(tmp_path):
    path = tmp_path / 'bag'
    with SourceBag(path) as bag:
        for number in range(1, 41):
            stamp = number * SECOND
            bag.image(stamp)
            bag.info(stamp)
            bag.truth(stamp)
            bag.says('PoseStamped', stamp, TRUTH @ OFF)
            bag.says('PoseArray', stamp, TRUTH @ OFF @ OFF, topic='/other')
    summary = judged(path, AskedSources(('/pose', '/other')))
    assert list(summary['estimators']) == ['/pose', '/other']
    paired = {each['metric']: each for each in summary['paired']}
    assert paired['position_error_median']['difference'] == pytest.approx(-0.003, abs=1e-6)
    assert paired['position_error_median']['verdict'] == 'better'


def test_files_are_sources_too(tmp_path):
    path = write(tmp_path / 'bag')
    numbers = ' '.join(str(value) for value in (TRUTH @ OFF)[:3, :3].ravel())
    position = ' '.join(str(1000 * value) for value in (TRUTH @ OFF)[:3, 3])
    bop = tmp_path / 'other_bag-test.csv'
    bop.write_text('scene_id,im_id,obj_id,score,R,t,time\n' + ''.join(
        f'0,{image},5,0.7,{numbers},{position},0.1\n' for image in range(3)))
    assert judged(path, AskedSources(files=(bop,)))['stages']['perception']['coverage'] == 0.75
    assert_off(judged(path, AskedSources(files=(bop,))))
    x, y, z, w = (float(value) for value in np.array(
        [getattr(pose_parts(TRUTH @ OFF)[1], axis) for axis in 'xyzw']))
    p = (TRUTH @ OFF)[:3, 3]
    own = tmp_path / 'poses.csv'
    own.write_text('stamp_ns,x,y,z,qx,qy,qz,qw\n' + ''.join(
        f'{number * SECOND},{p[0]},{p[1]},{p[2]},{x},{y},{z},{w}\n' for number in range(1, 5)))
    assert_off(judged(path, AskedSources(files=(own,))))
    bop.write_text('scene_id,im_id,obj_id,score,R,t,time\n0,0,5,0.7,1 0 0,0 0 0,1\n')
    with pytest.raises(InvalidInputError, match='line 2: expected scene_id'):
        judged(path, AskedSources(files=(bop,)))


def poses_at(*stamps, arrived=None):
    return [StatedPose(TRUTH, stamp, arrived_ns=stamp + 40 * MS if arrived is None else arrived)
            for stamp in stamps]


IMAGES = ImageTimes([SECOND, 2 * SECOND, 3 * SECOND], [SECOND + 5 * MS, 2 * SECOND + 5 * MS, 3 * SECOND + 5 * MS])


def test_matching_by_stamp_allows_for_seconds_as_floats_alone():
    poses = poses_at(SECOND + 200, 2 * SECOND - 200, 3 * SECOND + 1 * MS)
    matched = matched_poses('it', poses, IMAGES, Matching('stamp'))
    assert set(matched.by_stamp) == {SECOND, 2 * SECOND}
    assert (matched.unmatched, matched.how) == (1, 'stamp')


def test_auto_takes_the_stricter_rule_that_fits_and_says_which():
    assert matched_poses('it', poses_at(SECOND, 2 * SECOND), IMAGES, Matching()).how == 'stamp'
    restamped = poses_at(SECOND + 2 * MS, 2 * SECOND + 2 * MS)
    assert matched_poses('it', restamped, IMAGES, Matching()).how == 'nearest'
    with pytest.raises(InvalidInputError, match=r'first stamp is 1200000000 ns.*--match arrival'):
        matched_poses('it', poses_at(SECOND + 200 * MS, 2 * SECOND + 200 * MS), IMAGES, Matching())


def test_by_arrival_a_pose_is_of_the_last_image_before_it():
    poses = [StatedPose(TRUTH, 0, arrived_ns=each) for each in (SECOND + 80 * MS, 2 * SECOND + 4 * MS)]
    matched = matched_poses('it', poses, IMAGES, Matching('arrival'))
    # The second one came before its image was recorded: it is of the first, which has an answer already.
    assert {stamp: len(each) for stamp, each in matched.by_stamp.items()} == {SECOND: 1}
    with pytest.raises(InvalidInputError, match='a file that has none'):
        matched_poses('it', [StatedPose(TRUTH, SECOND)], IMAGES, Matching('arrival'))


def test_an_answer_may_come_seconds_late(tmp_path):
    path = tmp_path / 'bag'
    with SourceBag(path) as bag:
        for number in range(1, 9):
            stamp = number * SECOND
            bag.image(stamp)
            bag.info(stamp)
            bag.truth(stamp)
            if number > 5:
                bag.says('PoseStamped', stamp - 5 * SECOND, TRUTH @ OFF, at_ns=stamp)
    summary = judged(path)
    assert_off(summary, 8)
    assert summary['metrics']['image_to_pose_p50']['value'] == pytest.approx(5000)


def test_a_pose_that_cannot_be_used_is_a_wrong_answer(tmp_path):
    path = tmp_path / 'bag'
    with SourceBag(path) as bag:
        for number in range(1, 5):
            stamp = number * SECOND
            bag.image(stamp)
            bag.info(stamp)
            bag.truth(stamp)
            bad = TRUTH.copy()
            bad[0, 3] = np.nan
            bag.says('PoseStamped', stamp, bad if number == 1 else TRUTH @ OFF)
    summary = judged(path)
    assert summary['metrics']['recall_1cm_5deg']['value'] == 0.75


def test_numbers_that_are_none_count_as_unknown_and_are_told(tmp_path):
    """A covariance of -1 or NaN, and scores in percent, say nothing of how far off a pose is."""
    path = tmp_path / 'bag'
    unknown = np.zeros((6, 6))
    unknown[0, 0] = -1
    with SourceBag(path) as bag:
        for number in range(1, 5):
            stamp = number * SECOND
            bag.image(stamp)
            bag.info(stamp)
            bag.truth(stamp)
            bag.truth(stamp, TRUTH @ OFF, '/pose', covariance=unknown if number < 3 else unknown * np.nan)
            bag.truth(stamp, TRUTH @ OFF, '/flat', scale=0.0 if number == 1 else 1.0)
            bag.says('Detection3DArray', stamp, TRUTH @ OFF, '/percent', others=((TRUTH, 'box', 95.0),))
    asked = AskedSources(('/pose', '/flat', '/percent'))
    summary = judged(path, asked)
    assert_off(summary)
    assert summary['metrics']['covariance_coverage_90']['n'] == 0
    percent = summary['estimators']['/percent']['metrics']
    assert percent['position_error_median']['value'] == pytest.approx(0, abs=1e-9)  # the better score counts
    assert percent['score_ece']['n'] == 0
    said = '\n'.join(summary['provenance']['warnings'])
    for line in ('/pose: 4 of 4 covariances are none', '/flat: 1 of 4 poses have a quaternion without length',
                 '/percent: scores are between 0.9 and 95: expected probabilities'):
        assert line in said


def test_a_source_that_never_answers_is_told(tmp_path):
    path = write(tmp_path / 'bag')
    empty = tmp_path / 'poses.csv'
    empty.write_text('stamp_ns,x,y,z,qx,qy,qz,qw\n')
    summary = judged(path, AskedSources(files=(empty,)))
    assert summary['metrics']['recall_1cm_5deg']['value'] == 0
    assert any('poses.csv: no image has a pose' in line for line in summary['provenance']['warnings'])


def test_a_truth_is_not_judged_by_itself(tmp_path):
    path = write(tmp_path / 'bag', 'TFMessage')
    with pytest.raises(InvalidInputError, match='/ground_truth: expected poses to judge and ground truth from'):
        judged(path, AskedSources(('/ground_truth',)))
    with pytest.raises(InvalidInputError, match='found_box: expected poses to judge and ground truth from diff'):
        judged(path, AskedSources(frames=('found_box',)),
               source=SourceOptions(topics=BagTopics(object_frame='found_box')))


def test_a_static_transform_holds_before_it_was_recorded(tmp_path):
    path = tmp_path / 'bag'
    with SourceBag(path) as bag:
        for number in range(1, 5):
            stamp = number * SECOND
            bag.image(stamp)
            bag.info(stamp)
            bag.truth(stamp)
            bag.says('PoseStamped', stamp, np.linalg.inv(CAMERA_FROM_WORLD) @ TRUTH @ OFF, frame_id='world')
        bag.transform(9 * SECOND, 'world', 'cam', np.linalg.inv(CAMERA_FROM_WORLD))
    assert_off(judged(path))


def test_the_command_judges_and_its_run_can_be_rebuilt(tmp_path, capsys):
    path = write(tmp_path / 'bag', 'Detection3DArray')
    out = tmp_path / 'run'
    assert main(['evaluate', str(path), '--recorded', '--pose-topic', '/pose', '--mesh',
                 str(resource_path('models/box/mesh.obj')), '--out', str(out)]) == 0
    written = json.loads((out / 'summary.json').read_text())
    assert_off(written)
    assert written['provenance']['pose_sources'] == [
        {'bag': 'bag', 'source': '/pose', 'matched_by': 'stamp', 'tolerance_ms': 0.001, 'images': 4,
         'poses_without_image': 0}]
    assert written['provenance']['mesh']['name'] == 'mesh.obj'
    assert rebuild(out).summary['metrics'] == written['metrics']
    assert (out / 'report.html').exists()


@pytest.mark.parametrize(('arguments', 'said'), [
    (['--pose-topic', '/pose'], '--pose-topic: expected with --recorded'),
    (['--recorded', '--mesh', 'mesh.obj'], '--mesh: expected with --pose-topic'),
    (['--recorded', '--pose-topic', '/nothing'], '/nothing: no such topic; found'),
    (['--recorded', '--pose-topic', '/cam/camera_info'], 'expected poses .geometry_msgs'),
    (['--recorded', '--pose-topic', '/pose', '--model', 'box', '--mesh', 'x.obj'], 'expected without --model'),
    (['--recorded', '--pose-topic', '/pose', '--symmetry-axis', 'z'], 'expected with --mesh')])
def test_what_does_not_go_together_is_refused(tmp_path, capsys, arguments, said):
    path = write(tmp_path / 'bag')
    assert main(['evaluate', str(path), *arguments, '--out', str(tmp_path / 'run')]) == 2
    assert re.search(said, capsys.readouterr().err)
