# SPDX-License-Identifier: Apache-2.0
"""PlanningStage: ROS-free planning stage, from an object's pose and scene to ranked grasps and a report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.planning.depth_obstacles import POINT_RADIUS_M, DepthObstacles
from posegrasp_ros.grasping.planning.plan import Plan, PlanningError
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene
from posegrasp_ros.metrics.stage_report import StageOutcome


class DepthView(NamedTuple):
    """A depth image whose points are obstacles.

    :param depth_m: (H, W) along the optical axis, NaN where unknown
    :param camera: intrinsics of exactly this image
    :param base_from_camera: (4, 4)
    """

    depth_m: np.ndarray
    camera: Camera
    base_from_camera: np.ndarray


class PlanningAnswer(NamedTuple):
    """Result of the stage for one pose.

    :param plan: without grasps if the pose cannot be used
    """

    plan: Plan
    outcome: StageOutcome


class PlanningStage:
    """Plans grasps of one model's object.

    The grasp planner node, the evaluation and the benchmarks use this class, so reasons and figures are the same.

    :param scene: static support and obstacles
    :param model: identity of the model for the report; empty for grasps without a model
    :param keep_off_depth: mesh of the object, whose own points in depth images are not obstacles; None to ignore
        depth
    """

    def __init__(self, planner: GraspPlanner, scene: Scene | None = None, model: str = '',
                 keep_off_depth: Mesh | None = None):
        self.planner, self.scene, self.model = planner, scene or Scene(), model
        self._depth_obstacles = None if keep_off_depth is None else DepthObstacles(keep_off_depth)

    def plan(self, base_from_object: np.ndarray, covariance: np.ndarray | None = None,
             others: Sequence[BoxObstacle] = (), depth: DepthView | None = None,
             present: Mapping[str, float] | None = None) -> PlanningAnswer:
        """The feasible grasps in the scene, best first, or the reason why there are none.

        :param base_from_object: (4, 4), metres; z up
        :param covariance: (6, 6) of that pose in the base frame; None if it is not known
        :param others: further objects in the same image
        :param depth: matched to the image
        :param present: where the arm's joints stand, by name; see
            :meth:`posegrasp_ros.grasping.planning.planner.GraspPlanner.plan`
        """
        start = time.perf_counter()
        try:
            scene = self._around(base_from_object, others, depth)
            plan, problem = self.planner.plan(base_from_object, covariance, scene, present), ''
            numbers = {**plan.numbers, 'obstacles': float(len(scene.boxes) + len(scene.spheres)),
                       'obstacle_points': float(len(scene.points))}
        except PlanningError as error:
            plan, problem, numbers = Plan([], 'bad_pose', {}), str(error), {}
        words = {**self.named, **plan.words, **({'problem': problem} if problem else {})}
        latency_ms = (time.perf_counter() - start) * 1e3
        return PlanningAnswer(plan, StageOutcome(plan.reason, numbers, words, problem, latency_ms))

    @property
    def named(self) -> dict[str, str]:
        """Words of the report that identify the stage, also for inputs that did not reach it."""
        return {'model': self.model} if self.model else {}

    def _around(self, base_from_object: np.ndarray, others: Sequence[BoxObstacle],
                depth: DepthView | None) -> Scene:
        scene = replace(self.scene, boxes=[*self.scene.boxes, *others]) if others else self.scene
        if depth is None or self._depth_obstacles is None:
            return scene
        points = self._depth_obstacles.points(depth.depth_m, depth.camera, depth.base_from_camera,
                                              base_from_object, scene)
        return replace(scene, points=points, point_radius_m=POINT_RADIUS_M)
