# SPDX-License-Identifier: Apache-2.0
"""Systematic faults: each that is put in is named with its number, and none is named on noise."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.faults.corrected_pairs import corrected
from posegrasp_ros.faults.correction_file import (
    CorrectionFileError,
    correction_from,
    corrections_text,
    read_corrections,
)
from posegrasp_ros.faults.corrections.conventions import Inverse, Mirror, QuaternionOrder
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.lengths import Depth, Scale
from posegrasp_ros.faults.corrections.other_intrinsics import OtherIntrinsics
from posegrasp_ros.faults.corrections.rigid import CameraAxes, InCamera, InObject, Rays
from posegrasp_ros.faults.corrections.stamps import Time
from posegrasp_ros.faults.corrections.symmetry import DeclaredSymmetry
from posegrasp_ros.faults.diagnose import FAULTS, diagnose
from posegrasp_ros.faults.fitting import loss
from posegrasp_ros.faults.injection import INJECTED, PoseTrack, inject
from posegrasp_ros.faults.pair_log import PairLog
from posegrasp_ros.faults.pose_pairs import PosePairs, interpolated, nearest_truths, rotation_vectors
from posegrasp_ros.faults.rigid_faults import offset_text
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import (
    NO_SYMMETRY,
    Symmetry,
    invert,
    make_transform,
    random_rotation,
    rotation_from_vector,
    vector_from_rotation,
)

SECOND = 1_000_000_000
CAMERA = Camera(640, 480, [[600, 0, 300], [0, 600, 250], [0, 0, 1]])
CAMERAS = {'/left/camera_info': CAMERA,
           '/right/camera_info': Camera(640, 480, [[617, 0, 331], [0, 617, 238], [0, 0, 1]])}
CAN = Symmetry.generated(axis=(0, 0, 1))
# What each injected fault is to be named.
NAMED = {name: name for name in INJECTED} | {'camera_link_axes': 'camera_axes', 'opengl_axes': 'camera_axes'}
OF_TIME = ('lag', 'clock_offset')


def scenes(seed, count=100, symmetry=NO_SYMMETRY):
    """Estimates with 1.5 mm and 0.8° of noise, each twentieth one wrong, in scenes of their own."""
    rng = np.random.default_rng(seed)
    truths = np.array([make_transform(random_rotation(rng), (*rng.uniform(-0.15, 0.15, 2), rng.uniform(0.4, 0.9)))
                       for _ in range(count)])
    stamps = (1 + np.arange(count)) * SECOND
    return PosePairs(stamps, noisy(truths, rng), truths, np.arange(count), stamps, symmetry, 0.06, CAMERA, CAMERAS)


def noisy(truths, rng):
    noise = np.array([make_transform(rotation_from_vector(rng.normal(0, 0.014, 3)), rng.normal(0, 0.0015, 3))
                      for _ in truths])
    estimates = truths.copy()
    estimates[:, :3, :3] = noise[:, :3, :3] @ truths[:, :3, :3]
    estimates[:, :3, 3] += noise[:, :3, 3]
    wrong = rng.random(len(truths)) < 0.05
    for index in np.flatnonzero(wrong):
        estimates[index] = make_transform(random_rotation(rng), (0, 0, 0.7))
    return estimates


def sequence(seed, seconds=12, rate=15):
    """A camera that moves smoothly around an object."""
    rng = np.random.default_rng(seed)
    t = np.arange(seconds * rate) / rate
    phase = rng.uniform(0, 6, 5)
    stamps = SECOND + np.rint(t * 1e9).astype(np.int64)
    turn = rotation_from_vector(rng.normal(size=3))
    truths = np.array([make_transform(
        rotation_from_vector((0.5 * np.sin(0.9 * s + phase[0]), 0.6 * np.cos(0.7 * s + phase[1]), 0.4 * s)) @ turn,
        (0.1 * np.sin(1.1 * s + phase[2]), 0.08 * np.cos(0.8 * s + phase[3]), 0.6 + 0.1 * np.sin(s + phase[4])))
        for s in t])
    return PosePairs(stamps, noisy(truths, rng), truths, stamps // SECOND, stamps, NO_SYMMETRY, 0.06, CAMERA,
                     CAMERAS)


def with_fault(pairs, name, sizes=(), seed=0):
    """What a node with the fault would have said of the images."""
    said, poses = inject(PoseTrack(pairs.said_ns, pairs.estimates, pairs.cameras), name, sizes, seed)
    is_known = np.isfinite(poses).all(axis=(1, 2))
    nearest = np.abs(pairs.stamps_ns[None] - said[:, None]).argmin(axis=1)
    return PosePairs(pairs.stamps_ns[nearest], poses, pairs.truths[nearest], pairs.blocks[nearest], said,
                     pairs.symmetry, pairs.radius_m, pairs.camera, pairs.cameras).chosen(is_known)


@pytest.mark.parametrize('name', INJECTED)
def test_each_fault_is_named_and_correcting_it_leaves_the_noise(name):
    before = (sequence if name in OF_TIME else scenes)(3)
    found = diagnose(with_fault(before, name))
    assert [each.name for each in found.findings] == [NAMED[name]], found
    finding, = found.findings
    if name == 'wrong_object':
        assert finding.correction is None and 'another object' in finding.says
        return
    noise = diagnose(before).before
    assert found.after['position_m'] < 1.15 * noise['position_m']
    assert found.after['rotation_rad'] < 1.15 * noise['rotation_rad']
    assert finding.explained > 0.5


@pytest.mark.parametrize(('name', 'sizes', 'number', 'tolerance'), [
    ('object_offset', (0, -9, 4), lambda each: 1000 * invert(each.transform)[:3, 3] - (0, -9, 4), 0.6),
    ('mesh_scale', (0.93,), lambda each: each.factor * 0.93 - 1, 0.003),
    ('focal_length', (1.15,), lambda each: each.factor * 1.15 - 1, 0.003),
    ('principal_point', (-25, 12), lambda each: 600 * each.parameters - (-25, 12), 1.2),
    ('lag', (150,), lambda each: 1000 * each.shift_s + 150, 3),
    ('clock_offset', (-90,), lambda each: 1000 * each.shift_s - 90, 3)])
def test_its_number_is_right(name, sizes, number, tolerance):
    finding, = diagnose(with_fault((sequence if name in OF_TIME else scenes)(5), name, sizes)).findings
    assert finding.name == name
    assert np.linalg.norm(np.atleast_1d(number(finding.correction))) < tolerance


def test_an_offset_of_the_camera_is_right_where_the_objects_are():
    """Far from them, translation and rotation make up for each other."""
    fault = make_transform(rotation_from_vector(np.radians((0.0, 2.0, -1.0))), (0.012, -0.005, 0.02))
    sizes = (12, -5, 20, 0, 2, -1)
    pairs = scenes(6)
    finding, = diagnose(with_fault(pairs, 'camera_offset', sizes)).findings
    assert finding.name == 'camera_offset'
    moved = finding.correction.transform @ fault
    middle = np.array([0, 0, 0.65, 1])
    assert 1000 * np.linalg.norm((moved @ middle - middle)[:3]) < 0.8
    assert np.degrees(np.linalg.norm(vector_from_rotation(moved[:3, :3]))) < 0.3


@pytest.mark.parametrize('pairs', [scenes(seed) for seed in range(10, 18)]
                         + [sequence(seed) for seed in range(10, 14)]
                         + [scenes(seed, symmetry=CAN) for seed in range(10, 14)])
def test_on_noise_nothing_is_named(pairs):
    assert diagnose(pairs).findings == ()


@pytest.mark.parametrize(('first', 'second'), [
    ('camera_link_axes', 'mesh_scale'), ('object_offset', 'lag'), ('camera_offset', 'lag'),
    ('unit', 'opengl_axes'), ('object_axes', 'camera_offset'), ('focal_length', 'object_offset'),
    ('quaternion_order', 'camera_link_axes'), ('inverted', 'unit')])
def test_two_faults_at_once_are_both_named(first, second):
    pairs = with_fault((sequence if second in OF_TIME else scenes)(7), first)
    found = {each.name for each in diagnose(with_fault(pairs, second)).findings}
    assert found == {NAMED[first], NAMED[second]}


def test_too_few_poses_are_said_to_be_too_few():
    found = diagnose(scenes(1, 12))
    assert found.findings == () and '12 poses' in found.reason and '20 in 5 are needed' in found.reason


def test_poses_that_are_not_finite_do_not_count():
    pairs = scenes(2)
    estimates = pairs.estimates.copy()
    estimates[::4] = np.nan
    assert diagnose(replace(pairs, estimates=estimates)).pairs == 75


def test_a_symmetric_object_hides_turns_about_its_axis_but_no_offset():
    pairs = scenes(4, symmetry=CAN)
    turns = np.array([make_transform(rotation_from_vector((0, 0, angle)))
                      for angle in np.random.default_rng(0).uniform(0, 6, len(pairs))])
    spun = pairs.with_estimates(pairs.estimates @ turns)
    assert diagnose(spun).findings == ()
    finding, = diagnose(with_fault(spun, 'object_offset', (0, 0, 15))).findings
    assert finding.name == 'object_offset'
    assert finding.correction.transform[2, 3] == pytest.approx(-0.015, abs=6e-4)


def test_a_mirrored_principal_point_is_called_that():
    shift = CAMERA.width - 1 - 2 * 300.0
    finding, = diagnose(with_fault(scenes(8), 'principal_point', (shift, 0.0))).findings
    assert 'mirrored' in finding.says and '+39.' in finding.says


def test_poses_of_the_other_camera_of_a_stereo_pair_are_recognised():
    finding, = diagnose(with_fault(scenes(9), 'camera_offset', (-60, 0, 0))).findings
    assert 'stereo pair' in finding.says


ALL: list[Correction] = [
    InCamera(make_transform(rotation_from_vector((0.1, -0.2, 0.3)), (0.01, 0.02, 0.03))),
    InObject(make_transform(rotation_from_vector((0.1, 0.2, -0.3)), (0.01, -0.02, 0.03))),
    CameraAxes(make_transform(rotation_from_vector((np.pi / 2, 0, 0)))), Scale(1.3), Depth(0.8), Mirror(1),
    Inverse(), QuaternionOrder(1), QuaternionOrder(3), Rays(0.02, -0.01), Time(0.1),
    DeclaredSymmetry((0.0, 0.0, 1.0), (0.0, 0.0, 0.0), np.pi),
    OtherIntrinsics('/right/camera_info', 1.04, 0.03, -0.01)]


@pytest.mark.parametrize('correction', ALL, ids=lambda each: each.kind)
def test_a_correction_undoes_its_inverse_and_survives_a_file(correction):
    pairs = scenes(0, 10)
    assert np.allclose(correction.inverse().apply(correction.apply(pairs.truths)), pairs.truths, atol=1e-12)
    again = correction_from({'kind': correction.kind, **correction.to_dict()}, 'here')
    assert np.allclose(again.apply(pairs.truths), correction.apply(pairs.truths))
    assert again.shift_ns() == correction.shift_ns()
    assert np.allclose(correction.moved(correction.parameters).apply(pairs.truths), correction.apply(pairs.truths))


def test_with_other_intrinsics_a_pose_keeps_its_pixels():
    used, right = CAMERAS.values()
    fault = OtherIntrinsics.between('/left/camera_info', used, right).inverse()  # computed with the left one's
    poses = scenes(0, 10).truths
    before, after = (poses_of @ np.array([0, 0, 0, 1.0]) for poses_of in (poses, fault.apply(poses)))
    pixels = [(points[:, :3] @ camera.matrix.T) for points, camera in ((before, right), (after, used))]
    assert np.allclose(*(each[:, :2] / each[:, 2:] for each in pixels))
    assert np.allclose(after[:, 2], before[:, 2] * 600 / 617)


@pytest.mark.parametrize(('stated', 'said'), [
    ({'kind': 'magic'}, "kind: expected one of camera, object, scale.*got 'magic'"),
    ({'kind': 'scale', 'factor': -1}, 'scale: expected the fields'),
    ({'kind': 'camera', 'camera_from_stated': np.diag([1, 1, -1, 1]).tolist()}, 'a rigid transform'),
    ({'kind': 'camera'}, 'camera_from_stated')])
def test_a_correction_that_is_none_is_refused(stated, said):
    with pytest.raises(ValueError, match=said):
        correction_from(stated, 'here')


def test_the_file_of_a_diagnosis_is_read_again(tmp_path):
    found = diagnose(with_fault(scenes(3), 'mesh_scale')).to_dict()
    path = tmp_path / 'corrections.yaml'
    path.write_text(corrections_text('/pose', {'': found}))
    (correction,), = read_corrections(path).values()
    assert isinstance(correction, Scale) and correction.factor == pytest.approx(1 / 1.1, abs=0.01)
    path.write_text('objects: 3')
    with pytest.raises(CorrectionFileError, match=r'expected schema: posegrasp.corrections/1'):
        read_corrections(path)
    assert corrections_text('/pose', {'': diagnose(scenes(3)).to_dict()}) == ''


def test_kinds_have_names_of_their_own():
    assert len({kind.name for kind in FAULTS}) == len(FAULTS)
    assert {kind.name for kind in FAULTS} | {'wrong_object'} == set(NAMED.values())


def test_interpolation_is_exact_between_known_poses_and_silent_beyond():
    pairs = sequence(0)
    wanted = np.array([pairs.stamps_ns[3], (pairs.stamps_ns[3] + pairs.stamps_ns[4]) // 2,
                       pairs.stamps_ns[0] - SECOND])
    poses, is_known = interpolated(pairs.truths, pairs.stamps_ns, wanted, SECOND)
    assert is_known.tolist() == [True, True, False]
    assert np.allclose(poses[0], pairs.truths[3])
    assert np.allclose(poses[1, :3, 3], (pairs.truths[3, :3, 3] + pairs.truths[4, :3, 3]) / 2, atol=1e-4)


@pytest.mark.parametrize('symmetry', [NO_SYMMETRY, CAN, Symmetry.generated(
    [make_transform(rotation_from_vector((np.pi, 0, 0)))], (0, 0, 1))])
def test_many_poses_have_the_same_nearest_equivalents_as_each_alone(symmetry):
    pairs = scenes(1, 20)
    found = nearest_truths(pairs.estimates, pairs.truths, symmetry)
    expected = [symmetry.nearest(truth, estimate) for truth, estimate in zip(pairs.truths, pairs.estimates)]
    assert np.allclose(found, expected, atol=1e-9)


def test_rotation_vectors_of_many_are_those_of_each():
    rng = np.random.default_rng(0)
    vectors = [*rng.normal(size=(50, 3)), np.zeros(3), np.array([0, np.pi, 0]), np.array([1e-8, 0, 0])]
    rotations = np.array([rotation_from_vector(each) for each in vectors])
    expected = np.array([vector_from_rotation(each) for each in rotations])
    found = rotation_vectors(rotations)
    half = np.abs(np.linalg.norm(expected, axis=1) - np.pi) < 1e-6
    assert np.allclose(found[~half], expected[~half], atol=1e-7)
    assert np.allclose(np.abs(found[half]), np.abs(expected[half]), atol=1e-6)


def test_a_long_run_is_thinned_evenly():
    log = PairLog(most=100)
    for number in range(1000):
        log.add(number * SECOND, number * SECOND, number, np.eye(4), np.eye(4))
    stamps = log.pairs().stamps_ns // SECOND
    assert 50 <= len(stamps) <= 101
    assert stamps[-1] > 900 and np.ptp(np.diff(stamps[1:])) <= np.diff(stamps).max()


def test_time_is_judged_where_the_truth_is_known_alone():
    pairs = sequence(1)
    after, is_known = corrected(pairs, (Time(-0.2),))
    assert 0 < (~is_known).sum() <= 4 and len(after) == len(pairs)
    assert np.isfinite(loss(pairs, (Time(-0.2),)))


@pytest.mark.parametrize(('text', 'said'), [
    ('nonsense', '--fault: expected one of object_offset'), ('lag=0', '--fault: lag: expected milliseconds'),
    ('lag=1e30', '--fault: lag: expected milliseconds'), ('clock_offset=1e18', 'clock_offset: expected milli'),
    ('clock_offset=-1e12', 'expected stamps from 0 to'), ('clock_offset=2.5e12', 'clock_offset: expected milli'),
    ('unit=1,2', '--fault: unit: expected metres in a unit'), ('inverted=1', 'expected no numbers')])
def test_a_fault_that_is_none_is_refused(tmp_path, capsys, text, said):
    from test_pose_sources import write

    path = write(tmp_path / 'bag')
    assert main(['inject', str(path), str(tmp_path / 'out'), '--pose-topic', '/pose', '--fault', text]) == 2
    assert said in capsys.readouterr().err


def write_sequence(path, pairs):
    """A recording of another node's poses: no images, camera_info and ground truth."""
    from test_pose_sources import SourceBag

    with SourceBag(path) as bag:
        for stamp, estimate, truth in zip(pairs.stamps_ns.tolist(), pairs.estimates, pairs.truths):
            bag.info(stamp, CAMERA)
            bag.truth(stamp, truth)
            bag.says('Detection3DArray', stamp, estimate)
    return path


