# SPDX-License-Identifier: Apache-2.0
"""Simulated pick: approach, close, lift, shake, hold, and the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np

from posegrasp_ros.geometry.transforms import invert, make_transform, rotation_from_vector, vector_from_rotation
from posegrasp_ros.simulation.hand import SERVO_N_M, Hand
from posegrasp_ros.simulation.pick_film import StateTape

START_ABOVE_M = 0.15
APPROACH_M_S, DESCEND_M_S, CLOSE_M_S, LIFT_M_S = 0.5, 0.2, 0.15, 0.2
SHAKE_HZ, SHAKE_M_S2, SHAKE_CYCLES = 4.0, 8.0, 3
HOLD_S = 1.0
LIFTED_M = 0.08
TOUCH_N = 2.0
PUSHED_M = 0.003
# A path with less rotation is treated as a pure translation.
STRAIGHT_RAD = 1e-9


@dataclass(frozen=True)
class PickOutcome:
    """Outcome of a pick.

    :param result: ``lifted``: held and lifted by at least 80 mm after shaking and holding;
        ``missed``: never held; ``slipped``: held and lost; ``collided``: touched something before closing
    :param touched: the body it collided with: ``table``, ``object``, ``distractor`` or ``bystander``
    :param numbers: ``sim_s``, ``wall_ms``, ``lift_m``, ``slip_m`` (motion of the object in the TCP frame from
        closing to the end), ``approach_force_n`` (largest contact force before closing)
    :param states: (nq,) joint positions a few times a second, to draw the pick from
    """

    result: str
    touched: str = ''
    numbers: dict[str, float] = field(default_factory=dict)
    states: Sequence[np.ndarray] = field(default=(), compare=False, repr=False)

    @property
    def ok(self) -> bool:
        return self.result == 'lifted'

    @property
    def reason(self) -> str:
        """Reason word for the report; empty when the object was lifted."""
        return '' if self.ok else self.result


class Pick:
    """One attempt in a world at rest.

    :param after_step: called after each step of the simulation, to look at it
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, hand: Hand,
                 after_step: Callable[[], None] = lambda: None):
        self._model, self._data, self._hand, self._after_step = model, data, hand, after_step
        self._object = model.body('object').id
        self._is_of_object = (model.geom_bodyid == self._object) & (model.geom_contype > 0)
        self._is_of_hand = np.isin(np.arange(model.ngeom), hand.geoms)
        self._approach_force_n, self._touched = 0.0, ''
        self._tape = StateTape(data)

    def run(self, approach: Sequence[np.ndarray], opening_m: float, force_n: float) -> PickOutcome:
        """Execute the path and evaluate it; see :meth:`posegrasp_ros.simulation.world.World.pick`."""
        began_s, sim_began_s = time.perf_counter(), self._data.time
        start = self._object_position()
        result, slip_m = self._attempt(approach, opening_m, force_n, start)
        return PickOutcome(result, self._touched if result == 'collided' else '', {
            'sim_s': self._data.time - sim_began_s,
            'wall_ms': 1000 * (time.perf_counter() - began_s),
            'lift_m': float(self._object_position()[2] - start[2]),
            'slip_m': slip_m,
            'approach_force_n': self._approach_force_n,
        }, self._tape.states)

    def _attempt(
        self, approach: Sequence[np.ndarray], opening_m: float, force_n: float, start: np.ndarray
    ) -> tuple[str, float]:
        """The result and how far the object moved in the hand, metres."""
        before, grasp, lifted = approach
        if not self._reach(before, grasp, opening_m, start):
            return 'collided', 0.0
        self._close(opening_m, force_n)
        held, at_closing = self._is_held(), self._tcp_from_object()
        self._follow(_line(grasp, lifted, LIFT_M_S, self._model.opt.timestep))
        if self._object_position()[2] - start[2] >= LIFTED_M / 2:
            self._follow(_shake(lifted, self._model.opt.timestep))
            self._follow([lifted] * round(HOLD_S / self._model.opt.timestep))
        slip_m = float(np.linalg.norm(self._tcp_from_object()[:3, 3] - at_closing[:3, 3])) if held else 0.0
        if self._is_held() and self._object_position()[2] - start[2] >= LIFTED_M:
            return 'lifted', slip_m
        return ('slipped' if held else 'missed'), slip_m

    def _reach(self, before: np.ndarray, grasp: np.ndarray, opening_m: float, start: np.ndarray) -> bool:
        """Move from above to the grasp with open fingers; False as soon as something is touched."""
        above = before.copy()
        above[2, 3] += START_ABOVE_M
        self._hand.place(above, opening_m)
        mujoco.mj_forward(self._model, self._data)
        step_s = self._model.opt.timestep
        for path in (_line(above, before, APPROACH_M_S, step_s), _line(before, grasp, DESCEND_M_S, step_s)):
            for pose in path:
                self._follow([pose])
                self._feel()
                if np.linalg.norm(self._object_position() - start) > PUSHED_M:
                    self._touched = 'object'
                if self._touched:
                    return False
        return True

    def _close(self, opening_m: float, force_n: float) -> None:
        """Close until the servos reach their force limit."""
        self._hand.limit_force(force_n)
        step_s = self._model.opt.timestep
        squeeze_m = 3.0 * force_n / SERVO_N_M
        for _ in range(round((opening_m + squeeze_m) / (2 * CLOSE_M_S * step_s))):
            opening_m -= 2 * CLOSE_M_S * step_s
            self._hand.open_to(opening_m)
            self._step()

    def _follow(self, path: Sequence[np.ndarray] | Iterator[np.ndarray]) -> None:
        """Run one simulation step per pose."""
        for pose in path:
            self._hand.aim(pose)
            self._step()

    def _step(self) -> None:
        mujoco.mj_step(self._model, self._data)
        self._tape.note()
        self._after_step()

    def _feel(self) -> None:
        """Record the largest contact force on the hand, and a body touched with more than :data:`TOUCH_N`."""
        for contact in np.flatnonzero(self._is_of_hand[self._data.contact.geom].any(axis=1)).tolist():
            force_n = self._contact_force_n(contact)
            self._approach_force_n = max(self._approach_force_n, force_n)
            if force_n > TOUCH_N:
                pair = self._data.contact.geom[contact]
                other = int(pair[1] if self._is_of_hand[pair[0]] else pair[0])
                self._touched = self._model.geom(other).name.split('_')[0]

    def _is_held(self) -> bool:
        """Whether everything that is to hold it presses on the object."""
        pressing = set()
        for contact in np.flatnonzero(self._is_of_object[self._data.contact.geom].any(axis=1)).tolist():
            if self._contact_force_n(contact) > 0.1:
                pressing.update(self._data.contact.geom[contact].tolist())
        return all(geom in pressing for geom in self._hand.holding_geoms)

    def _contact_force_n(self, contact: int) -> float:
        wrench = np.zeros(6)
        mujoco.mj_contactForce(self._model, self._data, contact, wrench)
        return float(np.linalg.norm(wrench[:3]))

    def _object_position(self) -> np.ndarray:
        return self._data.xpos[self._object].copy()

    def _tcp_from_object(self) -> np.ndarray:
        rotation = self._data.xmat[self._object].reshape(3, 3)
        return invert(self._hand.base_from_tcp) @ make_transform(rotation, self._object_position())


