# SPDX-License-Identifier: Apache-2.0
"""``posegrasp bench --planner``: the grasp planner's time among obstacles, with a pose that is uncertain."""

from __future__ import annotations

import time

import numpy as np

from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.geometry.transforms import (
    make_transform,
    random_rotation,
    rotation_from_vector,
    transform_points,
)
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.grasp_set import GraspSet, load_grasps
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle
from posegrasp_ros.grasping.planning.planning_stage import PlanningStage
from posegrasp_ros.runtime.cpu import usable_cpus

POSITION_ERROR_M, TURN_ERROR_RAD = 0.005, np.radians(3.0)
WARM_UP = 10


def bench_planner(card: ModelCard, gripper: EndEffector, grasps: int = 500, obstacles: int = 10,
                  plans: int = 200) -> dict:
    """Plan for an object in random places on a table, between boxes that stand about it.

    :param grasps: as many of the model's set, from the first again when it has fewer
    :return: {"plan_ms": {p50, p95}, "load_s", "grasps", "candidates", "obstacles", "feasible", "cpus"}
    """
    found = load_grasps(card.grasps_path, gripper, card.mesh)
    chosen = [found.grasps[index % len(found)] for index in range(grasps)]
    start = time.perf_counter()
    planner = GraspPlanner(gripper, GraspSet(chosen, found.object_frame, found.gripper_frame),
                           symmetry=card.symmetry, mesh=card.mesh)
    stage = PlanningStage(planner, model=card.identity)
    load_s = time.perf_counter() - start
    rng = np.random.default_rng(0)
    covariance = np.diag(np.repeat([POSITION_ERROR_M**2, TURN_ERROR_RAD**2], 3))
    times_ms, feasible = [], []
    for _ in range(WARM_UP + plans):
        pose, boxes = _on_the_table(rng, card), _surrounded(rng, obstacles)
        planned = stage.plan(pose, covariance, boxes)
        times_ms.append(planned.outcome.latency_ms)
        feasible.append(len(planned.plan.grasps))
    p50, p95 = np.percentile(times_ms[WARM_UP:], (50, 95))
    return {'plan_ms': {'p50': round(float(p50), 3), 'p95': round(float(p95), 3)}, 'load_s': round(load_s, 2),
            'grasps': grasps, 'candidates': grasps * planner.places, 'obstacles': obstacles,
            'feasible': float(np.mean(feasible[WARM_UP:])), 'cpus': usable_cpus()}


def _on_the_table(rng: np.random.Generator, card: ModelCard) -> np.ndarray:
    """A (4, 4) base_from_object, turned any way, its lowest point on the plane z = 0."""
    pose = make_transform(random_rotation(rng))
    pose[2, 3] = -transform_points(pose, card.mesh.vertices)[:, 2].min()
    return pose


def _surrounded(rng: np.random.Generator, count: int) -> list[BoxObstacle]:
    """Boxes 40 to 120 mm long that stand 120 to 300 mm from the object."""
    boxes = []
    for angle, away_m in zip(rng.uniform(0, 2 * np.pi, count), rng.uniform(0.12, 0.3, count)):
        half_extents = rng.uniform(0.02, 0.06, 3)
        position = (away_m * np.cos(angle), away_m * np.sin(angle), half_extents[2])
        yaw = rotation_from_vector([0.0, 0.0, rng.uniform(0, np.pi)])
        boxes.append(BoxObstacle(make_transform(yaw, position), half_extents))
    return boxes
