"""Anomalies: what is odd about the messages of a run, counted by kind and said as long as it is news."""

from __future__ import annotations

from collections import Counter

from posegrasp_ros.metrics.stage_report import SET_BACK_NS
from posegrasp_ros.monitoring.liveness import OK, WARN, Health

# How long after it happened something is still a warning.
NEWS_S = 10.0


class Anomalies:
    """Counts what does not stop a monitor and should not go unsaid.

    :ivar counts: how often each kind was seen
    """

    def __init__(self):
        self.counts: Counter[str] = Counter()
        self._said: dict[str, tuple[float, str]] = {}
        self._lasting: dict[str, str] = {}
        self._newest_ns = -1

    def note(self, kind: str, text: str, now_s: float, times: int = 1) -> None:
        """Something odd was seen.

        :param kind: short words, the same for all of a kind
        :param text: one line for a person
        """
        self.counts[kind] += times
        self._said[kind] = now_s, text

    def last(self, kind: str, text: str) -> None:
        """Something odd is so until told otherwise; counts when it begins.

        :param text: one line for a person; empty when it is so no more
        """
        if text and kind not in self._lasting:
            self.counts[kind] += 1
        self._lasting[kind] = text
        if not text:
            del self._lasting[kind]

    def image(self, stamp_ns: int, now_s: float) -> None:
        """An image was taken; its stamp should be later than those before."""
        behind_ns = self._newest_ns - stamp_ns
        if behind_ns > SET_BACK_NS:
            self.note('time set back', f'stamps of images went back by {behind_ns / 1e9:.1f} s', now_s)
            self._newest_ns = stamp_ns
        elif behind_ns == 0:
            self.note('repeated image', 'two images have the same stamp: the first counts', now_s)
        elif behind_ns > 0:
            self.note('late image', f'an image came {behind_ns / 1e6:.0f} ms after a newer one', now_s)
        self._newest_ns = max(self._newest_ns, stamp_ns)

    def health(self, now_s: float) -> Health:
        """A warning while something odd is news; all counts in any case."""
        values = {kind: str(count) for kind, count in self.counts.items()}
        news = list(self._lasting.values())
        news += [text for since_s, text in self._said.values() if now_s - since_s < NEWS_S]
        if news:
            return Health('messages', WARN, '; '.join(news), values)
        return Health('messages', OK, 'as they should be', values)
