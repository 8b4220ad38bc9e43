"""CallbackFailures: what a node's callbacks raised, counted and said as long as it is news."""

from __future__ import annotations

from collections import Counter

from posegrasp_ros.monitoring.anomalies import NEWS_S
from posegrasp_ros.monitoring.liveness import ERROR, OK, WARN, Health
from posegrasp_ros.runtime.errors import InvalidInputError

TASK = 'callbacks'


class CallbackFailures:
    """Counts by callback; the newest one is told."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._last: tuple[float, str, str] | None = None

    def note(self, where: str, error: Exception, now_s: float) -> None:
        """A callback raised.

        :param where: its name
        :param error: input that it cannot use, or a bug
        """
        self._counts[where] += 1
        is_input = isinstance(error, InvalidInputError)
        text = f'{where}: {error}' if is_input else f'{where}: {type(error).__name__}: {error}'
        self._last = now_s, WARN if is_input else ERROR, text

    def health(self, now_s: float) -> Health:
        """An error while a failure is news, a warning where it was input that cannot be used; and all counts."""
        values = {where: str(count) for where, count in self._counts.items()}
        if self._last and now_s - self._last[0] < NEWS_S:
            return Health(TASK, self._last[1], self._last[2], values)
        return Health(TASK, OK, 'as they should be', values)
