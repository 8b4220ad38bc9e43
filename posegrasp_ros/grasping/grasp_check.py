# SPDX-License-Identifier: Apache-2.0
"""CheckedGrasps: which of a file's grasps hold when closed on the object's mesh, and why others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh

from posegrasp_ros.grasping.box import Box
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.generation.collision import boxes_hit_mesh

FAILED, TOO_WIDE, INSIDE, NOTHING, SLIPS = REASONS = (
    'are marked failed', 'are wider than the opening', 'start inside', 'touch nothing', 'slip off')
# A grasp that rates lower is left out, as when grasps are sampled.
LEAST_RATING = 0.01
# How deep the gripper's boxes, which stand for its round shape, may be in the mesh.
ALLOWED_DEPTH_M = 0.002
WIDTH_ROUNDING_M = 0.001
# The widths of a file are measured anew when they differ by more from what most of its grasps close to.
WIDTH_ERROR_M = 0.003


@dataclass
class CheckedGrasps:
    """N grasps after the check.

    :param object_from_base: (N, 4, 4) of the gripper's base
    :param openings_m: (N,) before closing
    :param widths_m: (N,) when closed; NaN while it is not known
    :param object_from_tcp: (N, 4, 4) of the TCP, which some grippers move forward as they close
    :param reasons: (N,) why a grasp is left out; empty for one that holds
    """

    object_from_base: np.ndarray
    openings_m: np.ndarray
    widths_m: np.ndarray
    object_from_tcp: np.ndarray
    reasons: np.ndarray

    @property
    def holds(self) -> np.ndarray:
        """(N,) bool"""
        return self.reasons == ''

    @property
    def left_out(self) -> dict[str, int]:
        """How many are left out, by reason."""
        found = Counter(self.reasons.tolist())
        return {reason: found[reason] for reason in REASONS if found[reason]}

    def leave_out(self, which: np.ndarray, reason: str) -> None:
        """Give a reason to those (N,) that have none yet."""
        self.reasons[which & self.holds] = reason


def stated_grasps(object_from_base: np.ndarray, openings_m: np.ndarray, widths_m: np.ndarray,
                  confidences: np.ndarray, gripper: EndEffector) -> CheckedGrasps:
    """What can be said without a mesh: whether a grasp failed where it was tried, and whether it is too wide."""
    reasons = np.full(len(openings_m), '', dtype=object)
    most_m = gripper.max_opening_m + WIDTH_ROUNDING_M
    stated = CheckedGrasps(object_from_base, np.minimum(openings_m, gripper.max_opening_m), widths_m.copy(),
                           object_from_base.copy(), reasons)
    stated.leave_out(confidences <= 0.0, FAILED)
    stated.leave_out(openings_m > most_m, TOO_WIDE)
    stated.leave_out(widths_m > stated.openings_m + WIDTH_ROUNDING_M, TOO_WIDE)
    _place(stated, np.ones(len(openings_m), dtype=bool), gripper)
    return stated


def check_grasps(grasps: CheckedGrasps, gripper: EndEffector, solid: trimesh.Trimesh) -> bool:
    """Close each on the object's mesh: what collides before, touches nothing or slips off is left out.

    Widths that the file does not tell, or that are others than those of this mesh, become those found.

    :return: whether the file's widths are those of this mesh
    """
    _leave_out_those_inside(grasps, gripper, solid)
    widths_m, slips = _closed(grasps, gripper, solid)
    errors_m = np.abs(widths_m - grasps.widths_m)
    compared = np.isfinite(errors_m)
    believed = bool(compared.any() and np.median(errors_m[compared]) <= WIDTH_ERROR_M)
    measured = grasps.holds & (np.isnan(grasps.widths_m) | (not believed))
    # pads that swing forward while closing may meet the object elsewhere: the second look is where they do
    for _ in range(2):
        if not measured.any():
            break
        grasps.widths_m[measured] = widths_m[measured]
        _place(grasps, measured, gripper)
        widths_m, slips = _closed(grasps, gripper, solid)
    grasps.leave_out(np.isnan(widths_m), NOTHING)
    grasps.leave_out(slips, SLIPS)
    return believed


def told(left_out: dict[str, int]) -> str:
    """The counts in words."""
    return ', '.join(f'{count} {reason}' for reason, count in left_out.items())


def _place(grasps: CheckedGrasps, which: np.ndarray, gripper: EndEffector) -> None:
    """The TCP of those that are asked for at their width; at the opening while that is not known."""
    widths_m = np.where(np.isnan(grasps.widths_m), grasps.openings_m, grasps.widths_m)
    grasps.object_from_tcp[which] = _tcp(grasps.object_from_base[which], widths_m[which], gripper)


def _tcp(object_from_base: np.ndarray, widths_m: np.ndarray, gripper: EndEffector) -> np.ndarray:
    """(N, 4, 4) object_from_tcp"""
    base_from_tcp = [gripper.base_from_tcp(width_m) for width_m in widths_m.tolist()]
    return object_from_base @ np.array(base_from_tcp).reshape(-1, 4, 4)


def _closed(grasps: CheckedGrasps, gripper: EndEffector, solid: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    """Widths (N,), NaN where nothing is touched or not asked, and whether each slips (N,)."""
    widths_m, slips = np.full(len(grasps.reasons), np.nan), np.zeros(len(grasps.reasons), dtype=bool)
    asked = grasps.holds
    if asked.any():
        closed = gripper.close(grasps.object_from_tcp[asked], grasps.openings_m[asked], solid)
        widths_m[asked], slips[asked] = closed.widths_m, closed.slips
    return widths_m, slips


def _leave_out_those_inside(grasps: CheckedGrasps, gripper: EndEffector, solid: trimesh.Trimesh) -> None:
    """Leave out those that are in the mesh before they close: too wide where every jaw is."""
    openings_m = grasps.openings_m.round(3)  # one query for all that are equal to the millimetre
    poses = grasps.object_from_base.copy()
    poses[grasps.holds] = _tcp(poses[grasps.holds], grasps.openings_m[grasps.holds], gripper)
    for opening_m in np.unique(openings_m[grasps.holds]):
        which = np.flatnonzero(grasps.holds & (openings_m == opening_m))
        inside = which[boxes_hit_mesh(poses[which], _smaller(gripper.boxes(opening_m)), solid)]
        jaws = [Box(part.box.center + gripper.travel_m(opening_m) * part.opens_along, part.box.half_extents)
                for part in gripper.holding_parts() if part.travel_m > 0]
        if len(inside) and len(jaws) > 1:
            every = np.all([boxes_hit_mesh(poses[inside], [jaw], solid) for jaw in _smaller(jaws)], axis=0)
            grasps.reasons[inside[every]] = TOO_WIDE
        grasps.leave_out(np.isin(np.arange(len(poses)), inside), INSIDE)


def _smaller(boxes: Sequence[Box]) -> list[Box]:
    """The boxes without what may be in the mesh."""
    return [Box(box.center, np.maximum(box.half_extents - ALLOWED_DEPTH_M, 1e-4)) for box in boxes]
