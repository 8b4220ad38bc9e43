# SPDX-License-Identifier: Apache-2.0
"""Make docs/pick.webp, the moving picture at the head of the README: the image, the estimate in it, the pick."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.overlay import draw_line, draw_overlay
from posegrasp_ros.geometry.transforms import invert, look_at, rotate_covariance, transform_points
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import Scene
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.mujoco_model import TIMESTEP_S
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.world import World

SEED = 32
BASE_FROM_CAMERA = look_at((0.32, -0.18, 0.36), (0.0, 0.02, 0.08))
RATE_HZ, SECONDS_STILL, WIDTH_PX, QUALITY = 12.5, (1.2, 1.6, 1.2, 1.2), 640, 75
GRASP_COLOUR = (200, 90, 230)


class Film:
    """Images at a fixed rate of the simulation's time."""

    def __init__(self, world: World):
        self._world, self._steps, self.images = world, 0, []

    def after_step(self) -> None:
        """Take an image if it is time for one."""
        if self._steps % round(1 / RATE_HZ / TIMESTEP_S) == 0:
            self.images.append(self._world.frame(show_hand=True).image)
        self._steps += 1


def film(seed: int) -> Iterator[np.ndarray]:
    """(H, W, 3) images, blue green red: what the camera sees, with pose and best grasp drawn in, the pick.

    :raises ValueError: when nothing was found, or the pick failed
    """
    card, gripper = load_model_card(resource_path('models/box')), load_gripper()
    planner = GraspPlanner(gripper, load_grasps(card.grasps_path, gripper, card.mesh), symmetry=card.symmetry,
                           mesh=card.mesh)
    scene = sample_scene(np.random.default_rng(seed), card.mesh, BASE_FROM_CAMERA)
    with World(card.mesh, gripper, scene) as world:
        seen = world.frame()
        poses = PoseEstimator(card).estimate(seen.image, seen.camera).poses
        if not poses:
            raise ValueError(f'seed {seed}: no pose was found: take another one')
        plan = planner.plan(seen.base_from_camera @ poses[0].camera_from_object,
                            rotate_covariance(poses[0].covariance, seen.base_from_camera[:3, :3]), Scene())
        if not plan.grasps:
            raise ValueError(f'seed {seed}: no grasp was found: take another one')
        grasp = plan.grasps[0]
        overlay = draw_overlay(seen.image, seen.camera, card.mesh, poses)
        planned = overlay.copy()
        outline = transform_points(invert(seen.base_from_camera) @ grasp.base_from_tcp,
                                   gripper.outline(grasp.opening_m))
        ends = seen.camera.project(outline)
        for start, end in zip(ends[::2], ends[1::2]):
            draw_line(planned, start, end, GRASP_COLOUR, 2)
        pick = Film(world)
        outcome = world.pick(grasp.approach, grasp.opening_m, grasp.force_n, pick.after_step)
        if not outcome.ok:
            raise ValueError(f'seed {seed}: {outcome.result}: take another one')
    stills = [seen.image, overlay, planned, pick.images[-1]]
    *before, after = [round(seconds * RATE_HZ) * [still] for seconds, still in zip(SECONDS_STILL, stills)]
    for part in (*before, pick.images, after):
        yield from part


def main(seed: int = SEED) -> None:
    """Write the film, a loop."""
    pictures = []
    for image in film(seed):
        height = round(WIDTH_PX * image.shape[0] / image.shape[1])
        small = cv2.resize(image, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
        pictures.append(Image.fromarray(small[:, :, ::-1]))
    path = Path(__file__).parent / 'pick.webp'
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=round(1000 / RATE_HZ), loop=0,
                     quality=QUALITY, method=6)
    print(f'{path}: {len(pictures)} pictures, {path.stat().st_size / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
