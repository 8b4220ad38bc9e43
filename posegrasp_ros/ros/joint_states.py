# SPDX-License-Identifier: Apache-2.0
"""JointStates: where the joints of an arm stand now, from the topic joint_states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import JointState

from posegrasp_ros.ros.messages import stamp_ns

# What follows from it when they are not known.
UNUSED = 'grasps that are as good as each other are not ordered by the way of the joints'


class JointStates:
    """Keeps the newest position of each joint; several publishers may each cover some of the joints.

    :param names: of the joints that are to be known
    :param max_age_s: older positions do not count
    :param topic: fully resolved, for messages to a person
    """

    def __init__(self, names: Sequence[str], max_age_s: float, topic: str):
        self._names, self._max_age_s, self._topic = tuple(names), max_age_s, topic
        self._known: dict[str, tuple[float, int]] = {}
        self._others: set[str] = set()
        self._malformed = ''

    def add(self, message: JointState, now_ns: int) -> None:
        """Keep what a message tells; one without a stamp counts as of now.

        :param now_ns: node time
        """
        if len(message.position) != len(message.name):
            self._malformed = (f'expected a position for each name, got {len(message.position)} for '
                               f'{len(message.name)}')
            return
        self._malformed = ''
        stamp = stamp_ns(message.header.stamp) or now_ns
        for name, position in zip(message.name, message.position):
            if name in self._names:
                self._known[name] = float(position), stamp
            else:
                self._others.add(name)

    def present(self, now_ns: int) -> tuple[dict[str, float] | None, str]:
        """Radians or metres by name, or None and why they cannot be used, in a line that says the same each time.

        :param now_ns: node time
        """
        problem = self._problem(now_ns)
        if problem:
            return None, f'{self._topic}: {problem}; {UNUSED}'
        return {name: self._known[name][0] for name in self._names}, ''

    def _problem(self, now_ns: int) -> str:
        if not (self._known or self._others or self._malformed):
            return 'nothing has come'
        if self._malformed:
            return self._malformed
        missing = [name for name in self._names if name not in self._known]
        if missing:
            got = ', '.join(sorted({*self._known, *self._others}))
            return f'expected the joints of the arm, got {got} without {", ".join(missing)}'
        unusable = [name for name in self._names if not np.isfinite(self._known[name][0])]
        if unusable:
            return f'expected finite positions, got others for {", ".join(unusable)}'
        age_s = max(abs(now_ns - stamp) for _, stamp in self._known.values()) / 1e9
        if age_s > self._max_age_s:
            return (f'expected positions stamped within {self._max_age_s:g} s of now (joint_states_max_age_s), '
                    'got others; do the clocks agree, or is use_sim_time missing?')
        return ''
