# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.attempt import Attempts


def planned(*stamps: int) -> Attempts:
    attempts = Attempts()
    for stamp in stamps:
        attempts.report(StageReport(stamp, 'planning', True))
    return attempts


def test_an_outcome_belongs_to_the_plan_that_the_pick_began_with():
    attempts = planned(1, 2)
    assert attempts.begin(10.0) == 2
    attempts.report(StageReport(3, 'planning', True))
    assert attempts.end(True, 15.0) == StageReport(2, 'execution', True, '', {'latency_ms': 5000.0})


def test_without_a_begin_it_belongs_to_the_newest_plan():
    attempts = planned(1, 2)
    attempts.report(StageReport(3, 'planning', False, 'unreachable'))
    assert attempts.end(False, 15.0) == StageReport(2, 'execution', False, 'failed')


def test_there_is_no_outcome_without_a_plan_or_twice_for_the_same():
    with pytest.raises(ValueError, match='no grasp was planned yet'):
        planned().begin(0.0)
    with pytest.raises(ValueError, match='no grasp was planned yet'):
        planned().end(True, 0.0)
    attempts = planned(7)
    attempts.report(attempts.end(True, 1.0))
    with pytest.raises(ValueError, match='7 ns'):
        attempts.end(False, 2.0)


def test_an_outcome_on_the_topic_counts_too():
    attempts = planned(7)
    attempts.report(StageReport(7, 'execution', True))
    with pytest.raises(ValueError, match='was reported already'):
        attempts.end(True, 1.0)
