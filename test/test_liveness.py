# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.liveness import ERROR, OK, STALE, WARN, Liveness

SECOND = 1_000_000_000
GOOD = StageReport(1, 'perception', True, '', {'latency_ms': 12.34})


@pytest.fixture
def liveness() -> Liveness:
    return Liveness(silence_s=2.0)


def level(liveness: Liveness, task: str, now_s: float) -> str:
    return next(health.level for health in liveness.health(now_s) if health.task == task)


def test_before_anything_happens_everything_is_stale(liveness):
    assert [health.level for health in liveness.health(0.0)] == [STALE] * 4


@pytest.mark.parametrize(('now_s', 'expected'), [(1.9, STALE), (2.1, ERROR), (60.0, ERROR)])
def test_a_stage_that_owes_a_report_for_too_long_is_silent(liveness, now_s, expected):
    liveness.image(1, 0.0)
    assert level(liveness, 'perception', now_s) == expected


def test_the_oldest_debt_counts_however_many_images_follow(liveness):
    for tenth in range(30):
        liveness.image(tenth, tenth / 10)
    assert level(liveness, 'perception', 3.0) == ERROR


def test_a_report_pays_the_debt(liveness):
    liveness.image(1, 0.0)
    liveness.report(GOOD, 0.1)
    assert level(liveness, 'perception', 2.0) == OK
    assert level(liveness, 'perception', 60.0) == STALE


def test_without_images_camera_and_stages_become_stale(liveness):
    liveness.image(1, 0.0)
    liveness.report(GOOD, 0.1)
    liveness.report(StageReport(1, 'planning', True), 0.2)
    assert [health.level for health in liveness.health(1.9)] == [OK, OK, OK, STALE]
    assert [health.level for health in liveness.health(2.3)] == [STALE, STALE, STALE, STALE]
    liveness.image(2, 60.0)
    assert [health.level for health in liveness.health(60.1)] == [OK, OK, STALE, STALE]


def test_a_report_that_overtakes_its_image_leaves_no_debt(liveness):
    liveness.report(GOOD, 0.0)
    liveness.report(StageReport(1, 'planning', True), 0.1)
    liveness.image(1, 0.2)
    assert [health.level for health in liveness.health(2.0)] == [OK, OK, OK, STALE]
    assert liveness.silent(60.0) == []


def test_a_plan_that_overtakes_the_report_on_its_pose_leaves_no_debt(liveness):
    liveness.report(StageReport(1, 'planning', True), 0.0)
    liveness.report(GOOD, 0.1)
    assert liveness.silent(60.0) == []


def test_a_report_on_an_older_image_gives_the_stage_its_time_anew_and_no_more(liveness):
    liveness.image(1, 0.0)
    liveness.image(2, 0.1)
    liveness.report(GOOD, 1.5)
    assert level(liveness, 'perception', 3.4) == OK
    assert level(liveness, 'perception', 3.6) == ERROR


def test_images_that_a_stage_leaves_out_are_paid_for_by_a_later_one(liveness):
    liveness.image(1, 0.0)
    liveness.image(2, 0.1)
    liveness.report(StageReport(2, 'perception', True), 0.2)
    assert level(liveness, 'perception', 60.0) == STALE


def test_silence_is_noticed_after_time_was_set_back_too(liveness):
    liveness.image(9 * SECOND, 0.0)
    liveness.report(StageReport(9 * SECOND, 'perception', True), 0.1)
    liveness.image(3 * SECOND, 1.0)
    assert level(liveness, 'perception', 3.1) == ERROR


def test_an_image_that_comes_late_owes_nothing_when_a_newer_one_was_answered(liveness):
    liveness.image(9 * SECOND, 0.0)
    liveness.report(StageReport(9 * SECOND, 'perception', True), 0.1)
    liveness.image(9 * SECOND - 1000, 0.2)
    assert 'perception' not in liveness.silent(60.0)


def test_a_pose_is_what_planning_owes_a_report_for(liveness):
    liveness.report(StageReport(1, 'perception', False, 'no_detection'), 0.0)
    assert level(liveness, 'planning', 60.0) == STALE
    liveness.report(GOOD, 60.0)
    assert level(liveness, 'planning', 63.0) == ERROR


def test_execution_owes_nothing(liveness):
    liveness.report(GOOD, 0.0)
    liveness.report(StageReport(1, 'planning', True), 0.1)
    assert level(liveness, 'execution', 60.0) == STALE


def test_a_stage_without_an_answer_warns_with_its_reason(liveness):
    liveness.report(StageReport(1, 'planning', False, 'unreachable'), 0.0)
    health = next(health for health in liveness.health(0.1) if health.task == 'planning')
    assert (health.level, health.text) == (WARN, 'unreachable')


def test_the_figures_are_told(liveness):
    liveness.image(1, 0.0)
    liveness.report(GOOD, 0.1)
    health = next(health for health in liveness.health(0.1) if health.task == 'perception')
    assert health.values == {'inputs': '1', 'reports': '1', 'answered': '1', 'latency_ms': '12.3'}
