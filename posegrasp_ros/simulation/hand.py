# SPDX-License-Identifier: Apache-2.0
"""The free-flying hand: bodies, joints and motors of a gripper, and their control."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import mujoco
import numpy as np

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.grasping.end_effector import EndEffector, HoldingPart

HAND, TARGET = 'hand', 'hand_target'
PARKED_M = (0.0, 0.0, 3.0)
PALM_KG, PART_KG = 0.6, 0.06
# Position servos with limited force: stiff enough that a grip of 70 N saturates 14 mm past the contact.
SERVO_N_M, SERVO_NS_M = 5000.0, 60.0
# Contacts are springs whose stiffness depends on the lighter body. With MuJoCo's default time constant, 20 ms,
# 40 N would press the fingers centimetres into a plate of 20 g; with two time steps, the minimum, it is 0.3 mm.
PAD_SOLREF, PAD_SOLIMP = (0.004, 1.0), (0.95, 0.99, 0.001, 0.5, 2.0)


def add_hand(spec: mujoco.MjSpec, gripper: EndEffector, friction: float, group: int) -> None:
    """Add the hand, parked in the air; its body frame is the TCP.

    The palm is welded to a mocap body, softly enough to react to collisions, and without gravity. It is connected
    to the object only by the contacts of the parts that hold it.
    """
    spec.worldbody.add_body(name=TARGET, mocap=True, pos=PARKED_M)
    hand = spec.worldbody.add_body(name=HAND, pos=PARKED_M, gravcomp=1)
    hand.add_freejoint(name=HAND)
    look = {'group': group, 'friction': [friction, 0.005, 0.0001], 'condim': 4, 'priority': 1,
            'solref': PAD_SOLREF, 'solimp': PAD_SOLIMP}
    for box in gripper.palm_boxes:
        hand.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=box.center, size=box.half_extents,
                      mass=PALM_KG / len(gripper.palm_boxes), rgba=[0.85, 0.85, 0.87, 1], **look)
    parts = _named(gripper.holding_parts())
    for name, part in parts.items():
        body = hand.add_body(name=name, gravcomp=1)
        body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=part.box.center, size=part.box.half_extents,
                      mass=PART_KG, rgba=[0.3, 0.3, 0.32, 1], **look)
        if part.travel_m:
            _add_motor(spec, body, part, gripper.force_n)
    weld = spec.add_equality(type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY, name1=TARGET,
                             name2=HAND, solref=[0.01, 1.0])
    # Anchor (3), relative position (3) and quaternion (4), torque scale: the palm is at the target.
    weld.data[:11] = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    # In a real hand one motor moves all fingers, so they stay symmetric about the TCP.
    moving = _moving(parts)
    for other in moving[1:]:
        coupling = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, objtype=mujoco.mjtObj.mjOBJ_JOINT,
                                     name1=moving[0], name2=other, solref=[0.005, 1.0])
        coupling.data[:5] = [0, 1, 0, 0, 0]
    for one, other in combinations(parts, 2):
        spec.add_exclude(bodyname1=one, bodyname2=other)


def _add_motor(spec: mujoco.MjSpec, body: mujoco.MjsBody, part: HoldingPart, force_n: float) -> None:
    """Let a part slide, and drive it."""
    body.add_joint(name=body.name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=part.opens_along,
                   range=[0, part.travel_m], limited=True)
    motor = spec.add_actuator(name=body.name, target=body.name, trntype=mujoco.mjtTrn.mjTRN_JOINT,
                              forcelimited=True, forcerange=[-force_n, force_n])
    motor.set_to_position(kp=SERVO_N_M, kv=SERVO_NS_M)


def _named(parts: Sequence[HoldingPart]) -> dict[str, HoldingPart]:
    """The parts by the name of their body, geom, joint and motor."""
    return {f'{HAND}_{number}': part for number, part in enumerate(parts)}


def _moving(parts: dict[str, HoldingPart]) -> list[str]:
    return [name for name, part in parts.items() if part.travel_m]


class Hand:
    """Commands to the hand of a compiled model, and its pose."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, gripper: EndEffector):
        self._model, self._data, self._gripper = model, data, gripper
        self._body = model.body(HAND).id
        self._mocap = model.body(TARGET).mocapid[0]
        self._free = model.jnt_qposadr[model.joint(HAND).id]
        parts = _named(gripper.holding_parts())
        self._sliding = [model.jnt_qposadr[model.joint(name).id] for name in _moving(parts)]
        self.holding_geoms = [model.geom(name).id for name in parts]
        bodies = {self._body, *(model.body(name).id for name in parts)}
        self.geoms = np.flatnonzero(np.isin(model.geom_bodyid, list(bodies)))
        self._velocities = np.flatnonzero(np.isin(model.dof_bodyid, list(bodies)))

    @property
    def base_from_tcp(self) -> np.ndarray:
        """(4, 4) actual pose of the hand."""
        return make_transform(self._data.xmat[self._body].reshape(3, 3), self._data.xpos[self._body])

    def place(self, base_from_tcp: np.ndarray, opening_m: float) -> None:
        """Place the hand in free space, at rest and open, without moving anything else."""
        self.aim(base_from_tcp)
        self._data.qpos[self._free:self._free + 3] = self._data.mocap_pos[self._mocap]
        self._data.qpos[self._free + 3:self._free + 7] = self._data.mocap_quat[self._mocap]
        self._data.qvel[self._velocities] = 0.0
        self._data.qpos[self._sliding] = self._gripper.travel_m(opening_m)
        self.open_to(opening_m)

    def aim(self, base_from_tcp: np.ndarray) -> None:
        """Set the target pose of the palm."""
        self._data.mocap_pos[self._mocap] = base_from_tcp[:3, 3]
        rotation = np.ascontiguousarray(base_from_tcp[:3, :3]).ravel()
        mujoco.mju_mat2Quat(self._data.mocap_quat[self._mocap], rotation)

    def open_to(self, opening_m: float) -> None:
        """Set the target opening; a smaller opening than possible squeezes."""
        self._data.ctrl[:] = self._gripper.travel_m(opening_m)

    def limit_force(self, force_n: float) -> None:
        """Limit the force of the motors in both directions."""
        self._model.actuator_forcerange[:] = (-force_n, force_n)
