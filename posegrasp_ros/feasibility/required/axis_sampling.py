# SPDX-License-Identifier: Apache-2.0
"""Adaptive sampling of picks with pose errors along one axis of the object or the gripper at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from posegrasp_ros.feasibility.required.axis_tolerance import GRIPPER_AXES, OBJECT_AXES, UNITS, AxisTolerance
from posegrasp_ros.feasibility.required.psychometric import AdaptiveCurve
from posegrasp_ros.feasibility.required.success_curve import GraspTrial, SuccessCurve, gauge
from posegrasp_ros.feasibility.required.success_model import grasp_number, patient, without_spin
from posegrasp_ros.feasibility.required.trials import GRIPPER, OBJECT, Disturbance
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.robustness.tolerance import tcp_from_base_delta

# Beyond this rotation a box presents its other sides, and picks may succeed again.
LARGEST = {'m': 0.1, 'rad': np.pi / 4}
# A disturbance small enough for the tolerance to be linear in it.
SMALL = 1e-3
AXES = tuple((frame, axis) for frame in (OBJECT, GRIPPER) for axis in range(6))
Attempts = Callable[[Sequence[tuple]], Iterator[GraspTrial]]


@dataclass
class AxisSampling:
    """Twelve curves, one per axis; a round is one pick along each, independent of the number of processes.

    :param curves: in the order of :data:`AXES`
    """

    curves: list[AdaptiveCurve]
    rng: np.random.Generator

    def round(self, number: int, attempts: Attempts) -> None:
        """Pick once along each axis, in scenes ``number`` and following."""
        errors = [curve.next_error() for curve in self.curves]
        signs = self.rng.choice((-1.0, 1.0), len(AXES))
        tasks = [(number + index, Disturbance(sign * error * np.eye(6)[axis], frame))
                 for index, ((frame, axis), error, sign) in enumerate(zip(AXES, errors, signs))]
        for curve, error, trial in zip(self.curves, errors, attempts(tasks)):
            curve.add(error, trial.lifted)

    def tolerances(self, wanted: float,
                   ceiling: float) -> tuple[tuple[AxisTolerance, ...], tuple[AxisTolerance, ...]]:
        """Tolerances along the object axes and the gripper axes.

        :param ceiling: success without an error
        """
        found = []
        for (frame, axis), curve in zip(AXES, self.curves):
            curve.with_ceiling(ceiling)
            name = (OBJECT_AXES if frame == OBJECT else GRIPPER_AXES)[axis]
            found.append(AxisTolerance(name, UNITS[axis], tuple(curve.trials), tuple(curve.curve()),
                                       *curve.limit(wanted)))
        return tuple(found[:6]), tuple(found[6:])


def begin_axis_sampling(planner: GraspPlanner, curve: SuccessCurve, scenes: Sequence, seed: int) -> AxisSampling:
    """Start the sampling with priors from the tolerances of the planned grasps.

    :param scenes: :class:`posegrasp_ros.feasibility.required.required_accuracy.RestingScene`, about a dozen
    """
    expected = _expected_thresholds(planner, curve, scenes)
    curves = [AdaptiveCurve(threshold, LARGEST[UNITS[axis]]) for (_, axis), threshold in zip(AXES, expected)]
    return AxisSampling(curves, np.random.default_rng(seed))


def _expected_thresholds(planner: GraspPlanner, curve: SuccessCurve, scenes: Sequence) -> np.ndarray:
    """(12,) errors along each axis that halve the success of the planned grasps, median over the scenes."""
    found = []
    for scene in scenes:
        plan = patient(planner).plan(scene.base_from_object, None, scene.around)
        if plan.grasps:
            grasp = plan.grasps[0]
            to_tcp = tcp_from_base_delta(scene.base_from_object, grasp.base_from_tcp[None])[0]
            along_object = np.kron(np.eye(2), scene.base_from_object[:3, :3])
            along_object = without_spin(planner, scene.base_from_object) @ along_object
            in_tcp = np.concatenate([(to_tcp @ along_object).T, np.eye(6)])
            grasps = np.full(12, grasp_number(planner, grasp.name))
            gauges = [gauge(planner.tolerance, grasps, sign * SMALL * in_tcp * curve.scales) for sign in (-1, 1)]
            found += [curve.midpoint * SMALL / each for each in gauges]
    return np.median(found, axis=0) if found else np.full(12, np.inf)
