# SPDX-License-Identifier: Apache-2.0
"""Parsing of stage reports from diagnostic_msgs/DiagnosticArray, from rclpy or a recording read without ROS."""

from __future__ import annotations

from typing import Any

from posegrasp_ros.metrics.stage_report import STAGES, WORDS, StageReport
from posegrasp_ros.runtime.errors import InvalidInputError

TASK_PREFIX = 'posegrasp: '
# Keys that are neither numbers nor words: see StageReport.
SEQUENCE, PUBLISHER, OBJECT = 'sequence', 'publisher', 'object'
# Keys, with PUBLISHER, by which a node states on /diagnostics how many reports it has sent.
STAGE, REPORTS_SENT = 'stage', 'reports_sent'
# rclpy represents a byte as bytes, rosbags as an int.
OK_LEVELS = (b'\0', 0)


class ReportMessageError(InvalidInputError):
    """A message that is not a valid stage report."""


def is_report(message: Any) -> bool:
    """Whether a DiagnosticArray is a stage report; other messages share the type."""
    return len(message.status) == 1 and message.status[0].name.removeprefix(TASK_PREFIX) in STAGES


def read_report(message: Any) -> StageReport:
    """Parse a DiagnosticArray as a stage report.

    :raises ReportMessageError: when it is not one
    """
    names = [status.name for status in message.status]
    if not is_report(message):
        raise ReportMessageError(
            f'report: expected one status named {TASK_PREFIX!r} and one of {", ".join(STAGES)}, got {names}'
        )
    status, stamp = message.status[0], message.header.stamp
    stage = status.name.removeprefix(TASK_PREFIX)
    texts = {item.key: item.value for item in status.values}
    sequence, publisher = texts.pop(SEQUENCE, None), texts.pop(PUBLISHER, '')
    object_name = texts.pop(OBJECT, '')
    words = {key: texts.pop(key) for key in WORDS if key in texts}
    try:
        numbers = {key: float(text) for key, text in texts.items()}
        count = None if sequence is None else int(sequence)
    except ValueError as error:
        raise ReportMessageError(f'report: {stage}: expected numbers as values: {error}') from error
    return StageReport(stamp.sec * 1_000_000_000 + stamp.nanosec, stage, status.level in OK_LEVELS, status.message,
                       numbers, words, count, publisher, object_name)


def reports_sent(message: Any) -> list[tuple[str, str, int]]:
    """(stage, publisher, number of reports sent) that nodes state in a DiagnosticArray of ``/diagnostics``.

    A node that reports on several objects counts the reports of each: names and numbers are separated by spaces.
    """
    found = []
    for status in message.status:
        texts = {item.key: item.value for item in status.values}
        publishers, counts = texts.get(PUBLISHER, '').split(), texts.get(REPORTS_SENT, '').split()
        if texts.get(STAGE) in STAGES and len(publishers) == len(counts) and all(map(str.isdecimal, counts)):
            found += [(texts[STAGE], name, int(count)) for name, count in zip(publishers, counts)]
    return found
