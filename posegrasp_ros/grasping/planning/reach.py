# SPDX-License-Identifier: Apache-2.0
"""Reach: interface for the reachability of grasps by an arm, and a sphere as the simplest model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from posegrasp_ros.grasping.planning.joint_path import JointPath
from posegrasp_ros.grasping.planning.planning_scene import Scene


class Reached(NamedTuple):
    """Answer of an arm for a ranked list of approaches.

    :param reached: (N,) those that it reaches
    :param ruled_out: (N,) those that it does not; the others were not looked at, because enough were found
    :param numbers: named figures for the stage report
    :param remark: why none is reached, one line; empty where one is, or where nothing is known beyond that
    :param reasons: of those ruled out, by their index, where it is another than ``unreachable``
    :param paths: joints along those reached, by their index, where the arm's joints are known
    """

    reached: np.ndarray
    ruled_out: np.ndarray
    numbers: dict[str, float]
    remark: str = ''
    reasons: Mapping[int, str] = MappingProxyType({})
    paths: Mapping[int, JointPath] = MappingProxyType({})


class Reach(Protocol):
    """Reachability check of an arm.

    :ivar joint_names: of the joints that :meth:`search` asks for; none where it needs none
    :ivar left_out: lines about what is not checked, and why
    """

    @property
    def joint_names(self) -> Sequence[str]: ...

    @property
    def left_out(self) -> Sequence[str]: ...

    def search(self, approaches: np.ndarray, enough: int, scene: Scene,
               present: Mapping[str, float] | None = None) -> Reached:
        """Which approaches the arm reaches; it may stop when it has found enough.

        :param approaches: (N, 3, 4, 4) base_from_tcp at pre-grasp, grasp and lift, best first
        :param scene: in the base frame
        :param present: where the joints stand, by name, radians or metres; None where that is not known
        """


@dataclass(frozen=True, eq=False)
class ReachSphere:
    """An arm modelled by its length only: a pose is reachable in a spherical shell around the shoulder.

    :param shoulder: (3,) base frame, metres
    """

    max_m: float
    min_m: float = 0.0
    shoulder: np.ndarray = field(default_factory=lambda: np.zeros(3))
    joint_names: ClassVar[Sequence[str]] = ()
    left_out: ClassVar[Sequence[str]] = ()

    def search(self, approaches: np.ndarray, enough: int, scene: Scene,
               present: Mapping[str, float] | None = None) -> Reached:
        """See :class:`Reach`; all are looked at."""
        reached = self.reachable(approaches)
        return Reached(reached, ~reached, {})

    def reachable(self, approaches: np.ndarray) -> np.ndarray:
        """(N,) whether the arm reaches all poses of each approach (N, 3, 4, 4)."""
        distances = np.linalg.norm(approaches[..., :3, 3] - self.shoulder, axis=-1)
        return ((distances >= self.min_m) & (distances <= self.max_m)).all(axis=1)
