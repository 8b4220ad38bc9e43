# SPDX-License-Identifier: Apache-2.0
"""Detection of lost reports from the publishers' sequence numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from posegrasp_ros.metrics.stage_report import StageReport

# Number of publishers tracked; beyond it the least recently heard one is dropped and would count as new.
MOST_PUBLISHERS = 100


@dataclass(frozen=True)
class Loss:
    """Lost reports of one publisher.

    :param after_ns: stamp of its last report before the gap
    :param before_ns: stamp of its first report after the gap; None while there is none
    :param object: that the publisher reports on; empty where there is only one
    """

    stage: str
    count: int
    after_ns: int
    before_ns: int | None = None
    object: str = ''


@dataclass
class _Publisher:
    """:ivar owed: number of reports it claims to have sent, and when that was received; None if none is missing"""

    expected: int
    last_ns: int
    object: str = ''
    owed: tuple[int, float] | None = None


class Losses:
    """Tracks the sequence numbers of each publisher's reports.

    Reports sent before the first one received are counted as unheard, because the subscriber may not have been
    running then. For every publisher with sequence numbers, received + lost + unheard = sent.

    :ivar lost: reports by stage
    :ivar unheard: reports by stage
    """

    def __init__(self) -> None:
        self._publishers: dict[tuple[str, str], _Publisher] = {}
        self.lost: Counter[str] = Counter()
        self.unheard: Counter[str] = Counter()

    def report(self, report: StageReport) -> Loss | None:
        """Process a received report.

        :return: the reports of its publisher that are missing before this one; None if none are
        """
        if report.sequence is None:
            return None
        key = report.stage, report.publisher
        publisher = self._publishers.pop(key, None)
        if publisher is None:
            self.unheard[report.stage] += report.sequence
            publisher = _Publisher(report.sequence, report.stamp_ns, report.object)
        self._remember(key, publisher)
        missing = report.sequence - publisher.expected
        loss = self._lose(report.stage, publisher, missing, report.stamp_ns)
        publisher.expected = max(publisher.expected, report.sequence + 1)
        publisher.last_ns = report.stamp_ns
        return loss

    def sent(self, stage: str, name: str, count: int, now_s: float) -> None:
        """Process a publisher's count of reports sent so far; the latest may still be in transit."""
        publisher = self._publishers.get((stage, name))
        if publisher and count > publisher.expected and publisher.owed is None:
            publisher.owed = count, now_s

    def overdue(self, now_s: float, patience_s: float) -> list[Loss]:
        """Reports that publishers state to have sent and that are missing for ``patience_s``, once each."""
        losses = []
        for (stage, _), publisher in self._publishers.items():
            if publisher.owed is None or now_s - publisher.owed[1] <= patience_s:
                continue
            count, publisher.owed = publisher.owed[0], None
            loss = self._lose(stage, publisher, count - publisher.expected, None)
            publisher.expected = max(publisher.expected, count)
            losses += [loss] if loss else []
        return losses

    def _lose(self, stage: str, publisher: _Publisher, count: int, before_ns: int | None) -> Loss | None:
        if count <= 0:
            return None
        self.lost[stage] += count
        return Loss(stage, count, publisher.last_ns, before_ns, publisher.object)

    def _remember(self, key: tuple[str, str], publisher: _Publisher) -> None:
        """Store as the most recently heard publisher."""
        self._publishers[key] = publisher
        if len(self._publishers) > MOST_PUBLISHERS:
            del self._publishers[next(iter(self._publishers))]
