# SPDX-License-Identifier: Apache-2.0
"""Sequences of rough scenes: a camera in motion over a scene that stays as it was drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, transform_points
from posegrasp_ros.geometry.true_pose import LEAST_VISIBLE
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.placement import Distractor
from posegrasp_ros.simulation.rough_camera import RoughSensor
from posegrasp_ros.simulation.rough_scene import RoughScene, with_more
from posegrasp_ros.simulation.rough_world import RoughWorld, rough_world
from posegrasp_ros.simulation.scene import SceneSpec
from posegrasp_ros.simulation.sequence import FIRST_STAMP_NS, CameraPath, Cover, SequencePlan, Swing, Views

MOST_SCENES = 30
# The camera stays about where the scene was drawn for: what is behind the object is not in between.
AZIMUTH_REACH_RAD, ELEVATION_REACH_RAD, DISTANCE_REACH_M = 0.6, float(np.radians(20)), 0.1
LOWEST_MEAN_RAD, LOWEST_RAD = float(np.radians(12)), float(np.radians(4))
FROM_LENS_M = 0.08
# Of the poses on the way, as many are tried before the first frame; in the median so much must be visible.
TRIED_POSES, VISIBLE_IN_MEDIAN = 9, 0.5
# The shutter is open for such a share of the time between two frames; the exposure's log drifts by so much.
SHUTTER_SHARES, EXPOSURE_DRIFT = (0.1, 0.9), 0.25


@dataclass(frozen=True)
class MovingSensor:
    """The sensor from frame to frame: motion blur by the camera's own motion, exposure that drifts.

    :param sensor: what stays: noise, sharpening, compression, the level that auto exposure aims at
    :param path: of the camera
    :param shutter_s: exposure time
    :param drift: log of the factor on the exposure
    """

    sensor: RoughSensor
    path: CameraPath
    shutter_s: float
    drift: Swing

    def at(self, time_s: float, path_s: float, camera: Camera, point: np.ndarray) -> RoughSensor:
        """The sensor of the frame at a time.

        :param path_s: where on its path the camera is
        :param point: (3,) in the base frame, of which the motion in the image is that of the whole image
        """
        here, there = (camera.project(transform_points(invert(self.path.at(each)), point[None]))[0]
                       for each in (path_s, path_s + self.shutter_s))
        exposure = self.sensor.sensor.exposure * float(np.exp(self.drift.at(time_s)))
        x_px, y_px = there - here
        return replace(self.sensor, sensor=replace(self.sensor.sensor, exposure=exposure),
                       motion_px=(float(x_px), float(y_px)))


def rough_sequence_frames(mesh: Mesh, plan: SequencePlan, seed: int,
                          image_size: tuple[int, int] = (640, 480)) -> Iterator[BagFrame]:
    """The frames of a sequence; the same seed gives the same. One that hides the object has no ground truth.

    Object, print, light, clutter, lens and stated camera are drawn once; noise, motion blur and exposure differ
    from frame to frame. Nothing but camera and cover moves.

    :raises InvalidInputError: when :data:`MOST_SCENES` scenes have no way for the camera that shows the object
    """
    rng = np.random.default_rng(seed)
    for _ in range(MOST_SCENES):
        rough, cover = _drawn(rng, mesh, image_size)
        middle = transform_points(rough.scene.base_from_object, mesh.centre[None])[0]
        path = CameraPath(rng, middle, mesh.radius, _views(rough.scene, middle))
        shutter_s = rng.uniform(*SHUTTER_SHARES) / plan.rate_hz
        sensor = MovingSensor(rough.sensor, path, shutter_s, Swing.sampled(rng, 0.0, EXPOSURE_DRIFT))
        if not _is_clear(path, plan, rough.scene):
            continue
        with RoughWorld(mesh, rough, image_size) as world:
            if _is_visible(world, path, plan, rough.sensor):
                yield from _frames(world, plan, sensor, cover, middle)
                return
    raise InvalidInputError(f'rough sequence: expected a way for the camera that shows the object, found none in '
                            f'{MOST_SCENES} scenes: use another seed')


def _drawn(rng: np.random.Generator, mesh: Mesh, image_size: tuple[int, int]) -> tuple[RoughScene, Cover]:
    """A scene that shows enough of the object, with a cover, its last occluder."""
    with rough_world(rng, mesh, image_size) as world:
        rough = world.rough
    cover = Cover.sampled(rng, mesh)
    return with_more(rough, (cover.plate,)), cover


def _frames(world: RoughWorld, plan: SequencePlan, sensor: MovingSensor, cover: Cover,
            middle: np.ndarray) -> Iterator[BagFrame]:
    place = len(world.rough.scene.occluders) - 1
    for time_s in plan.times_s:
        path_s = plan.path_s(time_s)
        base_from_camera = sensor.path.at(path_s)
        held = cover.pose(base_from_camera, middle, plan.covering(time_s))
        world.move(base_from_camera, sensor.at(time_s, path_s, world.camera, middle), {place: held})
        frame, share = world.frame(), world.visible_share()
        truth = frame.camera_from_object if share >= LEAST_VISIBLE else None
        yield BagFrame(FIRST_STAMP_NS + round(time_s * 1e9), frame.image, frame.camera, truth,
                       frame.base_from_camera, visible_share=share)


def _views(scene: SceneSpec, middle: np.ndarray) -> Views:
    """About the view that the scene was drawn for, above the table."""
    towards = scene.base_from_camera[:3, 3] - middle
    distance_m = float(np.linalg.norm(towards))
    elevation_rad = max(float(np.arcsin(towards[2] / distance_m)), LOWEST_MEAN_RAD)
    return Views((float(np.arctan2(towards[1], towards[0])), AZIMUTH_REACH_RAD),
                 (elevation_rad, min(ELEVATION_REACH_RAD, elevation_rad - LOWEST_RAD)),
                 (distance_m, DISTANCE_REACH_M))


def _is_clear(path: CameraPath, plan: SequencePlan, scene: SceneSpec) -> bool:
    """Whether the lens stays off all things on its way."""
    lenses = np.array([path.at(plan.path_s(time_s))[:3, 3] for time_s in plan.times_s])
    return all(_distances_m(thing, lenses).min() > FROM_LENS_M for thing in (*scene.distractors, *scene.occluders))


def _distances_m(thing: Distractor, points: np.ndarray) -> np.ndarray:
    """(N,) distances of points (N, 3) in the base frame from the box around a thing."""
    local = np.abs(transform_points(invert(thing.base_from_body), points))
    return np.asarray(np.linalg.norm(np.maximum(local - thing.half_extents, 0.0), axis=1))


def _is_visible(world: RoughWorld, path: CameraPath, plan: SequencePlan, sensor: RoughSensor) -> bool:
    """Whether most of the way shows enough of the object, uncovered."""
    shares = []
    for time_s in plan.times_s[:: max(1, len(plan.times_s) // TRIED_POSES)]:
        world.move(path.at(plan.path_s(time_s)), sensor, {})
        shares.append(world.visible_share())
    return bool(np.median(shares) >= VISIBLE_IN_MEDIAN)
