# SPDX-License-Identifier: Apache-2.0
"""AxisTolerance: tolerated pose error along one axis, measured in simulated picks."""

from __future__ import annotations

from dataclasses import dataclass

OBJECT_AXES = ('along x', 'along y', 'along z', 'about x', 'about y', 'about z')
GRIPPER_AXES = ('across the fingers', 'along the pads', 'along the approach',
                'about the closing direction', 'tilt between the pads', 'about the approach')
UNITS = ('m', 'm', 'm', 'rad', 'rad', 'rad')


@dataclass(frozen=True)
class AxisTolerance:
    """Success against error along or about one axis, in both directions.

    :param unit: of all errors, ``m`` or ``rad``
    :param trials: (error, lifted) of each pick
    :param curve: (error, success, low, high) with 95 % interval
    :param limit: largest standard deviation of a normal error along this axis alone with the required success
    :param limit_interval: its 95 % interval
    """

    name: str
    unit: str
    trials: tuple[tuple[float, bool], ...]
    curve: tuple[tuple[float, float, float, float], ...]
    limit: float
    limit_interval: tuple[float, float]

    def to_dict(self) -> dict:
        """Plain values."""
        return {'name': self.name, 'unit': self.unit, 'trials': [list(trial) for trial in self.trials],
                'curve': [list(point) for point in self.curve], 'limit': self.limit,
                'limit_interval': list(self.limit_interval)}
