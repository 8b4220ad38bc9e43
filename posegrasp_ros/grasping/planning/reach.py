"""Reach: interface for the reachability of grasps by an arm, and a sphere as the simplest model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class Reach(Protocol):
    """Reachability check of an arm."""

    @property
    def at_once(self) -> int | None:
        """Number of approaches per call, best first, until enough are found.

        None for all in one call, if the check is inexpensive.
        """

    def reachable(self, approaches: np.ndarray) -> np.ndarray:
        """(N,) whether the arm reaches all poses of each approach.

        :param approaches: (N, 3, 4, 4) base_from_tcp at pre-grasp, grasp and lift
        """


@dataclass(frozen=True, eq=False)
class ReachSphere:
    """An arm modelled by its length only: a pose is reachable in a spherical shell around the shoulder.

    :param shoulder: (3,) base frame, metres
    """

    max_m: float
    min_m: float = 0.0
    shoulder: np.ndarray = field(default_factory=lambda: np.zeros(3))
    at_once: int | None = None

    def reachable(self, approaches: np.ndarray) -> np.ndarray:
        """See :class:`Reach`."""
        distances = np.linalg.norm(approaches[..., :3, 3] - self.shoulder, axis=-1)
        return ((distances >= self.min_m) & (distances <= self.max_m)).all(axis=1)
