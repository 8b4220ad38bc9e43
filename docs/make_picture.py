# SPDX-License-Identifier: Apache-2.0
"""Make docs/pick.png, the picture at the head of the README: what the camera sees, the estimate, the pick."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.overlay import draw_overlay
from posegrasp_ros.geometry.transforms import rotate_covariance
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA, sample_scene
from posegrasp_ros.simulation.world import World

SEED = 32


def main(seed: int = SEED) -> None:
    """Estimate, plan and pick in one scene; write the three pictures side by side."""
    card = load_model_card(resource_path('models/box'))
    gripper = load_gripper()
    grasps = load_grasps(card.grasps_path, gripper, card.mesh)
    planner = GraspPlanner(gripper, grasps, symmetry=card.symmetry, mesh=card.mesh)
    scene = sample_scene(np.random.default_rng(seed), card.mesh, DEFAULT_BASE_FROM_CAMERA)
    with World(card.mesh, gripper, scene) as world:
        seen = world.frame()
        estimation = PoseEstimator(card).estimate(seen.image, seen.camera)
        best = estimation.poses[0]
        plan = planner.plan(seen.base_from_camera @ best.camera_from_object,
                            rotate_covariance(best.covariance, seen.base_from_camera[:3, :3]), Scene())
        grasp = plan.grasps[0]
        outcome = world.pick(grasp.approach, grasp.opening_m, grasp.force_n)
        lifted = world.frame(show_hand=True)
    print(f'{outcome.result}, score {best.score:.2f}')
    overlay = draw_overlay(seen.image, seen.camera, card.mesh, estimation.poses)
    picture = np.hstack([seen.image, overlay, lifted.image])
    picture = cv2.resize(picture, (1440, 360), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(Path(__file__).parent / 'pick.png'), picture)


if __name__ == '__main__':
    main()
