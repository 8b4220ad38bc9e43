# SPDX-License-Identifier: Apache-2.0
"""Changed cells are what their names say."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from posegrasp_ros.feasibility.alternatives import nothing_helps
from posegrasp_ros.feasibility.attainable.calibration_errors import CalibrationErrors
from posegrasp_ros.feasibility.cell import Cell, Needs
from posegrasp_ros.feasibility.expected_success import ExpectedSuccess, Figures
from posegrasp_ros.feasibility.label import with_label
from posegrasp_ros.feasibility.study import standing_for_all
from posegrasp_ros.feasibility.verdict import FEASIBLE, IF, NOT, Reason, judge
from posegrasp_ros.feasibility.what_if import (
    Change,
    both,
    calibration_changes,
    camera_changes,
    go_together,
    gripper_changes,
    need_changes,
)
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.metrics.stats.intervals import Interval
from posegrasp_ros.simulation.pick_objects import load_object


@pytest.fixture(scope='module')
def cell():
    """Of the shipped can, without its grasps, which none of this needs."""
    return Cell(load_object('can'), None, load_gripper(), Camera.from_field_of_view(640, 480, math.radians(60)),
                (0.8, 1.2), CalibrationErrors(), 50.0)


def test_a_changed_camera_is_nearer_longer_or_finer(cell):
    changed = {change.name: change.apply(cell) for change in camera_changes(cell)}
    assert changed['nearer camera'].distances_m == pytest.approx((0.56, 0.84))
    longer = changed['longer lens'].camera
    assert (longer.width, longer.fx / cell.camera.fx) == (640, pytest.approx(1.5))
    finer = changed['higher resolution'].camera
    assert (finer.width, finer.fx / cell.camera.fx) == (1280, pytest.approx(2))
    assert changed['depth camera'].imaging.depth and not cell.imaging.depth


def test_a_camera_is_not_moved_so_near_that_the_object_does_not_fit_into_the_image(cell):
    near = replace(cell, distances_m=(0.2, 0.3))
    assert not {'nearer camera', 'longer lens'} & {change.name for change in camera_changes(near)}


def test_a_label_is_another_picture_on_each_side_of_the_same_shape(cell):
    plain = load_object('tiny_cube').mesh
    labelled = with_label(plain)
    assert np.allclose(labelled.vertices[labelled.faces], plain.vertices[plain.faces])
    height, width = labelled.texture.shape[:2]
    u = (labelled.uv[labelled.faces].mean(axis=1)[:, 0] * 6).astype(int)
    assert set(u) == set(range(6)) and width == 6 * height
    tiles = np.split(labelled.texture, 6, axis=1)
    assert all((first != second).any() for number, first in enumerate(tiles) for second in tiles[:number])


def test_better_calibration_is_of_the_mounting_alone(cell):
    better, = (change.apply(cell).calibration for change in calibration_changes(cell))
    assert better.mount_m < cell.calibration.mount_m and better.focal_share == cell.calibration.focal_share


def test_a_lower_rate_is_one_that_the_network_keeps(cell):
    fast = replace(cell, needs=Needs(rate_hz=30))
    names = {change.name: change.apply(fast).needs for change in need_changes(fast, attainable_hz=5.0)}
    assert names['lower rate'].rate_hz <= 5.0 and not names['orientation free'].orientation
    assert 'lower rate' not in {change.name for change in need_changes(cell, attainable_hz=50.0)}


def test_a_gripper_with_the_widest_opening_is_not_exchanged_for_a_wider_one(cell):
    assert 'wider gripper' in {change.name for change in gripper_changes(cell)}
    widest = replace(cell, gripper=load_gripper('robotiq_2f_140'))
    assert 'wider gripper' not in {change.name for change in gripper_changes(widest)}


def test_two_changes_are_both_made_and_go_to_another_process(cell):
    nearer, longer, *_ = camera_changes(cell)
    change = pickle.loads(pickle.dumps(both(nearer, longer)))
    changed = change.apply(cell)
    assert changed.distances_m == pytest.approx((0.56, 0.84)) and changed.camera.fx > cell.camera.fx
    assert change.looks_again and change.name == 'nearer camera, longer lens'


@pytest.mark.parametrize(('all_views', 'before', 'after', 'expected'), [
    (0.90, 0.92, 0.96, 0.95),  # half of what is missing
    (0.65, 0.75, 1.00, 1.00),  # all of it
    (0.90, 0.97, 0.92, 0.85),  # five points lost
    (0.90, 1.00, 1.00, 0.90), (0.10, 0.90, 0.20, 0.0)])
def test_figures_change_as_those_of_few_views_do(all_views, before, after, expected):
    figures = [Figures(value, value, 0.99, value) for value in (all_views, before, after)]
    changed = figures[0].changed_by(*figures[1:])
    assert changed.success == pytest.approx(expected) and changed.share_of_views == pytest.approx(expected)
    assert changed.true_pose == 0.99


def test_intervals_move_with_their_figures_and_count_views_and_curves():
    by_curve = np.full((3, 60, 21), 0.98)
    by_curve[0, :6] = 0.6  # some views are bad
    by_curve[0, 6:, 1:] += np.linspace(-0.02, 0.02, 20)
    figures = ExpectedSuccess(by_curve, np.zeros((60, 6, 6))).figures(wanted=0.95)
    low, high = figures.interval('success')
    spread = np.sqrt(0.38**2 * 0.09 / 60 + 0.02**2 / 3)
    assert figures.success == pytest.approx(0.942) and high - low == pytest.approx(3.92 * spread, rel=0.15)
    assert figures.interval('true_pose') == pytest.approx((0.98, 0.98))
    assert figures.share_of_views == 0.9 and figures.interval('share_of_views').low < 0.83
    few = Figures(0.9, 0.98, 0.98, 0.9), Figures(0.95, 0.98, 0.98, 0.95)
    moved = figures.changed_by(*few)
    assert moved.interval('success').low == pytest.approx(1 - (1 - low) / 2)
    assert moved.interval('true_pose') == pytest.approx((0.98, 0.98))
    assert ExpectedSuccess(np.ones((3, 60, 1)),
                           np.zeros((60, 6, 6))).figures(0.95).interval('share_of_views').high == 1.0


def test_of_two_changes_of_the_needs_neither_undoes_the_other(cell):
    slower, free = need_changes(replace(cell, needs=Needs(rate_hz=30)), attainable_hz=5)
    changed = both(slower, free).apply(replace(cell, needs=Needs(rate_hz=30)))
    assert changed.needs.rate_hz < 5 and not changed.needs.orientation


def test_few_views_have_good_and_bad_ones_as_all_have():
    success = np.r_[np.full(100, 0.99), np.full(20, 0.5)]
    chosen = standing_for_all(success, 24)
    assert len(set(chosen)) == 24 and sum(success[chosen] < 0.9) == 4
    assert standing_for_all(success[:5], 24) != [] and len(standing_for_all(success[:5], 24)) == 5


@pytest.mark.parametrize(('word', 'with_changes', 'verdict'), [
    (IF, [IF, IF], NOT), (IF, [IF, FEASIBLE], FEASIBLE), (FEASIBLE, [], FEASIBLE), (NOT, [NOT], FEASIBLE)])
def test_what_no_change_mends_is_refused_for_that(cell, word, with_changes, verdict):
    """``verdict`` is that on the further reasons alone."""
    figures = Figures(success=0.8, ideal=0.99, true_pose=0.99, share_of_views=0.5)
    missed = Reason('views', False, 0.5, 0.95, '1', '', decides=False)
    planned = SimpleNamespace(word=word, reasons=[missed], cell=cell)
    found = [SimpleNamespace(word=each, figures=figures._replace(share_of_views=0.9)) for each in with_changes]
    reasons = nothing_helps(planned, found)
    assert judge(reasons) == verdict
    assert [reason.figure for reason in reasons] == [0.9] * (verdict == NOT)


def test_what_is_not_missed_for_sure_is_not_refused_for_want_of_a_change():
    unsure = Reason('grip', False, 0.94, 0.95, '1', '', decides=False, interval=Interval(0.90, 0.97))
    reasons = nothing_helps(SimpleNamespace(word=IF, reasons=[unsure]), [])
    assert judge([unsure, *reasons]) == IF


def test_changes_of_the_gripper_go_together_in_one_order(cell):
    side = Change('another grasp side (x)', 'side', lambda before: (*before, 'side'))
    softer = Change('softer fingers', 'softer', lambda before: (*before, 'softer'))
    wider = Change('wider gripper', 'wider', lambda before: (*before, 'wider'))
    nearer = Change('nearer camera', 'nearer', lambda before: (*before, 'nearer'))
    assert both(softer, wider).apply(()) == ('wider', 'softer') == both(wider, softer).apply(())
    assert both(side, softer).apply(()) == ('softer', 'side')
    assert both(nearer, side).apply(()) == ('side', 'nearer')
    assert not go_together(cell, side, replace(side, name='another grasp side (y)'))


def test_two_changes_of_the_camera_go_together_while_it_sees_the_whole_object(cell):
    nearer, longer, *_ = camera_changes(cell)
    assert go_together(cell, nearer, longer) and not go_together(cell, nearer, nearer)
    near = replace(cell, distances_m=(0.35, 0.5))
    assert not go_together(near, nearer, longer)
