"""Attempts: which plan a pick tried, for a robot that only tells when it begins and how it went."""

from __future__ import annotations

from collections import deque

from posegrasp_ros.metrics.stage_report import StageReport

# What a robot that tells no reason is taken to mean.
FAILED = 'failed'
OUTCOMES_KEPT = 1000


class Attempts:
    """Turns "I begin" and "it held" into the report of the execution.

    A plan is known by the stamp of its image. While the arm moves, the planner goes on; so the plan that is tried
    is the newest one when the pick begins, and where that was not told, the newest one when it ends.
    """

    def __init__(self):
        self._planned_ns: int | None = None
        self._begun: tuple[int, float] | None = None
        self._ended: deque[int] = deque(maxlen=OUTCOMES_KEPT)

    def report(self, report: StageReport) -> None:
        """A stage has said something."""
        if report.stage == 'planning' and report.ok:
            self._planned_ns = report.stamp_ns
        elif report.stage == 'execution':
            self._ended.append(report.stamp_ns)

    def begin(self, now_s: float) -> int:
        """A pick begins, with the newest plan.

        :return: the stamp of its image
        :raises ValueError: when there is no plan
        """
        if self._planned_ns is None:
            raise ValueError('no grasp was planned yet')
        self._begun = self._planned_ns, now_s
        return self._planned_ns

    def end(self, lifted: bool, now_s: float) -> StageReport:
        """The pick is over.

        :raises ValueError: when there is no plan, or it has an outcome already
        """
        stamp_ns, begun_s = self._begun or (self._planned_ns, None)
        if stamp_ns is None:
            raise ValueError('no grasp was planned yet')
        if stamp_ns in self._ended:
            raise ValueError(f'the grasp of stamp {stamp_ns} ns, the newest, has its outcome already')
        self._begun = None
        numbers = {} if begun_s is None else {'latency_ms': 1000 * (now_s - begun_s)}
        return StageReport(stamp_ns, 'execution', lifted, '' if lifted else FAILED, numbers)
