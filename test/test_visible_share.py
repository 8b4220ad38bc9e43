# SPDX-License-Identifier: Apache-2.0
"""How much of the object is visible: measured in simulation, recorded, read back, and metrics split by it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hand_made_bags import SECOND, HandMade, frames
from run_frames import TARGET, TRUTH, add_frame, off_by
from test_bop_files import FIRST, truth, write_scene
from test_bop_files import SECOND as ANOTHER

from posegrasp_ros.cli.main import main
from posegrasp_ros.datasets.bag_reader import BagReader, read_frames
from posegrasp_ros.datasets.bag_writer import BagWriter, make_header, new_message
from posegrasp_ros.datasets.bop_dataset import BopReader
from posegrasp_ros.datasets.visible_shares import SHARES, VisibleShares, share_topics, visible_share_of
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.evaluation.bag_evaluation import evaluate_bags
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.evaluation.recorded import evaluate_recorded
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import look_at, make_transform
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.metrics.confusion import NOT_FOUND
from posegrasp_ros.metrics.frame_record import FrameRecord
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.report.run_report import format_table, render_html
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.instances import sample_scene_of_kinds, sample_scene_of_several
from posegrasp_ros.simulation.placement import Distractor
from posegrasp_ros.simulation.record import record
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.textures import Texture
from posegrasp_ros.simulation.world import World

BOX, CAN = (load_mesh(resource_path(f'models/{name}/mesh.obj')) for name in ('box', 'can'))
SMALL = (160, 120)
PLAIN = Texture('plain', ((1, 1, 1), (1, 1, 1)), 0)


def states(value: str, count: int = 1):
    """A message that states shares."""
    values = [new_message('diagnostic_msgs/msg/KeyValue', key='visible_share', value=value)] * count
    status = new_message('diagnostic_msgs/msg/DiagnosticStatus', level=0, name='any', message='', hardware_id='',
                         values=values)
    return new_message(SHARES, header=make_header(100 * SECOND, ''), status=[status])


# Simulation.

def plate(x_m: float) -> Distractor:
    """A wall halfway to the camera of which the edge is at ``x_m`` in the base frame."""
    size = np.array([0.3, 0.005, 0.4])
    return Distractor('box', size, size, make_transform(None, (x_m + 0.3, -0.3, 0.2)), PLAIN)


def scene_before(rng, mesh, *occluders: Distractor):
    """A scene with the camera at -y, so that the base frame's x is to the right in the image."""
    camera = look_at((0.0, -0.6, 0.05), (0.0, 0.0, 0.05))
    scene = sample_scene(rng, mesh, camera)
    return replace(scene, distractors=(), occluders=occluders,
                   base_from_object=make_transform(None, (0, 0, -mesh.vertices[:, 2].min())))


def test_a_plate_before_one_half_hides_one_half():
    rng, shares = np.random.default_rng(0), []
    for occluders in ((), (plate(0.0),), (plate(-0.2),)):
        with World(BOX, None, scene_before(rng, BOX, *occluders), image_size=(320, 240)) as world:
            shares.append(world.visible_share())
    assert shares == pytest.approx([1.0, 0.5, 0.0], abs=0.02)


def test_of_several_instances_the_one_of_which_most_is_visible_counts():
    scene = scene_before(np.random.default_rng(0), BOX, plate(-0.09))
    with World(BOX, None, replace(scene, other_objects=(make_transform(None, (-0.27, 0.0, 0.03)),))) as world:
        assert world.visible_fraction() == 0.0
        assert world.visible_share() > 0.9


def test_an_instance_behind_another_is_hidden_by_it():
    there = make_transform(None, (0, 0.3, 0.02))
    scene = replace(scene_before(np.random.default_rng(0), BOX), other_objects=(there,))
    with World(BOX, None, scene) as world:
        behind = world._visible('instance_0', BOX, np.linalg.inv(scene.base_from_camera) @ there)
        assert world.visible_fraction() == 1.0 and behind < 0.6


def test_objects_of_other_kinds_have_shares_of_their_own():
    scene = sample_scene_of_kinds(np.random.default_rng(2), BOX, [CAN])
    with World(BOX, None, scene, image_size=SMALL) as world:
        share, = world.bystander_shares()
        assert 0.5 < share <= 1.0


