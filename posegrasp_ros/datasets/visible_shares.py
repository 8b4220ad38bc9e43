# SPDX-License-Identifier: Apache-2.0
"""How much of each object is visible in the images of a recording, as stated by a simulator or an annotation.

Below the topic of an object's ground truth lies ``visible_share``, such as ``/ground_truth/visible_share`` or
``/NAME/ground_truth/visible_share``: a ``diagnostic_msgs/DiagnosticArray`` for each image, like the stages'
reports, because no message of common_interfaces is a number with a stamp. Its stamp is the image's; its one status
has the value ``visible_share``, as text: the object's visible pixels by those it would have alone in an image
without borders, as ``visib_fract`` of the BOP benchmark. Images in which the object is hidden have one too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from posegrasp_ros.datasets.topic_names import topic_name
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

SHARES = 'diagnostic_msgs/msg/DiagnosticArray'
STATUS_NAME, VISIBLE_SHARE = 'posegrasp: ground truth', 'visible_share'


def share_topic(truth_topic: str) -> str:
    """The topic that belongs to one of ground truth."""
    return f'{truth_topic}/{VISIBLE_SHARE}'


def share_topics(found: dict[str, str], truth_topics: Mapping[str, str | None],
                 warn: Callable[[str], None]) -> dict[str, str]:
    """The object that each such topic is about.

    :param found: {topic: message type} of the recording
    :param truth_topics: by object that of its ground truth, whose own one it is; None where the ground truth comes
        from elsewhere or there is none: then the only one with the object's name in it, '' is the only object
    :param warn: is told where there is none of an object, but such topics below no ground truth of the recording
    """
    topics = [topic for topic, kind in found.items() if kind == SHARES and topic.endswith(f'/{VISIBLE_SHARE}')]
    chosen: dict[str, str] = {}
    missed: list[str] = []
    for name, truth_topic in truth_topics.items():
        own = [topic for topic in topics if not name or topic_name(name) in topic.split('/')]
        if truth_topic:
            own = [topic for topic in topics if topic == share_topic(truth_topic)]
        if len(own) == 1:
            chosen[own[0]] = name
        else:
            missed.append(share_topic(truth_topic) if truth_topic else f'one topic{f" of {name}" if name else ""}')
    unused = [topic for topic in topics
              if topic not in chosen and topic.removesuffix(f'/{VISIBLE_SHARE}') not in found]
    if missed and unused:
        warn(f'how much is visible: expected {", ".join(missed)}, found {", ".join(unused)}, which is not used')
    return chosen


def visible_share_of(content: Any) -> float:
    """The share that a message states.

    :raises InvalidInputError: when it states none between 0 and 1
    """
    texts = [item.value for status in content.status for item in status.values if item.key == VISIBLE_SHARE]
    try:
        share, = map(float, texts)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InvalidInputError(f'{VISIBLE_SHARE}: expected one number between 0 and 1, got {quoted(texts)}')
    return share


class VisibleShares:
    """The shares of a recording, matched to images by equal stamps.

    :param topics: object of each topic
    """

    def __init__(self, topics: dict[str, str]):
        self.topics = topics
        self._shares: dict[str, dict[int, float]] = {name: {} for name in topics.values()}
        self._arrivals: dict[int, int] = {}
        self._matched: set[str] = set()

    def take(self, topic: str, stamp_ns: int, content: Any, arrived_ns: int) -> None:
        """Store a message of one of :attr:`topics`.

        :raises InvalidInputError: when it states no share
        """
        self._shares[self.topics[topic]][stamp_ns] = visible_share_of(content)
        self._arrivals[stamp_ns] = arrived_ns

    def may_come(self, stamp_ns: int) -> bool:
        """Whether the share of an image may still arrive: that of no later one has."""
        return any(max(shares, default=-1) < stamp_ns for shares in self._shares.values())

    def of(self, stamp_ns: int) -> dict[str, float]:
        """By object the share in an image."""
        found = {name: shares[stamp_ns] for name, shares in self._shares.items() if stamp_ns in shares}
        self._matched.update(found)
        return found

    @property
    def unmatched(self) -> list[str]:
        """The topics of which no message has had the stamp of an image."""
        return [topic for topic, name in self.topics.items() if name not in self._matched]

    def forget(self, arrived_before_ns: int) -> None:
        """Drop what is too old for any future image."""
        while self._arrivals and next(iter(self._arrivals.values())) < arrived_before_ns:
            stamp_ns = next(iter(self._arrivals))
            del self._arrivals[stamp_ns]
            for shares in self._shares.values():
                shares.pop(stamp_ns, None)

    def forget_all(self) -> None:
        """Drop everything after the clock was set back."""
        self.forget(1 << 63)
