# SPDX-License-Identifier: Apache-2.0
"""Clusters of values, such as time blocks, numbered and counted, in linear time where their numbers lie close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Numbers that span more than so many times their count are sorted.
MOST_SPARSE = 16


@dataclass(frozen=True)
class Clusters:
    """The K clusters of N values.

    :param index: (N,) place of each value's cluster in the order of the clusters' names
    :param sizes: (K,) number of values in each
    """

    index: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(K,) of values (N,)."""
        return np.bincount(self.index, values, minlength=len(self.sizes))

    def joined(self, most: int) -> Clusters:
        """At most ``most`` clusters: where there are more, neighbours are joined in groups of equal size.

        The variance of a total is the same over independent clusters and over groups of them, and neighbours that
        are correlated are treated as one (batch means). Fewer clusters cost less to resample.
        """
        each = -(-len(self) // most)
        if each <= 1:
            return self
        return Clusters(self.index // each, np.add.reduceat(self.sizes, np.arange(0, len(self), each)))


def clusters_of(names: np.ndarray) -> Clusters:
    """The clusters with names (N,), as ``np.unique`` has them."""
    names = np.asarray(names)
    sizes = _sizes(names)
    if sizes is None:
        _, index, sizes = np.unique(names, return_inverse=True, return_counts=True)
        return Clusters(index, sizes)
    places = np.cumsum(sizes > 0, dtype=np.int32) - np.int32(1)
    return Clusters(places[names - names.min()], sizes[sizes > 0])


def count_of(names: np.ndarray) -> int:
    """Number of clusters with names (N,)."""
    names = np.asarray(names)
    sizes = _sizes(names)
    return len(np.unique(names)) if sizes is None else int(np.count_nonzero(sizes))


def _sizes(names: np.ndarray) -> np.ndarray | None:
    """Number of values for each whole number from the smallest name on; None where that would take long."""
    if not names.size or names.dtype.kind not in 'iu':
        return None
    first, last = int(names.min()), int(names.max())
    return np.bincount(names - first) if last - first <= MOST_SPARSE * names.size else None
