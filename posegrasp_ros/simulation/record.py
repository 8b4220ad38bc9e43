# SPDX-License-Identifier: Apache-2.0
"""``posegrasp record``: records simulated scenes with ground truth as a rosbag2 folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from posegrasp_ros.datasets.bag_writer import GROUND_TRUTH, BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.topic_names import below
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.runs.provenance import SIMULATED
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.simulation.instances import sample_scene_of_kinds, sample_scene_of_several
from posegrasp_ros.simulation.occlusion import occluded_world
from posegrasp_ros.simulation.rough_world import rough_world
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.world import Frame, World

SCENE_SPACING_NS = 1_000_000_000
"""The evaluator resamples frames within a second together, so scenes are a second apart."""


def record(out: Path, mesh: Mesh, scenes: int, seed: int, image_size: tuple[int, int] = (640, 480),
           progress: bool = True, occlusion: tuple[float, float] | None = None,
           without_object: bool = False, instances: int = 1, depth: bool = False, rough: bool = False) -> None:
    """Write one frame of each of ``scenes`` random scenes; the same seed gives the same scenes.

    :param occlusion: smallest and largest hidden fraction of the object's pixels; None for no constraint
    :param without_object: render without the object; there is no ground truth then
    :param instances: number of instances of the object in each scene
    :param depth: also record depth from the same viewpoint
    :param rough: scenes with the difficulties of real ones, see :mod:`posegrasp_ros.simulation.rough_scene`
    :raises InvalidInputError: when the folder exists, there is nothing to record, or rough scenes are to have
        depth or several instances
    """
    if scenes < 1:
        raise InvalidInputError(f'scenes: expected at least 1, got {scenes}')
    if rough and (depth or instances > 1):
        raise InvalidInputError('rough: expected colour images of one object, got '
                                f'{"depth" if depth else "several instances"} as well: leave out one of the two')
    rng = np.random.default_rng(seed)
    with BagWriter(out, SIMULATED) as writer:
        for index in Progress(range(scenes), desc='recording', unit='scene', disable=not progress):
            frame, share = (_rough_frame(rng, mesh, image_size, occlusion, not without_object) if rough
                            else _frame(rng, mesh, image_size, occlusion, instances, not without_object, depth))
            truth = None if without_object else frame.camera_from_object
            writer.write(BagFrame((index + 1) * SCENE_SPACING_NS, frame.image, frame.camera, truth,
                                  frame.base_from_camera, other_objects=frame.other_objects,
                                  depth_m=frame.depth_m, visible_share=share))


def record_together(out: Path, meshes: Mapping[str, Mesh], scenes: int, seed: int,
                    image_size: tuple[int, int] = (640, 480), progress: bool = True, depth: bool = False) -> None:
    """Write one frame of each of ``scenes`` random scenes with one object of each kind in it.

    The ground truth of each object is on ``/NAME/ground_truth``, see :mod:`posegrasp_ros.datasets.topic_names`.

    :param meshes: by the objects' names; they take turns as the one that is put down first
    :raises InvalidInputError: when the folder exists
    """
    rng, names = np.random.default_rng(seed), list(meshes)
    with BagWriter(out, SIMULATED) as writer:
        for index in Progress(range(scenes), desc='recording', unit='scene', disable=not progress):
            first, *others = names[index % len(names):] + names[:index % len(names)]
            scene = sample_scene_of_kinds(rng, meshes[first], [meshes[name] for name in others])
            with World(meshes[first], None, scene, image_size=image_size) as world:
                frame = world.frame(depth=depth)
                shares = world.visible_share(), *world.bystander_shares()
            stamp_ns = (index + 1) * SCENE_SPACING_NS
            writer.write(BagFrame(stamp_ns, frame.image, frame.camera, None, frame.base_from_camera,
                                  depth_m=frame.depth_m))
            truths = frame.camera_from_object, *frame.bystanders
            for name, truth, share in zip((first, *others), truths, shares):
                writer.write_truths(stamp_ns, [truth], below(name, GROUND_TRUTH))
                writer.write_visible_share(stamp_ns, share, below(name, GROUND_TRUTH))


def _rough_frame(rng: np.random.Generator, mesh: Mesh, image_size: tuple[int, int],
                 occlusion: tuple[float, float] | None, show_object: bool) -> tuple[Frame, float | None]:
    """A frame, and how much of the object is visible in it."""
    with rough_world(rng, mesh, image_size, occlusion) as world:
        return world.frame(show_object), world.visible_share() if show_object else None


def _frame(rng: np.random.Generator, mesh: Mesh, image_size: tuple[int, int],
           occlusion: tuple[float, float] | None, instances: int, show_object: bool,
           depth: bool) -> tuple[Frame, float | None]:
    with _open_world(rng, mesh, image_size, occlusion, instances) as world:
        frame = world.frame(show_object=show_object, depth=depth)
        return frame, world.visible_share() if show_object else None


def _open_world(rng: np.random.Generator, mesh: Mesh, image_size: tuple[int, int],
                occlusion: tuple[float, float] | None, instances: int) -> World:
    if instances > 1:
        return World(mesh, None, sample_scene_of_several(rng, mesh, instances), image_size=image_size)
    if occlusion:
        return occluded_world(rng, mesh, occlusion, image_size)
    return World(mesh, None, sample_scene(rng, mesh), image_size=image_size)
