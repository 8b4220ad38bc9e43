# SPDX-License-Identifier: Apache-2.0
"""CodedColumn: a column of few different words, as small numbers and the words that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any

import numpy as np


class CodedColumn:
    """(N,) words; a comparison with a word, or with another column, gives an (N,) mask, as those of arrays do.

    :param codes: (N,) place of each word among ``words``
    :param words: different ones
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, codes: np.ndarray, words: Sequence[Hashable]):
        self.codes = np.asarray(codes)
        self.words: tuple[Any, ...] = tuple(words)

    @classmethod
    def of(cls, words: Iterable[Hashable]) -> CodedColumn:
        """The column of these words, one a row."""
        places: dict[Hashable, int] = {}
        codes = np.fromiter((places.setdefault(word, len(places)) for word in words), dtype=np.int32)
        return cls(codes, tuple(places))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, chosen: Any) -> CodedColumn:
        return CodedColumn(rows(self.codes, chosen), self.words)

    def __eq__(self, other: object) -> Any:
        if isinstance(other, CodedColumn):
            theirs = {word: place for place, word in enumerate(other.words)}
            ours = np.array([theirs.get(word, -1) for word in self.words] or [-1])
            return ours[self.codes] == other.codes
        return self.holds(lambda word: word == other)

    def __ne__(self, other: object) -> Any:
        return ~(self == other)

    def holds(self, condition: Callable[[Any], bool]) -> np.ndarray:
        """(N,) whether a condition holds for each word."""
        return np.array([condition(word) for word in self.words] or [False], dtype=bool)[self.codes]

    def is_in(self, words: Collection[Hashable]) -> np.ndarray:
        """(N,) whether each word is among these."""
        return self.holds(lambda word: word in words)

    def counts(self, chosen: np.ndarray | None = None) -> dict[Any, int]:
        """How often each word occurs, in all rows or in those of a mask (N,)."""
        codes = self.codes if chosen is None else self.codes[chosen]
        return dict(zip(self.words, np.bincount(codes, minlength=len(self.words)).tolist()))

    def present(self) -> list[Any]:
        """The words that occur, in the order of their first rows."""
        first = {place: int(np.argmax(self.codes == place)) for place in
                 np.flatnonzero(np.bincount(self.codes, minlength=len(self.words))).tolist()}
        return [self.words[place] for place in sorted(first, key=first.__getitem__)]


def rows(column: np.ndarray, chosen: Any) -> np.ndarray:
    """Rows of a column, which is not copied where a mask chooses all.

    One that repeats a single value in memory (see :func:`compacted`) stays so.
    """
    if isinstance(chosen, np.ndarray) and chosen.dtype == bool:
        count = int(np.count_nonzero(chosen))
        if count == len(column):
            return column
        if column.strides[0] == 0:
            return np.broadcast_to(column[0], (count, *column.shape[1:]))
    return column[chosen]


def compacted(column: np.ndarray) -> np.ndarray:
    """The same column; one that repeats a single value takes the memory of one row."""
    if len(column) < 2 or column.strides[0] == 0:
        return column
    first = column[0]
    for start in range(0, len(column), 1 << 16):
        part = column[start:start + (1 << 16)]
        if not np.array_equal(part, np.broadcast_to(first, part.shape), equal_nan=part.dtype.kind == 'f'):
            return column
    return np.broadcast_to(first.copy(), column.shape)
