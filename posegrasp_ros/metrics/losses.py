"""Losses: which reports were sent and never came, by the numbers that their publishers gave them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from posegrasp_ros.metrics.stage_report import StageReport

# Publishers that are remembered; of more, the one that was heard longest ago is taken for new.
MOST_PUBLISHERS = 100


@dataclass(frozen=True)
class Loss:
    """Reports of one publisher that did not come.

    :param after_ns: stamp of its last report before them
    :param before_ns: stamp of its first report after them; None while there is none
    """

    stage: str
    count: int
    after_ns: int
    before_ns: int | None = None


@dataclass
class _Publisher:
    """:ivar owed: reports that it says it sent and that have not come, and since when it is known"""

    expected: int
    last_ns: int
    owed: tuple[int, float] | None = None


class Losses:
    """Follows the numbers of the reports of each publisher.

    What a publisher sent before its first report that came is counted as unheard: nobody can tell whether anybody
    listened then. So for every publisher that counts, received + lost + unheard = sent.

    :ivar lost: reports by stage
    :ivar unheard: reports by stage
    """

    def __init__(self) -> None:
        self._publishers: dict[tuple[str, str], _Publisher] = {}
        self.lost: Counter[str] = Counter()
        self.unheard: Counter[str] = Counter()

    def report(self, report: StageReport) -> Loss | None:
        """A report has come in.

        :return: what its publisher sent before it that has not come
        """
        if report.sequence is None:
            return None
        key = report.stage, report.publisher
        publisher = self._publishers.pop(key, None)
        if publisher is None:
            self.unheard[report.stage] += report.sequence
            publisher = _Publisher(report.sequence, report.stamp_ns)
        self._remember(key, publisher)
        missing = report.sequence - publisher.expected
        loss = self._lose(report.stage, publisher, missing, report.stamp_ns)
        publisher.expected = max(publisher.expected, report.sequence + 1)
        publisher.last_ns = report.stamp_ns
        return loss

    def sent(self, stage: str, name: str, count: int, now_s: float) -> None:
        """A publisher says how many reports it has sent so far; the last of them may be under way."""
        publisher = self._publishers.get((stage, name))
        if publisher and count > publisher.expected and publisher.owed is None:
            publisher.owed = count, now_s

    def overdue(self, now_s: float, patience_s: float) -> list[Loss]:
        """What publishers say they sent and has not come for so long, once each."""
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
        return Loss(stage, count, publisher.last_ns, before_ns)

    def _remember(self, key: tuple[str, str], publisher: _Publisher) -> None:
        """As the one that was heard last."""
        self._publishers[key] = publisher
        if len(self._publishers) > MOST_PUBLISHERS:
            del self._publishers[next(iter(self._publishers))]
