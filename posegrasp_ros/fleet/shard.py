# SPDX-License-Identifier: Apache-2.0
"""Shard: which of a fleet's recordings one of several machines evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from posegrasp_ros.runtime.errors import InvalidInputError, quoted

T = TypeVar('T')


@dataclass(frozen=True)
class Shard:
    """The ``number``-th of ``count`` shares, counted from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def parsed(cls, text: str) -> Shard:
        """Of a text such as ``3/200``.

        :raises InvalidInputError: when it is none
        """
        number, separator, count = text.partition('/')
        if not (separator and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise InvalidInputError(f'expected K/N with K from 1 to N, such as 3/200, got {quoted(text)}')
        return cls(int(number), int(count))

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Its share: every item is in one shard, and their numbers differ by one at most."""
        return items[self.number - 1::self.count]
