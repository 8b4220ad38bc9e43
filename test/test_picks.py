# SPDX-License-Identifier: Apache-2.0
"""Picking runs: paired conditions, the same for any number of processes, whole after Ctrl-C, and their figures."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from posegrasp_ros.cli.main import main
from posegrasp_ros.geometry.transforms import make_transform, perturb, vector_from_rotation
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.plan import PlannerOptions
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.metrics.pick_metrics import GIVEN, RANKINGS, Attempt, Condition, conditions_of, summarise
from posegrasp_ros.report.clips import FORMAT, Clip, clip_addresses, read_clips
from posegrasp_ros.report.picks_report import format_picks, headline, render_picks
from posegrasp_ros.runs.folder import read_reports
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.pick import PickOutcome
from posegrasp_ros.simulation.pick_clips import PickClips
from posegrasp_ros.simulation.pick_film import FILM_HZ, FILM_SIZE, PicksToFilm, TriedPick
from posegrasp_ros.simulation.pick_objects import load_pick_object
from posegrasp_ros.simulation.picking import NOISE_SHAPES, GivenPose, PickingRun, run_picks
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA

GRIPPER = load_gripper()
TRUTH, ESTIMATE = Condition('truth'), Condition('estimate', ranking=GIVEN)
WITH_COVARIANCE, ASSUMING, BY_QUALITY = NOISE = [Condition('noise', 0.01, ranking=ranking) for ranking in RANKINGS]


@pytest.fixture(scope='module')
def box():
    return load_pick_object('box', GRIPPER, PlannerOptions(min_success_probability=0.0))


@pytest.fixture
def brick(tmp_path):
    corners = [f'v {x} {y} {z}' for x in (0, 0.05) for y in (0, 0.03) for z in (0, 0.02)]
    faces = ('1 2 4', '1 4 3', '5 7 8', '5 8 6', '1 5 6', '1 6 2', '3 4 8', '3 8 7', '1 3 7', '1 7 5', '2 6 8',
             '2 8 4')
    (tmp_path / 'brick.obj').write_text('\n'.join(corners + [f'f {face}' for face in faces]))
    return tmp_path / 'brick.obj'


def attempts_of(condition, results, probability=None, objects=('mug',)):
    return [Attempt(number, objects[number % len(objects)], condition.name, result, probability)
            for number, result in enumerate(results)]


def test_every_noise_is_planned_with_and_without_its_covariance_and_by_quality_alone():
    conditions = conditions_of('estimate', [0.005, 0.02], [np.radians(10)])
    assert [condition.name for condition in conditions] == [
        'truth', 'estimate',
        'noise 5 mm, covariance given', 'noise 5 mm, covariance not given', 'noise 5 mm, ranked by quality alone',
        'noise 20 mm, covariance given', 'noise 20 mm, covariance not given',
        'noise 20 mm, ranked by quality alone',
        'noise 10°, covariance given', 'noise 10°, covariance not given', 'noise 10°, ranked by quality alone']


def test_success_is_counted_by_object_with_its_interval():
    results = ['lifted', 'lifted', 'missed', 'lifted']
    summary = summarise(attempts_of(TRUTH, results, objects=('mug', 'plate')), [TRUTH])
    counted = summary['conditions'][0]
    assert (counted['lifted'], counted['n'], counted['failures']) == (3, 4, {'missed': 1})
    assert counted['objects']['plate']['rate'] == 1.0 and counted['objects']['mug']['rate'] == 0.5
    low, high = counted['interval']
    assert low < 0.75 < high


def test_the_share_of_truth_is_taken_over_scenes_tried_with_both():
    attempts = attempts_of(TRUTH, ['lifted'] * 8 + ['missed'] * 2)
    attempts += attempts_of(ESTIMATE, ['lifted'] * 6 + ['no_detection', 'lifted'])
    share = summarise(attempts, [TRUTH, ESTIMATE])['share_of_truth']
    assert share['n'] == 8 and share['value'] == pytest.approx(7 / 8)
    assert share['interval'][0] < 7 / 8 <= share['interval'][1]


def test_the_gain_of_the_covariance_is_paired_by_scene():
    attempts = attempts_of(WITH_COVARIANCE, ['lifted'] * 9 + ['missed'])
    attempts += attempts_of(BY_QUALITY, ['lifted'] * 6 + ['missed'] * 4)
    level = summarise(attempts, [TRUTH, *NOISE])['curves']['position']['levels'][0]
    assert level['gain'] == pytest.approx(0.3) and level['level'] == 0.01
    # no scene went the other way: however the scenes are drawn, nothing is lost
    assert 0.0 <= level['gain_interval'][0] < 0.3 < level['gain_interval'][1]


def test_calibration_looks_at_picks_whose_planner_knew_the_covariance():
    attempts = attempts_of(WITH_COVARIANCE, ['lifted'] * 8 + ['missed'] * 2, 0.8)
    attempts += attempts_of(ASSUMING, ['missed'] * 10, 0.9)
    attempts.append(Attempt(10, 'mug', WITH_COVARIANCE.name, 'pose_too_uncertain'))
    calibration = summarise(attempts, [TRUTH, *NOISE])['calibration']
    assert calibration['n'] == 10 and calibration['ece'] == pytest.approx(0.0)


@pytest.mark.parametrize('shape', NOISE_SHAPES)
def test_the_true_pose_scatters_about_the_told_one_as_its_covariance_says(shape, box):
    run = PickingRun([box], GRIPPER, [], seed=1, noise_shape=shape)
    true_pose = perturb(np.eye(4), np.array([0.1, 0.2, 0.3, 0.5, -0.3, 0.2]))
    rng, condition = np.random.default_rng(5), Condition('noise', 0.01, 0.02, ranking=GIVEN)
    told = [run._disturbed(true_pose, condition, rng.standard_normal(6)) for _ in range(2000)]
    deltas = np.array([np.concatenate([true_pose[:3, 3] - each.base_from_object[:3, 3], vector_from_rotation(
        true_pose[:3, :3] @ each.base_from_object[:3, :3].T)]) for each in told])
    whitened = np.linalg.solve(np.linalg.cholesky(told[0].covariance), deltas.T)
    assert np.cov(whitened) == pytest.approx(np.eye(6), abs=0.1)


def test_along_the_line_of_sight_the_noise_is_largest(box):
    run = PickingRun([box], GRIPPER, [], seed=1, noise_shape='sight')
    covariance = run._disturbed(np.eye(4), Condition('noise', 0.02, ranking=GIVEN), np.zeros(6)).covariance[:3, :3]
    stds, axes = np.linalg.eigh(covariance)
    towards_camera = DEFAULT_BASE_FROM_CAMERA[:3, 3] / np.linalg.norm(DEFAULT_BASE_FROM_CAMERA[:3, 3])
    assert np.sqrt(stds) == pytest.approx([0.005, 0.005, 0.02])
    assert abs(axes[:, 2] @ towards_camera) == pytest.approx(1.0)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(box):
    run = PickingRun([box], GRIPPER, [TRUTH, *NOISE], seed=3)
    alone, together = (list(run_picks(run, 2, jobs)) for jobs in (1, 2))
    assert alone == together and len(alone) == 8
    assert [tried.attempt.scene for tried in alone] == [0] * 4 + [1] * 4
    assert alone[0].attempt.ok and alone[0].attempt.success_probability > 0.9


def test_the_planner_may_give_up(box):
    grasps = load_grasps(resource_path('models/box/grasps.yaml'), GRIPPER)
    shy = replace(box, planner=GraspPlanner(GRIPPER, grasps, PlannerOptions(min_success_probability=0.99)))
    hopeless = Condition('noise', noise_m=0.05, ranking=GIVEN)
    attempt = PickingRun([shy], GRIPPER, [hopeless], seed=3).attempt(0, hopeless)
    assert attempt.result == 'pose_too_uncertain' and attempt.success_probability is None


@pytest.mark.slow
def test_the_command_picks_models_and_meshes_and_writes_a_run_folder(brick, tmp_path, capsys):
    out = tmp_path / 'run'
    assert main(['picks', 'box', str(brick), '--count', '3', '--noise-mm', '10', '--jobs', '1', '--seed', '2',
                 '--out', str(out)]) == 0
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['complete'] and summary['scenes'] == {'planned': 3, 'tried': 3}
    assert summary['provenance']['physics']['box'] == 'friction 0.6 between pads and object, density 400 kg/m³'
    said = capsys.readouterr().out
    assert 'noise 10 mm, covariance given' in said and str(out / 'report.html') in said
    page = (out / 'report.html').read_text()
    assert 'Position noise' in page and 'box, brick;' in page and not re.search('https?:', page)
    assert page.count('class="moving" src="data:image/') == page.count('Play again: ') >= 2
    reports, warnings = read_reports(out)
    assert len(reports) == 12 and not warnings


def test_a_pick_is_filmed_and_its_clip_is_in_the_report(box):
    run = PickingRun([box], GRIPPER, [TRUTH], seed=1)
    tried = run.tried(0, TRUTH)
    assert tried.attempt.ok and tried.attempt == run.attempt(0, TRUTH)
    pictures = run.film(tried)
    assert len(pictures) > 15 and {picture.shape for picture in pictures} == {(*FILM_SIZE[::-1], 3)}
    assert np.abs(pictures[-1].astype(int) - pictures[0]).max() > 50, 'the hand has moved'
    animation, still = clip_addresses(pictures, FILM_HZ)
    with Image.open(io.BytesIO(base64.b64decode(animation.partition(',')[2]))) as moving:
        assert moving.format == FORMAT and moving.n_frames > 10
    assert len(still) < len(animation) < (200_000 if FORMAT == 'WEBP' else 2_000_000), 'all together below 3 MB'
    attempts = attempts_of(TRUTH, ['lifted', 'missed'])
    summary = {'schema': 's', 'scenes': {'planned': 2, 'tried': 2}, 'complete': True,
               'provenance': {'time': '2026', 'noise shape': 'ball'}, **summarise(attempts, [TRUTH])}
    page = render_picks(summary, [Clip('box', True, 'lifted', 'scene 0, truth', animation, still),
                                  Clip('box', False, 'missed', 'scene 1, truth', still, still)])
    assert animation in page and 'lifted and held' in page and 'missed' in page and 'scene 1, truth' in page


def test_the_simulator_keeps_clips_of_one_pick_of_each_kind(box, tmp_path):
    run, clips = PickingRun([box], GRIPPER, [TRUTH], seed=1), PickClips(tmp_path / 'clips.json')
    with run._world(0)[0] as world:
        for number, result in enumerate(['no_grasp', 'lifted', 'lifted', 'slipped'], start=1):
            clips.consider(world, 'box', number, PickOutcome(result))
    kept = read_clips(tmp_path / 'clips.json')
    assert [(clip.object, clip.held, clip.text, clip.caption) for clip in kept] == [
        ('box', False, 'no grasp', 'pick 1'), ('box', True, 'lifted and held', 'pick 2')]
    assert read_clips(tmp_path / 'none.json') == []
    (tmp_path / 'clips.json').write_text('[{"object": "box"}]')
    with pytest.raises(InvalidInputError, match='expected clips of picks'):
        read_clips(tmp_path / 'clips.json')


def test_the_first_pick_that_held_and_the_first_that_failed_of_each_object_are_filmed():
    to_film, states = PicksToFilm(TRUTH.name), (np.zeros(3),)
    for attempt in (*attempts_of(NOISE[0], ['missed'] * 2, objects=('mug', 'box')),
                    *attempts_of(TRUTH, ['lifted'] * 4 + ['unreachable', 'slipped'], objects=('mug', 'box'))):
        to_film.consider(TriedPick(attempt, () if attempt.result == 'unreachable' else states))
    found = [(each.attempt.object, each.attempt.result, each.attempt.scene) for each in to_film.picks()]
    assert found == [('box', 'lifted', 1), ('box', 'slipped', 5), ('mug', 'lifted', 0), ('mug', 'unreachable', 4)]


@pytest.mark.parametrize('arguments, expected', [
    (['nonesuch'], 'object nonesuch: expected a model folder, a mesh file or one of box'),
    (['too_wide'], 'too_wide'),
    ([str(resource_path('config'))], 'model.yaml'),
])
def test_what_cannot_be_picked_is_named(arguments, expected, capsys, tmp_path):
    assert main(['picks', *arguments, '--count', '1', '--out', str(tmp_path / 'run')]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


def test_a_pose_can_only_be_estimated_with_a_model(box):
    with pytest.raises(InvalidInputError, match='expected objects with a model folder, found none for bare'):
        PickingRun([box, replace(box, name='bare', model=None)], GRIPPER, [TRUTH, ESTIMATE], seed=1)


def heed_ctrl_c():
    """What a shell starts in the background, these tests too, ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.slow
