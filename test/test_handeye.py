# SPDX-License-Identifier: Apache-2.0
"""Hand-eye calibration: accuracy, honest covariance, degenerate motions, samples left out, drift."""

from __future__ import annotations

import numpy as np
import pytest
from arm_views import Cell, random_view
from scipy import stats

from posegrasp_ros.geometry.transforms import (
    invert,
    make_transform,
    perturb,
    rotation_from_vector,
    vector_from_rotation,
)
from posegrasp_ros.handeye.arm_track import ArmTrack
from posegrasp_ros.handeye.calibrate import calibrate
from posegrasp_ros.handeye.drift import drift
from posegrasp_ros.handeye.motions import HandEyeError, check_motions
from posegrasp_ros.handeye.mount_solution import jacobians, solve
from posegrasp_ros.handeye.sample import Mounting, Sample

SETS = 200


def error(solution, cell):
    """(6,) of the camera's pose."""
    found, true = solution.mount_from_camera, cell.mount_from_camera
    return np.concatenate([found[:3, 3] - true[:3, 3], vector_from_rotation(found[:3, :3] @ true[:3, :3].T)])


@pytest.fixture(params=list(Mounting), ids=lambda mounting: mounting.value)
def mounting(request):
    return request.param


def test_jacobians_are_the_derivative_of_what_is_seen(mounting):
    rng = np.random.default_rng(0)
    cell = Cell.random(rng, mounting)
    samples = cell.samples(rng, 4)
    solution = solve(samples, mounting)
    rows = jacobians(samples, mounting, cell.mount_from_camera, cell.hold_from_target)
    for column in range(12):
        step = 1e-6 * np.eye(12)[column]
        moved = Cell(mounting, perturb(cell.mount_from_camera, step[:6]), perturb(cell.hold_from_target, step[6:]))
        for row, sample in zip(rows, samples):
            before = cell.camera_from_target(sample.base_from_tool)
            after = moved.camera_from_target(sample.base_from_tool)
            change = np.concatenate([after[:3, 3] - before[:3, 3],
                                     vector_from_rotation(after[:3, :3] @ before[:3, :3].T)])
            assert np.abs(change / 1e-6 - row[:, column]).max() < 1e-3
    assert solution.covariance.shape == (12, 12)


def test_fifteen_looks_give_the_camera_to_a_millimetre_and_the_region_holds(mounting):
    rng = np.random.default_rng(1)
    errors, inside = [], []
    for _ in range(SETS):
        cell = Cell.random(rng, mounting)
        solution = solve(cell.samples(rng), mounting)
        off = error(solution, cell)
        errors.append((np.linalg.norm(off[:3]), np.linalg.norm(off[3:])))
        inside.append(off @ np.linalg.solve(solution.camera_covariance, off) < stats.chi2(6).ppf(0.9))
    position, rotation = np.median(errors, axis=0)
    assert position < 1e-3 and rotation < np.radians(0.15)
    assert 0.85 <= np.mean(inside) <= 0.95


def test_a_worse_arm_widens_the_covariance():
    rng = np.random.default_rng(2)
    cell = Cell.random(rng, Mounting.IN_HAND)
    good = solve(cell.samples(rng, 20), cell.mounting)
    shaken = [Sample(perturb(each.base_from_tool, rng.normal(0, [2e-3] * 3 + [5e-3] * 3)),
                     each.camera_from_target, each.covariance) for each in cell.samples(rng, 20)]
    bad = solve(shaken, cell.mounting)
    assert good.scatter < 1.5 < 2.0 < bad.scatter
    assert np.trace(bad.camera_covariance) > 3 * np.trace(good.camera_covariance)


def turned(cell, rng, vectors):
    """Samples of an arm that turns its tool by rotation vectors about the place of the target, in view."""
    start = cell.base_from_tool(random_view(rng))
    about = start @ invert(make_transform(None, -cell.hold_from_target[:3, 3])) \
        if cell.mounting is Mounting.TO_HAND else start
    found = []
    for vector in vectors:
        turn = make_transform(start[:3, :3] @ rotation_from_vector(vector) @ start[:3, :3].T)
        point = make_transform(None, about[:3, 3])
        found.append(cell.sample(rng, point @ turn @ invert(point) @ start))
    return found


DEGENERATE = {
    'few_samples': [(0, 0, 0), (0.5, 0, 0), (0, 0.5, 0)],
    'parallel_axes': [(angle, 0, 0) for angle in np.linspace(-0.6, 0.6, 10)],
    'little_rotation': [(0, 0, 0)] * 10,
}


