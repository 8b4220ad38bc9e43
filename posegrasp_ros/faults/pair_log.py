# SPDX-License-Identifier: Apache-2.0
"""PairLog: collects the pose pairs of a run for the diagnosis, in bounded memory."""

from __future__ import annotations

import sys

import numpy as np

from posegrasp_ros.faults.pose_pairs import UNKNOWN_RADIUS_M, PosePairs
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import NO_SYMMETRY, Symmetry

MOST_PAIRS = 20_000


class PairLog:
    """Pairs of one object by one method.

    Where there would be too many, every second is dropped: later ones are then taken as sparsely.

    :param diameter_m: of the object; None where it is not known
    :ivar camera: of the latest image
    :ivar cameras: all of the recordings, by name
    """

    def __init__(self, symmetry: Symmetry = NO_SYMMETRY, diameter_m: float | None = None,
                 most: int = MOST_PAIRS):
        self._symmetry, self._most = symmetry, most
        is_known = diameter_m is not None and diameter_m > 0  # NaN is neither
        self._radius_m = diameter_m / 2 if diameter_m is not None and is_known else UNKNOWN_RADIUS_M
        self._rows: list[tuple[int, int, int, np.ndarray, np.ndarray]] = []
        self._every = 1
        self._seen = 0
        self.camera: Camera | None = None
        self.cameras: dict[str, Camera] = {}

    def add(self, stamp_ns: int, said_ns: int, block: int, estimate: np.ndarray, truth: np.ndarray) -> None:
        """Add a pair of (4, 4); one that is not finite is left out.

        :param said_ns: stamp that the estimate came with
        """
        if not (np.isfinite(estimate).all() and np.isfinite(truth).all()):
            return
        self._seen += 1
        if self._seen % self._every:
            return
        self._rows.append((stamp_ns, said_ns, block, np.asarray(estimate, dtype=float),
                           np.asarray(truth, dtype=float)))
        if len(self._rows) > self._most:
            self._rows, self._every = self._rows[::2], 2 * self._every

    def add_all(self, pairs: PosePairs) -> None:
        """Add pairs that another log gave, as if one by one."""
        place, count = 0, len(pairs.stamps_ns)
        while place < count:
            skipped = min((-self._seen - 1) % self._every, count - place)
            self._seen, place = self._seen + skipped, place + skipped
            if place < count:
                self.add(int(pairs.stamps_ns[place]), int(pairs.said_ns[place]), int(pairs.blocks[place]),
                         pairs.estimates[place].copy(), pairs.truths[place].copy())  # not a view of all
                place += 1

    def keep_all(self) -> None:
        """Drop none of the pairs that follow, however many they are."""
        self._most = sys.maxsize

    def pairs(self) -> PosePairs:
        """All pairs, in the order of their stamps."""
        rows = sorted(self._rows, key=lambda row: row[0])
        stamps, said, blocks = (np.array([row[place] for row in rows], dtype=np.int64) for place in range(3))
        estimates, truths = (np.array([row[place] for row in rows]).reshape(-1, 4, 4) for place in (3, 4))
        return PosePairs(stamps, estimates, truths, blocks, said, self._symmetry, self._radius_m, self.camera,
                         self.cameras)
