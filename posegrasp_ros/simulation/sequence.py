# SPDX-License-Identifier: Apache-2.0
"""Sequences: frames of a simulated scene in which camera and object move smoothly, at a camera's rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import look_at, make_transform, transform_points
from posegrasp_ros.geometry.true_pose import LEAST_VISIBLE
from posegrasp_ros.runs.provenance import SIMULATED
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.simulation.placement import Distractor, yaw_transform
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.textures import sample_texture
from posegrasp_ros.simulation.world import World

FIRST_STAMP_NS = 1_000_000_000
SLIDE_S = 0.2
"""How long the cover takes to slide before the object, and away again."""
JUMP_S = 1000.0
"""So much further on its path the camera is after a jump: somewhere else."""


@dataclass(frozen=True)
class Swing:
    """A smooth quantity: two sinusoids about a mean.

    :param amplitudes: (2,) in the unit of the mean
    :param periods_s: (2,)
    :param phases_rad: (2,)
    """

    mean: float
    amplitudes: np.ndarray
    periods_s: np.ndarray
    phases_rad: np.ndarray

    @classmethod
    def sampled(cls, rng: np.random.Generator, mean: float, reach: float,
                periods_s: tuple[float, float] = (3.0, 9.0)) -> Swing:
        """One that stays within ``reach`` of its mean."""
        return cls(mean, reach * rng.dirichlet((3.0, 2.0)), rng.uniform(*periods_s, 2),
                   rng.uniform(-np.pi, np.pi, 2))

    def at(self, time_s: float) -> float:
        """The value at a time."""
        return self.mean + float(self.amplitudes @ np.sin(2 * np.pi * time_s / self.periods_s + self.phases_rad))


@dataclass(frozen=True)
class SequencePlan:
    """What happens in a sequence.

    :param seconds: length
    :param rate_hz: of the camera
    :param covered_s: times from which the object is fully covered, each for ``cover_s``
    :param jumps_s: times at which the camera is suddenly elsewhere
    :raises InvalidInputError: when nothing would be recorded, or something would happen after the end
    """

    seconds: float
    rate_hz: float = 30.0
    covered_s: tuple[float, ...] = ()
    cover_s: float = 1.0
    jumps_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (self.rate_hz > 0 and self.seconds * self.rate_hz >= 1):
            raise InvalidInputError(f'sequence: expected at least one frame, got {self.seconds:g} s at '
                                    f'{self.rate_hz:g} Hz')
        late = [time_s for time_s in (*self.covered_s, *self.jumps_s) if not 0 <= time_s < self.seconds]
        if late:
            raise InvalidInputError(f'sequence: expected times within its {self.seconds:g} s, got {late[0]:g}')

    @property
    def times_s(self) -> np.ndarray:
        """(N,) of the frames, from 0."""
        return np.arange(round(self.seconds * self.rate_hz)) / self.rate_hz

    def covering(self, time_s: float) -> float:
        """How far the cover is before the object: 0 away, 1 all of it."""
        return max((float(np.clip(1 - max(start_s - time_s, time_s - start_s - self.cover_s) / SLIDE_S, 0, 1))
                    for start_s in self.covered_s), default=0.0)

    def path_s(self, time_s: float) -> float:
        """Where on its path the camera is."""
        return time_s + JUMP_S * sum(time_s >= jump_s for jump_s in self.jumps_s)


class Views(NamedTuple):
    """From where a moving camera looks: mean and reach of the azimuth, the elevation and the distance.

    :param azimuth_rad: with a mean of None it is drawn
    """

    azimuth_rad: tuple[float | None, float] = (None, 0.9)
    elevation_rad: tuple[float, float] = (float(np.radians(48)), float(np.radians(20)))
    distance_m: tuple[float, float] = (0.55, 0.12)


class CameraPath:
    """A camera that is moved by hand about a point, which stays in its image.

    :param target: (3,) the point, base frame
    :param radius_m: of what is looked at
    """

    def __init__(self, rng: np.random.Generator, target: np.ndarray, radius_m: float, views: Views | None = None):
        views = views or Views()
        self._target = target
        azimuth_rad, reach_rad = views.azimuth_rad
        if azimuth_rad is None:
            azimuth_rad = rng.uniform(-np.pi, np.pi)
        self._azimuth_rad = Swing.sampled(rng, azimuth_rad, reach_rad)
        self._elevation_rad = Swing.sampled(rng, *views.elevation_rad)
        self._distance_m = Swing.sampled(rng, *views.distance_m)
        self._roll_rad = Swing.sampled(rng, 0.0, np.radians(8))
        self._aside = [Swing.sampled(rng, 0.0, 1.2 * radius_m) for _ in range(3)]

    def at(self, path_s: float) -> np.ndarray:
        """(4, 4) base_from_camera."""
        azimuth, elevation = self._azimuth_rad.at(path_s), self._elevation_rad.at(path_s)
        level = np.cos(elevation)
        direction = np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])
        aside = np.array([swing.at(path_s) for swing in self._aside])
        looking = look_at(self._target + self._distance_m.at(path_s) * direction, self._target + aside)
        roll = self._roll_rad.at(path_s)
        turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1.0]])
        return looking @ make_transform(turn)


class ObjectPath:
    """An object that is lifted a little and turned about the vertical through its centre.

    :param base_from_object: (4, 4) at rest
    :param centre: (3,) of the object, base frame
    """

    def __init__(self, rng: np.random.Generator, base_from_object: np.ndarray, centre: np.ndarray):
        self._at_rest, self._centre = base_from_object, centre
        self._lift_m = Swing.sampled(rng, 0.03, 0.03)
        self._turn_rad = Swing.sampled(rng, 0.0, np.radians(25))

    def at(self, time_s: float) -> np.ndarray:
        """(4, 4) base_from_object."""
        turn = yaw_transform(self._turn_rad.at(time_s))
        about = make_transform(translation=self._centre + (0, 0, self._lift_m.at(time_s)))
        return about @ turn @ make_transform(translation=-self._centre) @ self._at_rest


class Cover:
    """A plate that slides before the object, and away again.

    :param plate: to put into the scene
    """

    def __init__(self, plate: Distractor):
        self.plate = plate

    @classmethod
    def sampled(cls, rng: np.random.Generator, mesh: Mesh) -> Cover:
        """One that hides the object from all sides, of any texture."""
        extent_m = 0.7 * mesh.radius
        half = np.array([extent_m, extent_m, 0.004])
        away = make_transform(translation=(0.0, 0.0, -5.0))
        return cls(Distractor('box', half, half, away, sample_texture(rng)))

    def pose(self, base_from_camera: np.ndarray, middle: np.ndarray, covering: float) -> np.ndarray:
        """(4, 4) half way to the object, across the line of sight; far away where it covers nothing.

        :param middle: (3,) of the object, base frame
        :param covering: 1 all of the object; 0 none of it
        """
        if not covering:
            return self.plate.base_from_body
        lens = base_from_camera[:3, 3]
        facing = look_at(lens, middle, base_from_camera[:3, 1])
        halfway = float(np.linalg.norm(middle - lens)) / 2
        aside_m = 2.2 * float(self.plate.half_extents[0]) * (1 - covering)
        return facing @ make_transform(translation=(aside_m, 0.0, halfway))


def sequence_frames(mesh: Mesh, plan: SequencePlan, seed: int,
                    image_size: tuple[int, int] = (640, 480), depth: bool = False) -> Iterator[BagFrame]:
    """The frames of a sequence; the same seed gives the same. One that hides the object has no ground truth.

    :param depth: with a depth image from the same viewpoint
    """
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng, mesh)
    cover = Cover.sampled(rng, mesh)
    with World(mesh, None, replace(scene, occluders=(cover.plate,)), image_size=image_size) as world:
        at_rest = world.object_pose()
        centre = transform_points(at_rest, mesh.centre[None])[0]
        camera_path, object_path = CameraPath(rng, centre, mesh.radius), ObjectPath(rng, at_rest, centre)
        for time_s in plan.times_s:
            base_from_camera = camera_path.at(plan.path_s(time_s))
            base_from_object = object_path.at(time_s)
            middle = transform_points(base_from_object, mesh.centre[None])[0]
            held = cover.pose(base_from_camera, middle, plan.covering(time_s))
            world.move(base_from_object, base_from_camera, [held])
            frame = world.frame(depth=depth)
            share = world.visible_share()
            truth = frame.camera_from_object if share >= LEAST_VISIBLE else None
            yield BagFrame(FIRST_STAMP_NS + round(time_s * 1e9), frame.image, frame.camera, truth,
                           frame.base_from_camera, depth_m=frame.depth_m, visible_share=share)


def record_sequence(out: Path, frames: Iterable[BagFrame], count: int, progress: bool = True) -> None:
    """Write the frames of a sequence as a rosbag2 folder.

    :param frames: from :func:`sequence_frames`, or whatever else yields frames in order
    :param count: how many there will be, for the progress bar
    :raises InvalidInputError: when the folder exists
    """
    with BagWriter(out, SIMULATED) as writer:
        for frame in Progress(frames, desc='recording', unit='frame', total=count, disable=not progress):
            writer.write(frame)
