"""A stage report off the wire: a diagnostic_msgs/DiagnosticArray of rclpy, or of a recording read without ROS."""

from __future__ import annotations

from typing import Any

from posegrasp_ros.errors import BadInput
from posegrasp_ros.metrics.stage_report import STAGES, WORDS, StageReport

TASK_PREFIX = 'posegrasp: '
# rclpy gives a byte as bytes, rosbags as a number.
OK_LEVELS = (b'\0', 0)


class ReportMessageError(BadInput):
    """A message that is no stage report."""


def is_report(message: Any) -> bool:
    """Whether a DiagnosticArray is meant to be a stage report; others share its type."""
    return len(message.status) == 1 and message.status[0].name.removeprefix(TASK_PREFIX) in STAGES


def read_report(message: Any) -> StageReport:
    """The report that a DiagnosticArray is.

    :raises ReportMessageError: when it is none
    """
    names = [status.name for status in message.status]
    if not is_report(message):
        raise ReportMessageError(
            f'report: expected one status named {TASK_PREFIX!r} and one of {", ".join(STAGES)}, got {names}'
        )
    status, stamp = message.status[0], message.header.stamp
    stage = status.name.removeprefix(TASK_PREFIX)
    try:
        numbers = {item.key: float(item.value) for item in status.values if item.key not in WORDS}
    except ValueError as error:
        raise ReportMessageError(f'report: {stage}: expected numbers as values: {error}') from error
    words = {item.key: item.value for item in status.values if item.key in WORDS}
    return StageReport(stamp.sec * 1_000_000_000 + stamp.nanosec, stage, status.level in OK_LEVELS, status.message,
                       numbers, words)