@pytest.mark.parametrize('rough', [False, True])
def test_recorded_scenes_tell_how_much_is_visible(tmp_path, rough):
    record(tmp_path / 'bag', BOX, 3, 3, SMALL, progress=False, occlusion=(0.3, 0.6), rough=rough)
    shares = [frame.visible_share for frame in read_frames(tmp_path / 'bag')]
    assert len(set(shares)) == 3 and all(0.3 < share <= 0.7 for share in shares)


def test_without_the_object_there_is_no_share(tmp_path):
    record(tmp_path / 'bag', BOX, 1, 3, SMALL, progress=False, without_object=True)
    assert [frame.visible_share for frame in read_frames(tmp_path / 'bag')] == [None]


def test_several_instances_and_kinds_are_recorded_with_their_shares(tmp_path):
    assert sample_scene_of_several(np.random.default_rng(1), BOX, 2).other_objects
    record(tmp_path / 'two', BOX, 1, 1, SMALL, progress=False, instances=2)
    assert next(iter(read_frames(tmp_path / 'two'))).visible_share > 0.5
    assert main(['record', str(tmp_path / 'kinds'), '--scenes', '1', '--size', '160x120', '--objects', 'box',
                 'can']) == 0
    frame, = BagReader(tmp_path / 'kinds', objects=('box', 'can'))
    assert set(frame.named_visible_shares) == {'box', 'can'} and frame.visible_share is None
    assert all(share > 0.5 for share in frame.named_visible_shares.values())


def test_a_sequence_tells_it_of_frames_that_hide_the_object_too(tmp_path):
    sequence = ['--sequence', '0.6', '--rate', '10', '--cover-at', '0.3']
    assert main(['record', str(tmp_path / 'bag'), *sequence, '--size', '160x120']) == 0
    seen = [(frame.visible_share, frame.camera_from_object is not None) for frame in read_frames(tmp_path / 'bag')]
    assert seen[0][0] > 0.9 and seen[-1] == (0.0, False)
    assert all((share >= 0.1) == has_truth for share, has_truth in seen)


# Recordings.

@pytest.fixture
def shown(tmp_path):
    """A recording of frames with the shares 1, 0.5, 0.05 and one of which it is not known."""
    with BagWriter(tmp_path / 'bag') as writer:
        for frame, share in zip(frames(4), (1.0, 0.5, 0.05, None)):
            writer.write(replace(frame, visible_share=share))
    return tmp_path / 'bag'


def test_the_reader_gives_what_was_written(shown):
    assert [frame.visible_share for frame in read_frames(shown)] == [1.0, 0.5, 0.05, None]


def test_a_share_that_comes_after_its_image_is_waited_for(tmp_path):
    with HandMade(tmp_path / 'bag') as bag:
        for index in range(3):
            stamp_ns = (100 + index) * SECOND
            bag.info(stamp_ns)
            bag.image(stamp_ns)
            message = states(str(index / 10))
            message.header.stamp.sec = 100 + index
            bag.put('/ground_truth/visible_share', SHARES, stamp_ns + 50_000_000, message)
    assert [frame.visible_share for frame in read_frames(tmp_path / 'bag')] == [0.0, 0.1, 0.2]


@pytest.mark.parametrize('value', ['nan', '1.01', '-0.1', 'most', ''])
def test_what_is_no_share_is_refused(value):
    with pytest.raises(InvalidInputError, match='expected one number between 0 and 1'):
        visible_share_of(states(value))
    with pytest.raises(InvalidInputError, match='expected one number'):
        visible_share_of(states('0.5', count=2))


def test_a_reader_skips_what_is_no_share_and_says_so(tmp_path):
    with HandMade(tmp_path / 'bag') as bag:
        bag.info(100 * SECOND)
        bag.put('/ground_truth/visible_share', SHARES, 100 * SECOND, states('most'))
        bag.image(100 * SECOND)
    reader = BagReader(tmp_path / 'bag')
    assert [frame.visible_share for frame in reader] == [None]
    assert any('between 0 and 1' in line for line in reader.warnings)


ONE, BOTH = {'/ground_truth/visible_share': SHARES}, {f'/{name}/ground_truth/visible_share': SHARES
                                                      for name in ('box', 'can')}


