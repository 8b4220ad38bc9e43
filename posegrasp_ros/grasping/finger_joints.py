"""FingerJoints: the joints that move a gripper's pads, and how their position and the opening belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegrasp_ros.runtime.yaml_fields import Fields


@dataclass(frozen=True)
class Crank:
    """A link that turns about the knuckle and carries the pad, which stays parallel to itself.

    The pad's pivot runs on an arc: as the gripper closes, the pads come forward. The URDFs of Robotiq's 2F
    grippers say so with a mimic joint that turns back by what the knuckle turns.

    :param length_m: from the knuckle's axis to the pad's pivot
    :param angle_rad: of the crank to the approach direction, outward, at joint position 0
    """

    length_m: float
    angle_rad: float

    def across(self, position: float) -> float:
        """The pivot's distance from the knuckle across the approach, as a share of the length."""
        return float(np.sin(self.angle_rad - position))

    def along_m(self, position: float) -> float:
        """The same along the approach, metres."""
        return self.length_m * float(np.cos(self.angle_rad - position))


@dataclass(frozen=True)
class FingerJoints:
    """Joints that all stand at the same position, or one that the others mimic.

    :param names: as in the gripper's URDF
    :param open_position: with the pads the gripper's largest opening apart; metres or radians
    :param closed_position: with the pads its smallest opening apart
    :param crank: how the pads swing; None for joints that travel straight
    """

    names: list[str]
    open_position: float
    closed_position: float
    crank: Crank | None = None

    def openness(self, position: float) -> float:
        """The share of the pads' travel that is open at a joint position: 1 open, 0 closed."""
        closed, opened = self._travel(self.closed_position), self._travel(self.open_position)
        return float((self._travel(position) - closed) / (opened - closed))

    def position(self, openness: float) -> float:
        """The joint position at which that share of the travel is open."""
        closed, opened = self._travel(self.closed_position), self._travel(self.open_position)
        value = closed + openness * (opened - closed)
        return value if self.crank is None else float(self.crank.angle_rad - np.arcsin(np.clip(value, -1.0, 1.0)))

    def advance_m(self, openness: float) -> float:
        """How far the pads stand forward, along the approach, of where they are when open."""
        if self.crank is None:
            return 0.0
        return self.crank.along_m(self.position(openness)) - self.crank.along_m(self.open_position)

    def _travel(self, position: float) -> float:
        """What grows in proportion to the opening."""
        return position if self.crank is None else self.crank.across(position)


def read_finger_joints(fields: Fields) -> FingerJoints:
    """The ``finger_joints`` of a gripper file; an error of its class when a figure is missing or impossible."""
    crank = None
    if 'crank' in fields.values:
        inner = fields.inner('crank')
        crank = Crank(inner.number('length_m', 0.005, 0.5), inner.number('angle_rad', -np.pi / 2, np.pi / 2))
    opened, closed = fields.number('open', -np.pi, np.pi), fields.number('closed', -np.pi, np.pi)
    if abs(opened - closed) < 1e-3:
        raise fields.error('closed', f'another position than open, {opened:g}')
    # within a quarter turn to either side, the opening grows with the angle and each has one position
    if crank is not None and max(abs(crank.angle_rad - opened), abs(crank.angle_rad - closed)) > np.pi / 2:
        raise fields.error('crank', 'an angle within 90 degrees of both open and closed')
    return FingerJoints(fields.names('names'), opened, closed, crank)