def _line(start: np.ndarray, end: np.ndarray, speed_m_s: float, step_s: float) -> Iterator[np.ndarray]:
    """Poses (4, 4) from one to the other, one per time step, starting and ending at rest."""
    way = end[:3, 3] - start[:3, 3]
    turn = vector_from_rotation(start[:3, :3].T @ end[:3, :3])
    # A rotation counts as the path of a point 100 mm from the TCP; 1.5 is the peak speed of the smoothstep.
    length_m = max(float(np.linalg.norm(way)), 0.1 * float(np.linalg.norm(turn)))
    count = max(round(1.5 * length_m / speed_m_s / step_s), 1)
    pose, turns = start.copy(), np.linalg.norm(turn) > STRAIGHT_RAD
    for share in np.arange(1, count + 1) / count:
        smooth = share * share * (3 - 2 * share)
        if turns:
            pose[:3, :3] = start[:3, :3] @ rotation_from_vector(smooth * turn)
        pose[:3, 3] = start[:3, 3] + smooth * way
        yield pose.copy()


def _shake(centre: np.ndarray, step_s: float) -> Iterator[np.ndarray]:
    """Oscillate along x, y and z of the base in turn, with fade-in and fade-out; peak acceleration 0.8 g."""
    duration_s = SHAKE_CYCLES / SHAKE_HZ
    angular = 2 * np.pi * SHAKE_HZ
    times_s = np.arange(0.0, duration_s, step_s)
    offsets_m = (SHAKE_M_S2 / angular**2 * np.sin(angular * times_s)
                 * np.sin(np.pi * times_s / duration_s) ** 2)
    for axis in range(3):
        for offset_m in offsets_m:
            pose = centre.copy()
            pose[axis, 3] += offset_m
            yield pose