@pytest.mark.parametrize(('found', 'truth_topics', 'expected'), [
    (ONE, {'': '/ground_truth'}, {'/ground_truth/visible_share': ''}),
    (ONE, {'': None}, {'/ground_truth/visible_share': ''}),
    (ONE, {'': '/other'}, {}),  # that of another object
    (BOTH, {'': '/can/ground_truth'}, {'/can/ground_truth/visible_share': ''}),
    (BOTH, {'': None}, {}),  # either
    (BOTH, {'box': '/box/ground_truth', 'can': None},
     {'/box/ground_truth/visible_share': 'box', '/can/ground_truth/visible_share': 'can'}),
    ({'/ground_truth/visible_share': 'std_msgs/msg/String'}, {'': '/ground_truth'}, {}),
])
def test_a_share_is_of_the_object_whose_ground_truth_it_lies_below(found, truth_topics, expected):
    warnings: list[str] = []
    assert share_topics(found, truth_topics, warnings.append) == expected
    assert len(warnings) == (SHARES in found.values() and not expected), 'where one may be missed'


def test_a_topic_that_is_not_used_is_named():
    warnings: list[str] = []
    share_topics(ONE, {'': '/other'}, warnings.append)
    assert warnings == ['how much is visible: expected /other/visible_share, found /ground_truth/visible_share, '
                        'which is not used']
    share_topics({**ONE, '/ground_truth': 'geometry_msgs/msg/PoseStamped'}, {'': '/other'}, warnings.append)
    assert len(warnings) == 1, 'it is that of another object'


def test_shares_with_the_stamps_of_no_image_are_told(tmp_path):
    with HandMade(tmp_path / 'bag') as bag:
        bag.info(101 * SECOND)
        bag.image(101 * SECOND)
        bag.put('/ground_truth/visible_share', SHARES, 101 * SECOND, states('0.5'))
    reader = BagReader(tmp_path / 'bag')
    assert [frame.visible_share for frame in reader] == [None]
    assert any('no stamp matches an image: the visible share' in line for line in reader.warnings)


def test_old_shares_are_forgotten():
    shares = VisibleShares({'/ground_truth/visible_share': ''})
    for arrived_ns in (1, 2):
        shares.take('/ground_truth/visible_share', arrived_ns, states('0.5'), arrived_ns)
    shares.forget(2)
    assert (shares.of(1), shares.of(2)) == ({}, {'': 0.5})
    assert shares.may_come(3) and not shares.may_come(2)


def test_a_dataset_tells_the_share_of_the_instance_of_which_most_is_visible(tmp_path):
    write_scene(tmp_path / '000001',
                {0: [truth(FIRST), truth(ANOTHER)], 1: [truth(FIRST), truth(FIRST, 5)], 2: [truth(FIRST)],
                 3: [truth(FIRST)]},
                {0: [{'visib_fract': 0.2}, {'visib_fract': 0.75}], 1: [{'visib_fract': 0.6}, {'visib_fract': 1.0}],
                 2: [{}]})
    assert [frame.visible_share for frame in BopReader(tmp_path, 2)] == [0.75, 0.6, None, None]


# Metrics.

def run_of(shares_and_estimates) -> RunMetrics:
    run = RunMetrics(TARGET)
    for index, (share, estimate) in enumerate(shares_and_estimates):
        stamp_ns = 2 * index * SECOND
        add_frame(run, stamp_ns, estimate)
        if share is not None:
            run.add_visible_share(stamp_ns, share)
    return run


