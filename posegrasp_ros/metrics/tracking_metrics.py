# SPDX-License-Identifier: Apache-2.0
"""Metrics of tracking: states, flips to another pose, and recovery after the object was hidden.

All are of runs with tracking: without it, frames have no state. Images without a state, such as those that
perception had no time for, are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.observations import MEDIAN, RATE, Observations, rate
from posegrasp_ros.metrics.track_states import STATES

MOST_GAP_NS = 500_000_000
"""Images further apart are not of one motion."""
FLIP_RAD, FLIP_DIAMETERS = math.radians(30), 0.25
"""A pose so far off is that of a look-alike, or in another place."""


def in_state(state: str) -> Callable[[FrameTable], Observations]:
    """Metric: share of the frames with a state that have this one."""
    return lambda table: rate(table.states == state, table.states != '', table.blocks)


def state_counts(table: FrameTable) -> dict[str, int] | None:
    """Number of frames in each state; None without tracking."""
    if not (table.states != '').any():
        return None
    return {state: table.states.counts().get(state, 0) for state in STATES}


def pose_flips(table: FrameTable) -> Observations:
    """Of the poses that come right after another one, the share that are far off the truth where that one was not.

    Far off: by more than 30 degrees, up to symmetry, or by more than a quarter of the diameter.
    """
    is_off = ((table.rotation_error_rad > FLIP_RAD)
              | (table.position_error_m > FLIP_DIAMETERS * table.diameter_m))
    before, after = _steps(table)
    counted = table.has_found[before] & table.has_found[after]
    before, after = before[counted], after[counted]
    return Observations((is_off[after] & ~is_off[before]).astype(float), table.blocks[after], RATE)


class Recovery(NamedTuple):
    """A hidden object that is visible again.

    :param after_ms: from the first frame that asks for a pose to the first accurate one; infinite where there is
        none before it is hidden again or the sequence ends
    :param block: of that first frame
    """

    after_ms: float
    block: int


def recoveries(table: FrameTable) -> list[Recovery]:
    """What became of each occlusion of an object that was visible before, as far as the ground truth tells."""
    found: list[Recovery] = []
    tracked = np.flatnonzero(table.states != '')
    if not table.is_hidden[tracked].any():
        return found
    continued = set(_steps(table)[1].tolist())
    was_visible = hidden = False
    since: int | None = None
    for index in tracked.tolist():
        if index not in continued:
            was_visible, hidden, since = False, False, None
        if table.is_hidden[index]:
            hidden, since = was_visible, None
        elif table.visible_share[index] >= 0:  # false where it is not known
            was_visible = True
            if hidden:
                hidden, since = False, index
                found.append(Recovery(math.inf, int(table.blocks[index])))
        if since is not None and table.is_accurate[index]:
            after_ms = (int(table.stamps_ns[index]) - int(table.stamps_ns[since])) / 1e6
            found[-1], since = found[-1]._replace(after_ms=after_ms), None
    return found


def recovered(table: FrameTable) -> Observations:
    """Whether each hidden object was found again."""
    found = recoveries(table)
    is_found = np.array([math.isfinite(each.after_ms) for each in found], dtype=float)
    return Observations(is_found, _blocks(found), RATE)


def recovery_times(table: FrameTable) -> Observations:
    """How long that took, milliseconds, of those that were."""
    found = [each for each in recoveries(table) if math.isfinite(each.after_ms)]
    return Observations(np.array([each.after_ms for each in found]), _blocks(found), MEDIAN)


def _blocks(found: list[Recovery]) -> np.ndarray:
    return np.array([each.block for each in found], dtype=np.int64)


def _steps(table: FrameTable) -> tuple[np.ndarray, np.ndarray]:
    """(M,) indices of images with a state, and of the next one of the same object and motion."""
    tracked = np.flatnonzero(table.states != '')
    before, after = tracked[:-1], tracked[1:]
    follows = ((table.stamps_ns[after] - table.stamps_ns[before] <= MOST_GAP_NS)
               & (table.objects[after] == table.objects[before]))
    return before[follows], after[follows]