@pytest.mark.parametrize('reason', DEGENERATE)
def test_motions_that_do_not_determine_it_are_refused_and_the_next_one_helps(reason, mounting):
    rng = np.random.default_rng(3)
    cell = Cell.random(rng, mounting)
    samples = turned(cell, rng, DEGENERATE[reason])
    if reason == 'little_rotation':  # translations alone
        samples = [cell.sample(rng, make_transform(None, rng.normal(0, 0.05, 3)) @ each.base_from_tool)
                   for each in samples]
    with pytest.raises(HandEyeError) as refused:
        calibrate(samples, mounting)
    assert refused.value.reason == reason
    assert 'next, turn the tool by' in str(refused.value)
    missing = [refused.value.next_motion]
    while missing[-1]:
        samples.append(cell.sample(rng, missing[-1].base_from_tool))
        try:
            check_motions(samples)
            break
        except HandEyeError as still:
            missing.append(still.next_motion)
    assert len(missing) == (2 if reason == 'little_rotation' else 1)
    off = error(calibrate(samples, mounting).solution, cell)
    assert np.linalg.norm(off[:3]) < 0.03 and np.linalg.norm(off[3:]) < np.radians(2)


def test_a_mirrored_look_is_left_out_with_its_reason(mounting):
    rng = np.random.default_rng(4)
    cell = Cell.random(rng, mounting)
    samples = cell.samples(rng)
    rotation, place = samples[6].camera_from_target[:3, :3], samples[6].camera_from_target[:3, 3]
    sight, normal = place / np.linalg.norm(place), rotation[:, 2]
    across = np.cross(sight, normal)
    across /= np.linalg.norm(across)
    between = np.arccos(np.clip(abs(sight @ normal), -1, 1))
    # turned about the axis across sight and normal, to the other side of the sight
    options = [rotation_from_vector(sign * 2 * between * across) @ rotation for sign in (1, -1)]
    mirrored = min(options, key=lambda each: np.linalg.norm(
        each[:, 2] - (2 * (sight @ normal) * sight - normal)))
    samples[6] = Sample(samples[6].base_from_tool, make_transform(mirrored, place), samples[6].covariance)
    found = calibrate(samples, mounting)
    assert [place for place, each in enumerate(found.samples) if each.left_out] == [6]
    assert found.samples[6].left_out.startswith('mirrored: ')
    assert np.linalg.norm(error(found.solution, cell)[:3]) < 2e-3


def test_late_stamps_are_left_out_with_their_time(mounting):
    rng = np.random.default_rng(5)
    cell = Cell.random(rng, mounting)
    poses = [cell.base_from_tool(random_view(rng)) for _ in range(15)]
    # the arm goes from pose to pose in a second
    track = ArmTrack.of_poses((1_000_000_000 * place, pose) for place, pose in enumerate(poses))
    late_ns = {4: 200_000_000, 9: 200_000_000}
    samples = []
    for place in range(15):
        stamp = 1_000_000_000 * min(place, 13) + 300_000_000
        seen_at = track.at(stamp)
        arm = track.at(stamp + late_ns.get(place, 0))
        look = cell.sample(rng, seen_at)
        samples.append(Sample(arm, look.camera_from_target, look.covariance, stamp + late_ns.get(place, 0)))
    found = calibrate(samples, mounting, track)
    assert [place for place, each in enumerate(found.samples) if each.left_out] == [4, 9]
    for place in (4, 9):
        assert found.samples[place].left_out.startswith('stamp: ')
        assert '200 ms before its stamp' in found.samples[place].left_out


def test_drift_of_the_camera_is_said_within_five_looks_and_none_without(mounting):
    rng = np.random.default_rng(6)
    said = {'still': 0, 'shifted': 0, 'turned': 0}
    tries = 100
    for _ in range(tries):
        cell = Cell.random(rng, mounting)
        solution = solve(cell.samples(rng), mounting)
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        shifts = {'still': np.zeros(6), 'shifted': np.r_[0.003 * direction, 0, 0, 0],
                  'turned': np.r_[0, 0, 0, np.radians(0.5) * direction]}
        for name, shift in shifts.items():
            moved = Cell(mounting, perturb(cell.mount_from_camera, shift), cell.hold_from_target)
            looks = [moved.sample(rng, cell.base_from_tool(random_view(rng))) for _ in range(5)]
            said[name] += any(drift(solution, looks[:count]).is_moved for count in range(1, 6))
    assert said['still'] <= 0.02 * tries
    assert min(said['shifted'], said['turned']) >= 0.95 * tries
