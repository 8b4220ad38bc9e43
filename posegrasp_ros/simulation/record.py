"""``posegrasp record``: simulated scenes with ground truth as a rosbag2 folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from posegrasp_ros.bag_writer import BagWriter
from posegrasp_ros.bags import BagFrame
from posegrasp_ros.errors import BadInput
from posegrasp_ros.mesh import Mesh
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.world import World

SCENE_SPACING_NS = 1_000_000_000
"""The evaluator draws frames within a second together, so scenes are a second apart."""


def record(out: Path, mesh: Mesh, scenes: int, seed: int, image_size: tuple[int, int] = (640, 480),
           progress: bool = True) -> None:
    """Write one frame of each of ``scenes`` random scenes; the same seed gives the same scenes.

    :raises BadInput: when the folder exists or there is nothing to record
    """
    if scenes < 1:
        raise BadInput(f'scenes: expected at least 1, got {scenes}')
    rng = np.random.default_rng(seed)
    with BagWriter(out) as writer:
        for index in tqdm(range(scenes), desc='recording', unit='scene', disable=not progress):
            with World(mesh, None, sample_scene(rng, mesh), image_size=image_size) as world:
                frame = world.frame()
            writer.write(BagFrame((index + 1) * SCENE_SPACING_NS, frame.image, frame.camera,
                                  frame.camera_from_object, frame.base_from_camera))