def test_from_a_faulty_recording_to_a_corrected_figure(tmp_path, capsys):
    """inject, evaluate, evaluate --correct: the error is that of the recording without the fault."""
    path, pairs = write_sequence(tmp_path / 'bag', sequence(2)), sequence(2)
    assert main(['inject', str(path), str(tmp_path / 'faulty'), '--pose-topic', '/pose',
                 '--fault', 'object_offset=0,20,0', '--fault', 'clock_offset=-133']) == 0

    def run(bag, name, *options):
        out = tmp_path / name
        assert main(['evaluate', str(bag), '--recorded', '--pose-topic', '/pose', '--out', str(out),
                     *options]) == 0
        return json.loads((out / 'summary.json').read_text())

    faulty = run(tmp_path / 'faulty', 'faulty_run')
    found, = faulty['diagnosis']['/pose'].values()
    assert {each['fault'] for each in found['findings']} == {'object_offset', 'clock_offset'}
    said = capsys.readouterr().out
    assert 'Systematic faults:' in said and '--correct' in said
    assert 'Systematic faults' in (tmp_path / 'faulty_run' / 'report.html').read_text()
    right = run(path, 'right')
    after = run(tmp_path / 'faulty', 'after', '--correct', str(tmp_path / 'faulty_run' / 'corrections.yaml'))
    for metric in ('position_error_median', 'rotation_error_median'):
        assert after['metrics'][metric]['value'] == pytest.approx(right['metrics'][metric]['value'], rel=0.1)
    assert not (tmp_path / 'after' / 'corrections.yaml').exists()
    assert len(pairs) == right['metrics']['recall_1cm_5deg']['n']


def test_of_very_many_pairs_a_part_is_looked_at_and_tells_the_same():
    several = [sequence(seed, seconds=60) for seed in range(3)]
    shifts = [number * 1000 * SECOND for number in range(3)]
    pairs = PosePairs(
        np.concatenate([each.stamps_ns + shift for each, shift in zip(several, shifts)]),
        np.concatenate([each.estimates for each in several]), np.concatenate([each.truths for each in several]),
        np.concatenate([each.blocks + 1000 * number for number, each in enumerate(several)]),
        np.concatenate([each.said_ns + shift for each, shift in zip(several, shifts)]), NO_SYMMETRY, 0.06, CAMERA)
    found = diagnose(with_fault(pairs, 'lag', (120,)))
    assert len(pairs) == 2700 and 1500 < found.pairs <= 2100
    assert [each.name for each in found.findings] == ['lag']


def test_an_offset_has_no_minus_zero():
    transform = np.eye(4)
    transform[:3, 3] = 0.008, -1e-6, 0.0
    assert offset_text(transform) == '(+8.0, +0.0, +0.0) mm and (+0.00, +0.00, +0.00)° about x, y, z'
