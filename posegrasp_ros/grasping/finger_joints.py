# SPDX-License-Identifier: Apache-2.0
"""FingerJoints: the joints that move a gripper's pads, and how their position and the opening belong together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from posegrasp_ros.runtime.yaml_model import Names, YamlModel, unexpected

QUARTER_TURN_RAD = np.pi / 2
# Share of the travel by which joints that stand alike may differ.
ALIKE = 0.05


class Crank(YamlModel):
    """A link that turns about the knuckle and carries the pad, which stays parallel to itself.

    The pad's pivot runs on an arc: as the gripper closes, the pads come forward. The URDFs of Robotiq's 2F
    grippers say so with a mimic joint that turns back by what the knuckle turns.

    :param length_m: from the knuckle's axis to the pad's pivot
    :param angle_rad: of the crank to the approach direction, outward, at joint position 0
    """

    length_m: float = Field(ge=0.005, le=0.5)
    angle_rad: float = Field(ge=-QUARTER_TURN_RAD, le=QUARTER_TURN_RAD)

    def across(self, position: float) -> float:
        """The pivot's distance from the knuckle across the approach, as a share of the length."""
        return float(np.sin(self.angle_rad - position))

    def along_m(self, position: float) -> float:
        """The same along the approach, metres."""
        return self.length_m * float(np.cos(self.angle_rad - position))


class FingerJoints(YamlModel):
    """Of a gripper file: joints that all stand at the same position, or one that the others mimic.

    :param names: as in the gripper's URDF
    :param other_names: what other URDFs call these joints, and those that mimic them at the same position
    :param open_position: ``open``, with the pads the gripper's largest opening apart; metres or radians
    :param closed_position: ``closed``, with the pads its smallest opening apart
    :param crank: how the pads swing; None for joints that travel straight
    """

    names: Names
    other_names: Names = []
    open_position: float = Field(alias='open', ge=-np.pi, le=np.pi)
    closed_position: float = Field(alias='closed', ge=-np.pi, le=np.pi)
    crank: Crank | None = None

    @field_validator('names')
    @classmethod
    def _are_of_two_fingers(cls, names: list[str]) -> list[str]:
        if len(names) > 2:
            raise unexpected('one or two, of parallel jaws; name joints that mimic them as other_names')
        return names

    @field_validator('closed_position')
    @classmethod
    def _travels(cls, closed: float, info: ValidationInfo) -> float:
        opened = info.data.get('open_position', np.inf)
        if abs(opened - closed) < 1e-3:
            raise unexpected(f'another position than open, {opened:g}')
        return closed

    @field_validator('crank')
    @classmethod
    def _turns_less_than_a_quarter(cls, crank: Crank | None, info: ValidationInfo) -> Crank | None:
        """To either side, so that the opening grows with the angle and each has one position."""
        positions = [info.data.get(name, 0.0) for name in ('open_position', 'closed_position')]
        if crank is not None and max(abs(crank.angle_rad - each) for each in positions) > QUARTER_TURN_RAD:
            raise unexpected('an angle within 90 degrees of both open and closed')
        return crank

    def openness(self, position: float) -> float:
        """The share of the pads' travel that is open at a joint position: 1 open, 0 closed."""
        closed, opened = self._travel(self.closed_position), self._travel(self.open_position)
        return float((self._travel(position) - closed) / (opened - closed))

    def position(self, openness: float) -> float:
        """The joint position at which that share of the travel is open."""
        closed, opened = self._travel(self.closed_position), self._travel(self.open_position)
        value = closed + openness * (opened - closed)
        return value if self.crank is None else float(self.crank.angle_rad - np.arcsin(np.clip(value, -1.0, 1.0)))

    def position_of(self, stated: Mapping[str, float]) -> float:
        """The position at which all stand, of those that are stated; a joint may count the other way.

        :raises ValueError: with what was expected, when none is stated, or they do not stand alike
        """
        known = [stated[name] for name in (*self.names, *self.other_names) if name in stated]
        if not known:
            raise ValueError(f'positions of {" or ".join((*self.names, *self.other_names))}')
        low, high = sorted((self.open_position, self.closed_position))
        slack = ALIKE * (high - low)
        low, high = low - slack, high + slack
        turned = [-each if not low <= each <= high and low <= -each <= high else each for each in known]
        if max(turned) - min(turned) > slack:
            raise ValueError('the same position of all finger joints')
        return float(np.mean(turned))

    def advance_m(self, openness: float) -> float:
        """How far the pads stand forward, along the approach, of where they are when open."""
        if self.crank is None:
            return 0.0
        return self.crank.along_m(self.position(openness)) - self.crank.along_m(self.open_position)

    def _travel(self, position: float) -> float:
        """What grows in proportion to the opening."""
        return position if self.crank is None else self.crank.across(position)