def test_metrics_are_split_by_what_is_visible():
    good, bad = off_by(0.002), off_by(0.03)
    summary = run_of([(1.0, good), (0.95, good), (0.9, bad), (0.8, bad), (0.5, 'low_score'), (0.39, good),
                      (0.05, 'low_score'), (0.02, bad), (0.0, 'no_detection'), (None, good)]).summary()
    by_share = summary['by_visible_share']
    assert (by_share['source'], by_share['unknown']) == ('ground truth', 1)
    found = {each['name']: each for each in by_share['slices']}
    assert {name: each['frames'] for name, each in found.items()} == {
        'clearly visible': 3, 'partly hidden': 1, 'half hidden': 1, 'mostly hidden': 1, 'hidden': 3}
    assert [(each['low'], each['high']) for each in found.values()] == [
        (0.9, 1.0), (0.7, 0.9), (0.4, 0.7), (0.1, 0.4), (0.0, 0.1)]
    clear = found['clearly visible']['metrics']
    assert clear['recall_1cm_5deg']['value'] == pytest.approx(2 / 3)
    assert clear['recall_1cm_5deg']['n'] == clear['recall_1cm_5deg']['clusters'] == 3
    low, high = clear['recall_1cm_5deg']['interval']
    assert 0 < low < 2 / 3 < high < 1
    assert clear['position_error_median']['value'] == pytest.approx(0.002)
    assert clear['abstention']['value'] == 0.0
    half = found['half hidden']['metrics']
    assert half['abstention']['value'] == 1.0 and half['recall_1cm_5deg']['value'] == 0.0
    hidden = found['hidden']['metrics']
    assert hidden['abstention']['value'] == pytest.approx(2 / 3) and hidden['abstention']['n'] == 3
    assert {each['n'] for name, each in hidden.items() if name != 'abstention'} == {0}


def test_a_hidden_object_counts_for_no_recall_and_no_failure():
    summary = run_of([(1.0, off_by(0.002)), (0.09, off_by(0.03)), (0.0, 'low_score')]).summary()
    assert summary['metrics']['recall_1cm_5deg']['value'] == 1.0
    assert summary['metrics']['recall_1cm_5deg']['n'] == summary['frames']['with_object'] == 1
    assert summary['failures'] == {}
    assert summary['stages']['perception']['inputs'] == 3


def test_no_instance_is_asked_for_where_all_are_hidden():
    run = RunMetrics(TARGET)
    for index, share in enumerate((1.0, 0.05)):
        run.add_instances(index * SECOND, [TRUTH] if share > 0.5 else [], [TruePose(TRUTH), TruePose(off_by(0.3))])
        run.add_visible_share(index * SECOND, share)
    metrics = run.summary()['metrics']
    assert (metrics['instance_recall']['value'], metrics['instance_recall']['n']) == (0.5, 2)
    assert (metrics['instance_precision']['value'], metrics['instance_precision']['n']) == (1.0, 1)


def test_of_several_objects_a_hidden_one_is_in_no_confusion():
    run = RunMetrics({'box': TARGET, 'can': TARGET})
    for name, share in (('box', 1.0), ('can', 0.0)):
        run.add_instances(0, [TRUTH] if name == 'box' else [], [TruePose(TRUTH if name == 'box' else off_by(0.3))],
                          name)
        run.add_visible_share(0, share, name)
    assert run.summary()['confusion']['can'] == {'box': 0, 'can': 0, NOT_FOUND: 0}
    assert run.summary()['confusion']['box']['box'] == 1


def test_where_all_frames_hide_the_object_nothing_was_attempted():
    assert run_of([(0.0, 'low_score')] * 3).summary()['waterfall']['attempts'] == 0


@pytest.mark.parametrize('share', [-1.0, 1.5, float('nan')])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InvalidInputError, match='expected a number between 0 and 1'):
        RunMetrics(TARGET).add_visible_share(0, share)


def test_notes_on_metrics_are_told_of_slices_too():
    run = RunMetrics(TARGET)
    add_frame(run, 0, 'low_score')
    run.add_estimate(2 * SECOND, off_by(0.002), np.eye(6))
    add_frame(run, 2 * SECOND)
    run.add_visible_share(2 * SECOND, 1.0)
    summary = run.summary()
    note = summary['metrics']['covariance_coverage_90']['note']
    assert summary['by_visible_share']['slices'][0]['metrics']['covariance_coverage_90']['note'] == note
    assert format_table(summary).count(f'*: {note}') == 2 and render_html(summary).count(f'*: {note}') == 2


def test_an_estimate_that_is_no_share_is_not_known():
    run = RunMetrics(TARGET)
    for index, share in enumerate((0.5, -1.0, 1.5)):
        run.add_report(StageReport(index * SECOND, 'perception', True, '', {'visible_share': share}))
    by_share = run.summary()['by_visible_share']
    assert (by_share['unknown'], sum(each['frames'] for each in by_share['slices'])) == (2, 1)


