# SPDX-License-Identifier: Apache-2.0
"""CallbackFailures: exceptions of a node's callbacks, counted and reported while recent."""

from __future__ import annotations

from collections import Counter

from posegrasp_ros.monitoring.anomalies import NEWS_S
from posegrasp_ros.monitoring.liveness import ERROR, OK, WARN, Health
from posegrasp_ros.runtime.errors import InvalidInputError

TASK = 'callbacks'


class CallbackFailures:
    """Counts exceptions by callback and keeps the latest."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._last: tuple[float, str, str] | None = None

    def note(self, where: str, error: Exception, now_s: float) -> None:
        """Record an exception.

        :param where: name of the callback
        :param error: :class:`InvalidInputError` for invalid input, anything else is a bug
        """
        self._counts[where] += 1
        is_input = isinstance(error, InvalidInputError)
        text = f'{where}: {error}' if is_input else f'{where}: {type(error).__name__}: {error}'
        self._last = now_s, WARN if is_input else ERROR, text

    def health(self, now_s: float) -> Health:
        """An error while a failure is recent, a warning if its cause was invalid input; with all counts."""
        values = {where: str(count) for where, count in self._counts.items()}
        if self._last and now_s - self._last[0] < NEWS_S:
            return Health(TASK, self._last[1], self._last[2], values)
        return Health(TASK, OK, 'no failure', values)
