# SPDX-License-Identifier: Apache-2.0
"""Attempts: assigns picks to plans, for a robot that only signals the start and the result of a pick."""

from __future__ import annotations

from collections import deque

from posegrasp_ros.metrics.stage_report import StageReport

# Reason of a failed pick, as the robot states none.
FAILED = 'failed'
OUTCOMES_KEPT = 1000


class Attempts:
    """Converts the start and result of picks to execution reports.

    A plan is identified by its image stamp. The planner keeps running while the arm moves, so the executed plan is
    the newest one when the pick starts or, if the start was not signalled, the newest one when it ends.
    """

    def __init__(self) -> None:
        self._planned_ns: int | None = None
        self._begun: tuple[int, float] | None = None
        self._ended: deque[int] = deque(maxlen=OUTCOMES_KEPT)

    def report(self, report: StageReport) -> None:
        """Process a stage report."""
        if report.stage == 'planning' and report.ok:
            self._planned_ns = report.stamp_ns
        elif report.stage == 'execution':
            self._ended.append(report.stamp_ns)

    def begin(self, now_s: float) -> int:
        """Start a pick with the newest plan.

        :return: image stamp of the plan
        :raises ValueError: when there is no plan
        """
        if self._planned_ns is None:
            raise ValueError('no grasp was planned yet')
        self._begun = self._planned_ns, now_s
        return self._planned_ns

    def end(self, lifted: bool, now_s: float) -> StageReport:
        """End the pick.

        :raises ValueError: when there is no plan, or its result was reported already
        """
        stamp_ns, begun_s = self._begun or (self._planned_ns, None)
        if stamp_ns is None:
            raise ValueError('no grasp was planned yet')
        if stamp_ns in self._ended:
            raise ValueError(f'the result of the newest grasp, stamp {stamp_ns} ns, was reported already')
        self._begun = None
        numbers = {} if begun_s is None else {'latency_ms': 1000 * (now_s - begun_s)}
        return StageReport(stamp_ns, 'execution', lifted, '' if lifted else FAILED, numbers)
