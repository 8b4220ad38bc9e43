"""Metrics of tracking: states, flips to another pose, and recovery after the object was hidden.

All are of runs with tracking: without it, frames have no state.
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
    return {state: int((table.states == state).sum()) for state in STATES}


def pose_flips(table: FrameTable) -> Observations:
    """Of the poses that come right after another one, the share that are far off the truth where that one was not.

    Far off: by more than 30 degrees, up to symmetry, or by more than a quarter of the diameter.
    """
    is_off = ((table.rotation_error_rad > FLIP_RAD)
              | (table.position_error_m > FLIP_DIAMETERS * table.diameter_m))
    counted = table.has_found & np.append(False, table.has_found[:-1]) & _follows(table)
    return rate(is_off & ~np.append(False, is_off[:-1]), counted, table.blocks)


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
    follows, tracked = _follows(table), table.states != ''
    if not (tracked & table.is_hidden).any():
        return found
    was_visible = hidden = False
    since: int | None = None
    for index in range(len(table)):
        if not follows[index]:
            was_visible, hidden, since = False, False, None
        if table.is_hidden[index]:
            hidden, since = was_visible, None
        elif table.visible_share[index] >= 0 and tracked[index]:  # false where it is not known
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


def _follows(table: FrameTable) -> np.ndarray:
    """(N,) whether a frame is the next image of the same object with tracking."""
    follows = np.zeros(len(table), dtype=bool)
    follows[1:] = ((np.diff(table.stamps_ns) <= MOST_GAP_NS) & (table.objects[1:] == table.objects[:-1])
                   & (table.states[1:] != '') & (table.states[:-1] != ''))
    return follows
