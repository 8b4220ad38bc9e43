# SPDX-License-Identifier: Apache-2.0
"""Our inverse kinematics against pink's, on real arms: runs where these are installed.

``pip install pin-pink quadprog example-robot-data``; EXAMPLE_ROBOT_DATA names the folder ``robots``.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector
from posegrasp_ros.grasping.planning.reach_urdf import UrdfReach

pin = pytest.importorskip('pinocchio', reason='pinocchio (pip install pin) is not installed')
pink = pytest.importorskip('pink', reason='pink (pip install pin-pink) is not installed')
pytest.importorskip('quadprog', reason='quadprog is not installed')
ROBOTS = Path(os.environ.get('EXAMPLE_ROBOT_DATA')
              or Path(pin.__file__).parents[4] / 'share/example-robot-data/robots')
TCP = make_transform(None, (0, 0, 0.1034))
COUNT, STARTS = 60, 12
ARMS = {'panda': ('panda_description/urdf/panda.urdf', 'panda_hand'),
        'ur5': ('ur_description/urdf/ur5_robot.urdf', 'tool0')}


def sampled(rng):
    """An approach from above or aside, 0.2 to 1 m from the arm, (3, 4, 4)."""
    around, spin, at = rng.uniform(-np.pi, np.pi, 3)
    tilt = rotation_from_vector(rng.uniform(0, np.pi / 2) * np.array([np.cos(around), np.sin(around), 0.0]))
    away = rng.uniform(0.2, 1.0)
    grasp = make_transform(tilt @ np.diag([1.0, -1.0, -1.0]) @ rotation_from_vector([0, 0, spin]),
                           (away * np.cos(at), away * np.sin(at), rng.uniform(0, 0.5)))
    before, lifted = grasp.copy(), grasp.copy()
    before[:3, 3] -= 0.1 * grasp[:3, 2]
    lifted[2, 3] += 0.1
    return np.array([before, grasp, lifted])


class Pink:
    """Differential inverse kinematics by a quadratic program, from random postures."""

    def __init__(self, urdf, tip, rng):
        full = pin.buildModelFromUrdf(str(urdf))
        fingers = [full.getJointId(name) for name in full.names if 'finger' in name]
        self.model = pin.buildReducedModel(full, fingers, pin.neutral(full))
        self.tip, self.frame, self.rng = tip, self.model.getFrameId(tip), rng
        self.low, self.high = self.model.lowerPositionLimit, self.model.upperPositionLimit
        self.configuration = pink.Configuration(self.model, self.model.createData(), pin.neutral(self.model))
        self.limits = [pink.limits.ConfigurationLimit(self.model)]

    def reaches(self, approach, starts):
        before, grasp, lifted = approach @ np.linalg.inv(TCP)
        for _ in range(starts):
            posture = self.solve(grasp, self.rng.uniform(self.low, self.high))
            if posture is not None and all(self.solve(pose, posture) is not None for pose in (before, lifted)):
                return True
        return False

    def solve(self, root_from_tip, start):
        target, task = pin.SE3(root_from_tip), pink.tasks.FrameTask(self.tip, 1.0, 1.0, lm_damping=1e-3)
        task.set_target(target)
        posture, least, since = start, np.inf, 0
        for step in range(150):
            self.configuration.update(posture)
            error = pin.log6(target.actInv(self.configuration.data.oMf[self.frame])).vector
            if np.linalg.norm(error[:3]) < 1e-3 and np.linalg.norm(error[3:]) < 1e-2:
                return posture
            if np.linalg.norm(error) < 0.95 * least:
                least, since = np.linalg.norm(error), step
            elif step - since > 25:
                return None
            try:
                velocity = pink.solve_ik(self.configuration, [task], 0.5, solver='quadprog', damping=1e-4,
                                         limits=self.limits)
            except pink.exceptions.PinkError:
                return None
            change = np.clip(0.5 * velocity, -0.5, 0.5)
            posture = np.clip(pin.integrate(self.model, posture, change), self.low, self.high)
        return None


@pytest.mark.slow
@pytest.mark.parametrize('name', list(ARMS))
def test_what_we_say_is_reached_pink_reaches_and_the_other_way_round(name):
    """Of 1000 poses each with Panda and UR5e, see docs/concepts/grasps.md; here of few."""
    urdf, tip = ROBOTS / ARMS[name][0], ARMS[name][1]
    if not urdf.is_file():
        pytest.skip(f'{urdf} is not there: pip install example-robot-data, or set EXAMPLE_ROBOT_DATA')
    rng = np.random.default_rng(7)
    approaches = np.array([sampled(rng) for _ in range(COUNT)])
    ours = UrdfReach(urdf, tip, TCP).reachable(approaches)
    other = Pink(urdf, tip, rng)
    theirs = np.array([other.reaches(each, STARTS * (3 if reached else 1))
                       for each, reached in zip(approaches, ours)])
    both = (ours & theirs).sum()
    assert ours.sum() > COUNT / 4
    assert both >= 0.99 * ours.sum() - 0.5 and both >= 0.97 * theirs.sum() - 1