def test_ctrl_c_leaves_a_valid_partial_run(tmp_path):
    command = [sys.executable, '-m', 'posegrasp_ros.cli.main', 'picks', 'box', '--count', '500', '--jobs', '2',
               '--out', str(tmp_path)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True,
                               preexec_fn=heed_ctrl_c)
    lines = tmp_path / 'metrics.jsonl'
    deadline_s = time.monotonic() + 180
    while not (lines.is_file() and lines.read_bytes().count(b'\n') >= 3) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: the whole group hears it
    _, said = process.communicate(timeout=180)
    assert process.returncode == 130 and 'Traceback' not in said
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert not summary['complete'] and 3 <= summary['scenes']['tried'] < 500
    assert 'then interrupted' in (tmp_path / 'report.html').read_text()
    assert len(read_reports(tmp_path)[0]) == summary['conditions'][0]['n']


@pytest.mark.parametrize('attempts', [
    attempts_of(TRUTH, ['missed']),
    attempts_of(TRUTH, ['lifted'] * 3) + attempts_of(ESTIMATE, []),
    attempts_of(TRUTH, ['lifted'] * 6) + attempts_of(WITH_COVARIANCE, ['lifted'] * 6, 0.9)
    + attempts_of(ASSUMING, ['missed']) + attempts_of(BY_QUALITY, ['missed']),
], ids=['one', 'interrupted before the first estimate', 'interrupted'])
def test_any_run_can_be_shown(attempts):
    summary = {'schema': 's', 'scenes': {'planned': 9, 'tried': 6}, 'complete': False,
               'provenance': {'time': '2026', 'noise shape': 'ball'},
               **summarise(attempts, [TRUTH, ESTIMATE, *NOISE])}
    assert headline(summary)['pose'] == 'truth'
    assert 'Interrupted' in format_picks(summary)
    assert 'then interrupted' in render_picks(json.loads(json.dumps(summary)))


def test_a_camera_that_is_not_where_it_is_stated_moves_the_pose_as_the_planner_is_told(box):
    covariance = np.diag(np.square([1e-3, 2e-3, 1e-3, 2e-3, 3e-3, 1e-3]))
    run = PickingRun([box], GRIPPER, [], seed=1, mount_covariance=covariance)
    rng, pose = np.random.default_rng(0), make_transform(None, (0.05, 0.02, 0.02))
    moved = [run._moved(GivenPose(pose), rng.standard_normal(6)) for _ in range(3000)]
    scatter = np.cov(np.array([each.base_from_object[:3, 3] for each in moved]).T)
    np.testing.assert_allclose(scatter, moved[0].covariance[:3, :3], atol=3e-7)
    exact = PickingRun([box], GRIPPER, [], seed=1)._moved(GivenPose(pose), rng.standard_normal(6))
    assert exact.covariance is None and exact.base_from_object is pose
