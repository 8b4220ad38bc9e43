# SPDX-License-Identifier: Apache-2.0
"""Anomalies: irregularities in the messages of a run, counted by kind and reported while recent."""

from __future__ import annotations

from collections import Counter

from posegrasp_ros.metrics.stage_report import SET_BACK_NS
from posegrasp_ros.monitoring.liveness import OK, WARN, Health

# How long an event remains a warning.
NEWS_S = 10.0


class Anomalies:
    """Counts irregularities that do not stop the monitor but must be reported.

    :ivar counts: number of occurrences by kind
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._said: dict[str, tuple[float, str]] = {}
        self._lasting: dict[str, str] = {}
        self._newest_ns = -1
        self._publishers: dict[str, set[str]] = {}

    def note(self, kind: str, text: str, now_s: float, times: int = 1) -> None:
        """Record an event.

        :param kind: short name of the kind
        :param text: one line of text
        """
        self.counts[kind] += times
        self._said[kind] = now_s, text

    def last(self, kind: str, text: str) -> None:
        """Set or clear a lasting condition; it is counted when it begins.

        :param text: one line of text; empty to clear it
        """
        if text and kind not in self._lasting:
            self.counts[kind] += 1
        self._lasting[kind] = text
        if not text:
            del self._lasting[kind]

    def image(self, stamp_ns: int, now_s: float) -> None:
        """Check the stamp of an image, which should be later than those before."""
        behind_ns = self._newest_ns - stamp_ns
        if behind_ns > SET_BACK_NS:
            self.note('time set back', f'image stamps went back by {behind_ns / 1e9:.1f} s', now_s)
            self._newest_ns = stamp_ns
        elif behind_ns == 0:
            self.note('repeated image', 'two images have the same stamp: the second is ignored', now_s)
        elif behind_ns > 0:
            self.note('late image', f'an image arrived after one that is {behind_ns / 1e6:.0f} ms newer', now_s)
        self._newest_ns = max(self._newest_ns, stamp_ns)

    def publisher(self, stage: str, name: str, now_s: float) -> None:
        """Check who reports on a stage: another process than before has taken its place.

        :param name: of the publisher, another after each start; a part after a dot is the object's
        """
        process, known = name.partition('.')[0], self._publishers.setdefault(stage, set())
        if process and process not in known:
            if known:
                text = f'{stage} was restarted: its reports come from a new process'
                self.note(f'restart of {stage}', text, now_s)
            known.add(process)

    def health(self, now_s: float) -> Health:
        """A warning while an event is recent or a condition lasts; always with all counts."""
        values = {kind: str(count) for kind, count in self.counts.items()}
        news = list(self._lasting.values())
        news += [text for since_s, text in self._said.values() if now_s - since_s < NEWS_S]
        if news:
            return Health('messages', WARN, '; '.join(news), values)
        return Health('messages', OK, 'no anomaly', values)
