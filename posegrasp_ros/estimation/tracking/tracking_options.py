# SPDX-License-Identifier: Apache-2.0
"""TrackingOptions: how objects are tracked, in the perception node and in evaluations alike."""

from __future__ import annotations

from dataclasses import dataclass

from posegrasp_ros.runtime.errors import InvalidInputError

CORRECTION_HZ, GIVE_UP_S = (0.1, 100.0), (0.0, 60.0)
"""Smallest and largest values."""


@dataclass(frozen=True)
class TrackingOptions:
    """How objects are tracked.

    :param correction_hz: how often the networks look at an object that is followed
    :param give_up_s: for how long an object that is not seen counts as lost, then as absent; and for how long one
        is followed that the networks do not see
    :raises InvalidInputError: when one is out of its range
    """

    correction_hz: float = 2.0
    give_up_s: float = 1.5

    def __post_init__(self) -> None:
        for name, (low, high) in (('correction_hz', CORRECTION_HZ), ('give_up_s', GIVE_UP_S)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidInputError(f'tracking: {name}: expected a number from {low:g} to {high:g}, got '
                                        f'{value:g}')
