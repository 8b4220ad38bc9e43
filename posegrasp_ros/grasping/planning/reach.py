"""Reach: whether the arm gets to where a grasp wants the gripper."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


class Reach(Protocol):
    """What the planner asks about an arm.

    ``at_once``: how many approaches to ask for in one call, best first, until enough are found; None asks for all,
    which is for answers that cost next to nothing.
    """

    at_once: int | None

    def reachable(self, approaches: np.ndarray) -> np.ndarray:
        """(N,) whether the arm gets to all poses of each approach.

        :param approaches: (N, 3, 4, 4) base_from_tcp before the grasp, at the grasp, and lifted
        """


@dataclass(frozen=True, eq=False)
class ReachSphere:
    """An arm of which only its length is known: every pose lies in the shell around its shoulder.

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
