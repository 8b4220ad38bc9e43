"""The free-flying parallel hand: bodies, joints and motors of a Gripper, and their control."""

from __future__ import annotations

import mujoco
import numpy as np

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.grasping.gripper import Gripper

HAND, FINGERS, TARGET = 'hand', ('finger_left', 'finger_right'), 'hand_target'
PARKED_M = (0.0, 0.0, 3.0)
PALM_KG, FINGER_KG = 0.6, 0.06
# Position servos with limited force: stiff enough that a grip of 70 N saturates 14 mm past the contact.
SERVO_N_M, SERVO_NS_M = 5000.0, 60.0
# Contacts are springs whose stiffness depends on the lighter body. With MuJoCo's default time constant, 20 ms,
# 40 N would press the fingers centimetres into a plate of 20 g; with two time steps, the minimum, it is 0.3 mm.
PAD_SOLREF, PAD_SOLIMP = (0.004, 1.0), (0.95, 0.99, 0.001, 0.5, 2.0)


def add_hand(spec: mujoco.MjSpec, gripper: Gripper, friction: float, group: int) -> None:
    """Add the hand, parked in the air; its body frame is the TCP.

    The palm is welded to a mocap body, softly enough to react to collisions, and without gravity. It is connected
    to the object only by the contacts of its fingers.
    """
    spec.worldbody.add_body(name=TARGET, mocap=True, pos=PARKED_M)
    hand = spec.worldbody.add_body(name=HAND, pos=PARKED_M, gravcomp=1)
    hand.add_freejoint(name=HAND)
    look = {'group': group, 'friction': [friction, 0.005, 0.0001], 'condim': 4, 'priority': 1,
            'solref': PAD_SOLREF, 'solimp': PAD_SOLIMP}
    for box in gripper.palm_boxes:
        hand.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=box.center, size=box.half_extents,
                      mass=PALM_KG / len(gripper.palm_boxes), rgba=[0.85, 0.85, 0.87, 1], **look)
    travel_m = (gripper.max_opening_m - gripper.min_opening_m) / 2
    for name, side, box in zip(FINGERS, (-1, 1), gripper.finger_boxes(gripper.min_opening_m)):
        finger = hand.add_body(name=name, gravcomp=1)
        finger.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[side, 0, 0],
                         range=[0, travel_m], limited=True)
        finger.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=box.center, size=box.half_extents,
                        mass=FINGER_KG, rgba=[0.3, 0.3, 0.32, 1], **look)
        motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT,
                                  forcelimited=True, forcerange=[-gripper.force_n, gripper.force_n])
        motor.set_to_position(kp=SERVO_N_M, kv=SERVO_NS_M)
    weld = spec.add_equality(type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY, name1=TARGET,
                             name2=HAND, solref=[0.01, 1.0])
    # Anchor (3), relative position (3) and quaternion (4), torque scale: the palm is at the target.
    weld.data[:11] = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    # In a real hand one motor moves both fingers, so they stay symmetric about the TCP.
    coupling = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, objtype=mujoco.mjtObj.mjOBJ_JOINT,
                                 name1=FINGERS[0], name2=FINGERS[1], solref=[0.005, 1.0])
    coupling.data[:5] = [0, 1, 0, 0, 0]
    spec.add_exclude(bodyname1=FINGERS[0], bodyname2=FINGERS[1])


class Hand:
    """Commands to the hand of a compiled model, and its pose."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, gripper: Gripper):
        self._model, self._data, self._gripper = model, data, gripper
        self._body = model.body(HAND).id
        self._mocap = model.body(TARGET).mocapid[0]
        self._free = model.jnt_qposadr[model.joint(HAND).id]
        self._fingers = [model.jnt_qposadr[model.joint(name).id] for name in FINGERS]
        self.finger_geoms = [model.geom(name).id for name in FINGERS]
        bodies = {self._body, *(model.body(name).id for name in FINGERS)}
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
        self._data.qpos[self._fingers] = self._travel_m(opening_m)
        self.open_to(opening_m)

    def aim(self, base_from_tcp: np.ndarray) -> None:
        """Set the target pose of the palm."""
        self._data.mocap_pos[self._mocap] = base_from_tcp[:3, 3]
        rotation = np.ascontiguousarray(base_from_tcp[:3, :3]).ravel()
        mujoco.mju_mat2Quat(self._data.mocap_quat[self._mocap], rotation)

    def open_to(self, opening_m: float) -> None:
        """Set the target opening of the fingers; a smaller opening than possible squeezes."""
        self._data.ctrl[:] = self._travel_m(opening_m)

    def limit_force(self, force_n: float) -> None:
        """Limit the finger force in both directions."""
        self._model.actuator_forcerange[:] = (-force_n, force_n)

    def _travel_m(self, opening_m: float) -> float:
        return (opening_m - self._gripper.min_opening_m) / 2