def test_a_tenth_visible_counts():
    assert run_of([(0.1, off_by(0.002))]).summary()['metrics']['recall_1cm_5deg']['n'] == 1


def test_without_a_true_share_the_estimate_of_perception_splits_and_is_named_so():
    run = RunMetrics(TARGET)
    for index, share in enumerate((0.95, 0.6, None)):
        stamp_ns = 2 * index * SECOND
        run.add_image(stamp_ns)
        run.add_truth(stamp_ns, TRUTH)
        run.add_estimate(stamp_ns, off_by(0.002 + 0.002 * index))
        numbers = {} if share is None else {'visible_share': share}
        run.add_report(StageReport(stamp_ns, 'perception', True, '', numbers))
    by_share = run.summary()['by_visible_share']
    assert (by_share['source'], by_share['unknown']) == ('estimated', 1)
    assert [each['frames'] for each in by_share['slices']] == [1, 0, 1, 0, 0]
    assert by_share['slices'][2]['metrics']['position_error_median']['value'] == pytest.approx(0.004)
    assert 'abstention' not in by_share['slices'][0]['metrics']
    text, page = format_table(run.summary()), render_html(run.summary())
    assert 'visible (estimated)' in text and '(estimated)' in page
    assert "perception's own estimate" in ' '.join(text.split()) and 'not known for 1 frame.' in page


def test_where_nothing_is_known_nothing_is_split():
    summary = run_of([(None, off_by(0.002))]).summary()
    assert summary['by_visible_share'] is None
    assert 'visible' not in format_table(summary) and 'By visible share' not in render_html(summary)


def test_report_and_terminal_show_interval_and_count_of_each_slice():
    summary = run_of([(1.0, off_by(0.002))] * 12 + [(0.5, 'low_score')] * 3 + [(0.0, 'low_score')]).summary()
    text, page = format_table(summary), render_html(summary)
    assert 'half hidden, 40–70 %' in text and '100.0 % [75.8, 100.0] (12)' in text
    assert '0.0 % [0.0, 56.1] (3)' in text
    assert 'half hidden, 40–70 %' in page and '[0.0, 56.1] n 3' in page
    assert 'partly hidden' not in text, 'no frames'
    assert 'no pose is expected' in ' '.join(text.split())


def test_a_row_keeps_the_shares():
    record = FrameRecord(visible_share=0.25, estimated_share=0.5)
    again = FrameRecord.from_row(json.loads(json.dumps(record.to_row())))
    assert (again.visible_share, again.estimated_share) == (0.25, 0.5)


def test_an_evaluation_splits_by_the_share_of_the_recording(shown, scripted_model):
    options = EvaluateOptions('mean_pose', compare_with=())
    summary = evaluate_bags([shown], load_model_card(scripted_model), options, progress=False)
    assert [each['frames'] for each in summary['by_visible_share']['slices']] == [1, 0, 1, 0, 1]
    assert summary['metrics']['recall_1cm_5deg']['n'] == 3, 'the hidden one does not count'
    assert summary['estimators']['mean_pose']['by_visible_share'] == summary['by_visible_share']


def test_what_was_recorded_of_the_stages_is_split_too(shown, scripted_model, tmp_path):
    report = new_message('diagnostic_msgs/msg/DiagnosticStatus', level=2, name='posegrasp: perception',
                         message='low_score', hardware_id='', values=[])
    with HandMade(tmp_path / 'said') as bag:
        for index in range(3):
            stamp_ns = (100 + index) * SECOND
            bag.info(stamp_ns)
            bag.truth(stamp_ns)
            message = states('0.05')
            message.header = make_header(stamp_ns, '')
            bag.put('/ground_truth/visible_share', SHARES, stamp_ns, message)
            said = new_message(SHARES, header=make_header(stamp_ns, ''), status=[report])
            bag.put('/perception/report', SHARES, stamp_ns, said)
    summary = evaluate_recorded([tmp_path / 'said'], load_model_card(scripted_model), progress=False)
    assert summary['by_visible_share']['slices'][-1]['metrics']['abstention']['value'] == 1.0
    assert summary['metrics']['recall_1cm_5deg']['n'] == 0
