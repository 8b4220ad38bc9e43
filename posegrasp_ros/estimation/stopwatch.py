# SPDX-License-Identifier: Apache-2.0
"""Stopwatch: durations of the steps of an estimate."""

from __future__ import annotations

import time

from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate


class Stopwatch:
    """Times an estimator's steps into an :class:`Estimation`'s numbers."""

    def __init__(self) -> None:
        self._start = self._lap = time.perf_counter()
        self._numbers: dict[str, float] = {}

    def lap(self, name: str, **counts: float) -> None:
        """Record the milliseconds since the last lap under ``name``, and counts unchanged."""
        now = time.perf_counter()
        self._numbers |= {name: (now - self._lap) * 1000, **{key: float(n) for key, n in counts.items()}}
        self._lap = now

    def note(self, **figures: float) -> None:
        """Record figures other than times."""
        self._numbers |= {name: float(value) for name, value in figures.items()}

    def answer(self, reason: str = '', poses: list[PoseEstimate] | None = None) -> Estimation:
        """The estimation with all recorded figures and the total ``estimate_ms``."""
        total_ms = (time.perf_counter() - self._start) * 1000
        return Estimation(poses or [], reason, self._numbers | {'estimate_ms': total_ms})
