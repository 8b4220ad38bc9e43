# SPDX-License-Identifier: Apache-2.0
"""How a node accounts for its inputs: one stage report each, whatever happens."""

from __future__ import annotations

import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.lifecycle import LifecyclePublisher, LifecycleState
from std_msgs.msg import Float64

from posegrasp_ros.datasets.topic_names import below, topic_name
from posegrasp_ros.metrics.report_message import PUBLISHER, REPORTS_SENT, STAGE
from posegrasp_ros.metrics.stage_report import StageOutcome, StageReport
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.ros.messages import to_report
from posegrasp_ros.ros.qos import COUNTED, RESULT
from posegrasp_ros.runtime.errors import InvalidInputError, escaped_lines

ACTIVE = LifecycleState('active', 3)
# A camera at 30 Hz must not fill the log with one complaint.
LOG_EVERY_S = 5.0


class Refusal(InvalidInputError):
    """An input that the node cannot work on.

    :param reason: the report's short word
    :param text: one line for the log
    """

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


@dataclass
class ReportDraft:
    """What becomes the report: a reason when there is no answer, named numbers, and words.

    :param waited_ms: how long the input lay in the queue
    """

    waited_ms: float = 0.0
    reason: str = ''
    numbers: dict[str, float] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    started_s: float = field(default_factory=time.perf_counter)

    def take(self, outcome: StageOutcome) -> None:
        """Report what the stage says.

        :raises Refusal: when its input was unusable, so that the log tells why
        """
        self.reason = outcome.reason
        self.numbers.update(outcome.numbers)
        self.words.update(outcome.words)
        if outcome.problem:
            raise Refusal(outcome.reason, outcome.problem)

    def is_out(self) -> None:
        """Note ``latency_ms``: the answer is published, what follows is not what others wait for."""
        self.numbers['latency_ms'] = self.waited_ms + 1000 * (time.perf_counter() - self.started_s)


class StageReporter:
    """Publishes ``~/report`` for one stage, each with a sequence number, so that a subscriber notices lost ones.

    :param node: whose publisher and log are used
    :param objects: names of the objects that are reported on, each with numbers of its own; one without a name
        where there is only one
    """

    def __init__(self, node: AutostartLifecycleNode, stage: str, objects: Sequence[str] = ('',)):
        self._node = node
        self._stage = stage
        self._publisher = node.publisher(DiagnosticArray, '~/report', COUNTED)
        name = uuid.uuid4().hex[:12]
        self._names = {each: f'{name}.{index}' if each else name for index, each in enumerate(objects)}
        self._sent = dict.fromkeys(objects, 0)
        self._values: dict[str, LifecyclePublisher] = {}
        node.tell(lambda: {STAGE: stage, PUBLISHER: ' '.join(self._names.values()),
                           REPORTS_SENT: ' '.join(map(str, self._sent.values()))})

    def report(self, stamp_ns: int, reason: str, numbers: dict[str, float],
               words: dict[str, str] | None = None, object_name: str = '') -> None:
        """Publish one report; ok when there is no reason."""
        message = to_report(StageReport(stamp_ns, self._stage, not reason, reason, numbers, words or {},
                                        self._sent[object_name], self._names[object_name], object_name))
        if self._publisher.is_activated:
            self._sent[object_name] += 1
        self._publisher.publish(message)
        self._plot(numbers, object_name)

    def _plot(self, numbers: dict[str, float], object_name: str) -> None:
        """Each number on a topic of its own, for rqt_plot, PlotJuggler and the like."""
        if not self._publisher.is_activated:
            return
        for name, value in numbers.items():
            topic = below(object_name, f'~/report/values/{topic_name(name)}')
            if topic not in self._values:
                self._values[topic] = self._node.publisher(Float64, topic, RESULT)
                self._values[topic].on_activate(ACTIVE)
            if self._values[topic].get_subscription_count():
                self._values[topic].publish(Float64(data=float(value)))

    @property
    def listeners(self) -> int:
        """How many subscribe to the reports."""
        return self._publisher.get_subscription_count()

    def wait_until_received(self, limit: Duration) -> None:
        """Return when every subscriber has every report, or the limit is over."""
        self._publisher.wait_for_all_acked(limit)

    @contextmanager
    def answering(self, stamp_ns: int, waited_ms: float = 0.0, object_name: str = '') -> Iterator[ReportDraft]:
        """Work on one input within this, and it is reported: refused, failed by a bug, or answered.

        :param waited_ms: how long the input lay in the queue; counts into ``latency_ms``
        :param object_name: of the object in question, one of the reporter's
        """
        answer = ReportDraft(waited_ms)
        logger = self._node.get_logger()
        try:
            yield answer
        except Refusal as refusal:
            answer.reason = refusal.reason
            logger.warning(f'{refusal.reason}: {refusal}', throttle_duration_sec=LOG_EVERY_S)
        except Exception as error:
            answer.reason = 'internal_error'
            self._node.note_failure('answer', error)
            what = str(error) if isinstance(error, InvalidInputError) else escaped_lines(
                f'{type(error).__name__}: {error}\n{traceback.format_exc()}')
            logger.error(what, throttle_duration_sec=LOG_EVERY_S)
        if 'latency_ms' not in answer.numbers:
            answer.is_out()
        try:
            self.report(stamp_ns, answer.reason, answer.numbers, answer.words, object_name)
        except Exception:
            # What the answer tells is no report: the input gets one all the same, and the error goes on.
            self.report(stamp_ns, 'internal_error', {'latency_ms': answer.numbers['latency_ms']},
                        object_name=object_name)
            raise
