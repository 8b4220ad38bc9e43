"""``posegrasp record``: records simulated scenes with ground truth as a rosbag2 folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.runs.provenance import SIMULATED
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.instances import sample_scene_of_several
from posegrasp_ros.simulation.occlusion import occluded_world
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.world import World

SCENE_SPACING_NS = 1_000_000_000
"""The evaluator resamples frames within a second together, so scenes are a second apart."""


def record(out: Path, mesh: Mesh, scenes: int, seed: int, image_size: tuple[int, int] = (640, 480),
           progress: bool = True, occlusion: tuple[float, float] | None = None,
           without_object: bool = False, instances: int = 1, depth: bool = False) -> None:
    """Write one frame of each of ``scenes`` random scenes; the same seed gives the same scenes.

    :param occlusion: smallest and largest hidden fraction of the object's pixels; None for no constraint
    :param without_object: render without the object; there is no ground truth then
    :param instances: number of instances of the object in each scene
    :param depth: also record depth from the same viewpoint
    :raises InvalidInputError: when the folder exists or there is nothing to record
    """
    if scenes < 1:
        raise InvalidInputError(f'scenes: expected at least 1, got {scenes}')
    rng = np.random.default_rng(seed)
    with BagWriter(out, SIMULATED) as writer:
        for index in tqdm(range(scenes), desc='recording', unit='scene', disable=not progress):
            with _open_world(rng, mesh, image_size, occlusion, instances) as world:
                frame = world.frame(show_object=not without_object, depth=depth)
            truth = None if without_object else frame.camera_from_object
            writer.write(BagFrame((index + 1) * SCENE_SPACING_NS, frame.image, frame.camera, truth,
                                  frame.base_from_camera, other_objects=frame.other_objects,
                                  depth_m=frame.depth_m))


def _open_world(rng: np.random.Generator, mesh: Mesh, image_size: tuple[int, int],
                occlusion: tuple[float, float] | None, instances: int) -> World:
    if instances > 1:
        return World(mesh, None, sample_scene_of_several(rng, mesh, instances), image_size=image_size)
    if occlusion:
        return occluded_world(rng, mesh, occlusion, image_size)
    return World(mesh, None, sample_scene(rng, mesh), image_size=image_size)
