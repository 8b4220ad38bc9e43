"""InstanceNumbers: which instance of an object is which from image to image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FRESH_NS = 500_000_000
SAME_INSTANCE = 2.0
"""An instance moves less than this from image to image, in the object's radii."""


class InstanceNumbers:
    """Gives each pose the number that the nearest instance of a moment ago had, new ones the lowest free number.

    :param radius_m: of the object
    """

    def __init__(self, radius_m: float):
        self._reach_m = SAME_INSTANCE * radius_m
        self._seen: dict[int, tuple[int, np.ndarray]] = {}

    def of(self, positions: Sequence[np.ndarray], stamp_ns: int) -> list[int]:
        """The numbers of the instances in an image.

        :param positions: (3,) each, metres, best first, in a frame in which they move little
        """
        self._seen = {number: seen for number, seen in self._seen.items()
                      if 0 <= stamp_ns - seen[0] <= FRESH_NS}
        numbers: dict[int, int] = {}
        pairs = sorted((float(np.linalg.norm(position - seen[1])), index, number)
                       for index, position in enumerate(positions) for number, seen in self._seen.items())
        for distance_m, index, number in pairs:
            if distance_m <= self._reach_m and index not in numbers and number not in numbers.values():
                numbers[index] = number
        # One that is out of sight for a moment keeps its number.
        taken = {*self._seen, *numbers.values()}
        for index in range(len(positions)):
            if index not in numbers:
                numbers[index] = next(number for number in range(len(taken) + 1) if number not in taken)
                taken.add(numbers[index])
        self._seen |= {numbers[index]: (stamp_ns, position) for index, position in enumerate(positions)}
        return [numbers[index] for index in range(len(positions))]
