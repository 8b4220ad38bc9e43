# SPDX-License-Identifier: Apache-2.0
"""What-if changes: variants of a cell with one property changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.feasibility.label import with_label
from posegrasp_ros.grasping.generation.sampling import sample_grasps
from posegrasp_ros.grasping.grasp_set import Grasp, GraspSet
from posegrasp_ros.grasping.gripper import Gripper, load_gripper, shipped_grippers
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.metrics import formatting
from posegrasp_ros.simulation.pick_objects import GRASP_SEED, PickObject

NEARER, LONGER, FINER = 0.7, 1.5, 2.0
# Friction of silicone on cardboard; factor on the pad width.
SOFT_FRICTION, SOFT_WIDTH = 0.8, 1.5
# Factor on the mounting errors for a hand-eye calibration with a good target and many arm poses.
BETTER_MOUNTING = 0.25
SIDES = ('x', 'y', 'z')
IN_TURN = ('wider gripper', 'softer fingers', 'another grasp side')
# Minimum ratio of openings for a gripper to count as wider.
WIDER = 1.05


@dataclass(frozen=True)
class Change:
    """One change of a cell.

    :param name: kind of change, and in brackets which one where a cell has several of a kind
    :param text: clause to follow "if"
    :param apply: returns the changed cell; raises NoGraspError if it has no grasp
    :param looks_again: whether the images change, so that the bounds must be computed again
    """

    name: str
    text: str
    apply: Callable[[Cell], Cell]
    looks_again: bool = False

    @property
    def kind(self) -> str:
        return self.name.partition(' (')[0]


def changes_of(cell: Cell, attainable_hz: float) -> list[Change]:
    """All changes that are applicable to a cell.

    :param attainable_hz: images per second that the estimator can process
    """
    changes = [*gripper_changes(cell), *need_changes(cell, attainable_hz)]
    if cell.item is None:
        return changes
    return [*camera_changes(cell), *calibration_changes(cell), *changes, *grasp_changes(cell)]


def both(first: Change, second: Change) -> Change:
    """Both changes, in an order in which neither undoes the other: gripper, fingers, grasp side."""
    first, second = sorted((first, second), key=lambda change: (*IN_TURN, change.kind).index(change.kind))
    return Change(f'{first.name}, {second.name}', f'{first.text}, and {second.text}',
                  partial(_in_turn, first=first.apply, second=second.apply),
                  first.looks_again or second.looks_again)


def go_together(cell: Cell, first: Change, second: Change) -> bool:
    """Whether two changes can be combined: not two of one kind, and the object must still fit into the image."""
    if first.kind == second.kind:
        return False
    return not (first.looks_again and second.looks_again) or both(first, second).apply(cell).sees_whole_object()


def _in_turn(cell: Cell, first: Callable[[Cell], Cell], second: Callable[[Cell], Cell]) -> Cell:
    return second(first(cell))


def camera_changes(cell: Cell) -> Iterator[Change]:
    nearer = cell.with_distances(NEARER)
    if nearer.sees_whole_object():
        yield Change('nearer camera', f'the camera is nearer: {nearer.distance_text}',
                     partial(Cell.with_distances, factor=NEARER), looks_again=True)
    if cell.with_focal_length(LONGER).sees_whole_object():
        hfov_rad = 2 * np.arctan(cell.camera.width / 2 / (LONGER * cell.camera.fx))
        yield Change('longer lens', f'the lens is longer: {np.degrees(hfov_rad):.0f}° horizontal field of view',
                     partial(Cell.with_focal_length, factor=LONGER), looks_again=True)
    finer = cell.with_resolution(FINER).camera
    yield Change('higher resolution', f'the camera has {finer.width}x{finer.height} pixels',
                 partial(Cell.with_resolution, factor=FINER), looks_again=True)
    if not cell.imaging.depth:
        yield Change('depth camera', 'a depth camera is added',
                     partial(replace, imaging=replace(cell.imaging, depth=True)), looks_again=True)
    yield Change('label with texture', 'the object gets a printed label all around', _labelled, looks_again=True)


def calibration_changes(cell: Cell) -> Iterator[Change]:
    better = replace(cell.calibration, mount_m=BETTER_MOUNTING * cell.calibration.mount_m,
                     mount_rad=BETTER_MOUNTING * cell.calibration.mount_rad)
    if better != cell.calibration:
        yield Change('better mounting calibration',
                     f'the camera mounting is calibrated to {formatting.quantity(better.mount_m, "m")} and '
                     f'{formatting.quantity(better.mount_rad, "rad")}', partial(replace, calibration=better))


def need_changes(cell: Cell, attainable_hz: float) -> Iterator[Change]:
    if attainable_hz < cell.needs.rate_hz:
        slower = float(f'{0.95 * attainable_hz:.2g}')
        yield Change('lower rate', f'{slower:g} Hz is sufficient, or an image is processed in '
                     f'{formatting.quantity(1e3 / cell.needs.rate_hz, "ms")}',
                     partial(_with_needs, rate_hz=slower))
    if cell.needs.orientation:
        yield Change('orientation free', 'the orientation of the object does not matter',
                     partial(_with_needs, orientation=False))


def gripper_changes(cell: Cell) -> Iterator[Change]:
    known = (load_gripper(name) for name in shipped_grippers())
    widest = max(known, key=lambda gripper: gripper.max_opening_m)
    if widest.max_opening_m > WIDER * cell.gripper.max_opening_m:
        yield Change('wider gripper', f'the gripper opens wider, as {widest.name} does: '
                     f'{formatting.quantity(widest.max_opening_m, "m")}', partial(_with_gripper, gripper=widest))
    if cell.item is not None and cell.gripper.friction < SOFT_FRICTION:
        width_m = SOFT_WIDTH * cell.gripper.finger_width_m
        yield Change('softer fingers', f'the pads are softer and wider: friction {SOFT_FRICTION}, '
                     f'{formatting.quantity(width_m, "m")}', _with_softer_fingers)


def grasp_changes(cell: Cell) -> Iterator[Change]:
    """Grasps along only one closing axis each; a planner with all of them may prefer a worse one."""
    sides = np.unique([_closing_axis(grasp) for grasp in cell.planner.grasps])
    for side in sides if len(sides) > 1 else ():
        yield Change(f'another grasp side ({SIDES[side]})',
                     f"all grasps close along the object's {SIDES[side]} axis",
                     partial(_closing_along, axis=side))


def _with_needs(cell: Cell, **changes: Any) -> Cell:
    return replace(cell, needs=replace(cell.needs, **changes))


def _with_softer_fingers(cell: Cell) -> Cell:
    width_m = SOFT_WIDTH * cell.gripper.finger_width_m
    return _with_gripper(cell, replace(cell.gripper, friction=SOFT_FRICTION, finger_width_m=width_m))


def _closing_along(cell: Cell, axis: int) -> Cell:
    chosen = [grasp for grasp in cell.planner.grasps if _closing_axis(grasp) == axis]
    return _with_grasps(cell, cell.gripper, GraspSet(chosen, cell.named.name, cell.gripper.base_frame))


def _closing_axis(grasp: Grasp) -> int:
    """Index of the object axis closest to the closing direction."""
    return int(np.argmax(np.abs(grasp.object_from_tcp[:3, 0])))


def _labelled(cell: Cell) -> Cell:
    return replace(cell, named=replace(cell.named, mesh=with_label(cell.mesh)))


def _with_gripper(cell: Cell, gripper: Gripper) -> Cell:
    return _with_grasps(cell, gripper, sample_grasps(cell.mesh, gripper, np.random.default_rng(GRASP_SEED)))


def _with_grasps(cell: Cell, gripper: Gripper, grasps: GraspSet) -> Cell:
    named = cell.named
    planner = GraspPlanner(gripper, grasps, symmetry=named.symmetry, mesh=named.mesh)
    return replace(cell, gripper=gripper, item=PickObject(named.name, named.mesh, planner, named.convex_parts))
