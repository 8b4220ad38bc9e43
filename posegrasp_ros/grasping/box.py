# SPDX-License-Identifier: Apache-2.0
"""Box: a solid of which grippers are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Box:
    """A box along the axes of its frame.

    :param center: (3,) metres
    :param half_extents: (3,) metres
    """

    center: np.ndarray
    half_extents: np.ndarray

    def corners(self) -> np.ndarray:
        """(8, 3) corners, metres."""
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
        return self.center + signs * self.half_extents
