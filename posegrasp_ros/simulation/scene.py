# SPDX-License-Identifier: Apache-2.0
"""SceneSpec: description of a simulated scene, and random sampling of scenes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    invert,
    look_at,
    make_transform,
    rotation_from_vector,
    transform_points,
)
from posegrasp_ros.simulation.object_physics import DEFAULT_PHYSICS, ObjectPhysics
from posegrasp_ros.simulation.placement import Distractor, sample_distractors, sample_resting_pose
from posegrasp_ros.simulation.sensor import Sensor, sample_sensor
from posegrasp_ros.simulation.textures import UNPAINTED, Texture, sample_texture

#: Camera of the live simulation: across the table from the robot, 0.6 m from the table's centre, at 50° elevation.
DEFAULT_BASE_FROM_CAMERA = look_at((0.386, 0.0, 0.46), (0.0, 0.0, 0.02))
DEFAULT_FIELD_OF_VIEW_RAD = float(np.radians(60.0))
# Ranges of the camera's distance from the object, and of its elevation above it.
DISTANCES_M = (0.4, 0.8)
ELEVATIONS_DEG = (25.0, 75.0)
# Image size used for sampling; worlds with another image size show the same view.
SAMPLING_SIZE = (640, 480)


@dataclass(frozen=True)
class Light:
    """A light source.

    :param position: (3,) base frame, metres
    :param colour: red, green, blue, scaled by its brightness
    :param directional: parallel light (a window, the sun); else a spotlight
    :param target: (3,) base frame, metres, where it points to
    :param falloff_m: distance at which it is as bright as ``colour`` says, brighter before and darker beyond; None
        where it is the same at all distances
    """

    position: tuple[float, float, float]
    colour: tuple[float, float, float]
    directional: bool
    casts_shadow: bool
    target: tuple[float, float, float] = (0.0, 0.0, 0.0)
    falloff_m: float | None = None


@dataclass(frozen=True)
class Room:
    """Table, floor and background.

    :param table_half_size: (x, y) half sides of the table's top, metres
    :param has_walls: walls and floor; else floor and sky
    """

    table: Texture
    floor: Texture
    wall: Texture
    table_half_size: tuple[float, float]
    has_walls: bool


@dataclass(frozen=True, eq=False)
class Bystander:
    """An object of another kind, which stays where it is.

    :param base_from_object: (4, 4)
    """

    mesh: Mesh
    base_from_object: np.ndarray


@dataclass(frozen=True, eq=False)
class SceneSpec:
    """Description of a scene; the same spec gives the same images and the same picks.

    :param base_from_object: (4, 4) initial pose of the object
    :param base_from_camera: (4, 4) optical frame
    :param field_of_view_rad: horizontal, of a pinhole camera
    :param ambient: ambient light, red green blue
    :param physics: of the object; its friction is also that of fingers and table
    :param occluders: fixed bodies without collision that hide the object from the camera
    :param other_objects: (4, 4) base_from_object of each further instance; they are fixed
    :param bystanders: objects of other kinds
    """

    base_from_object: np.ndarray
    base_from_camera: np.ndarray
    field_of_view_rad: float
    distractors: tuple[Distractor, ...]
    room: Room
    lights: tuple[Light, ...]
    ambient: tuple[float, float, float]
    sensor: Sensor
    physics: ObjectPhysics = DEFAULT_PHYSICS
    occluders: tuple[Distractor, ...] = ()
    other_objects: tuple[np.ndarray, ...] = ()
    bystanders: tuple[Bystander, ...] = ()

    def unpainted(self) -> SceneSpec:
        """The same scene without textures, for physics only: faster to build."""
        room = replace(self.room, table=UNPAINTED, floor=UNPAINTED, wall=UNPAINTED)
        return replace(self, room=room, distractors=tuple(replace(each, texture=UNPAINTED)
                                                          for each in self.distractors))


def sample_scene(
    rng: np.random.Generator, mesh: Mesh, base_from_camera: np.ndarray | None = None
) -> SceneSpec:
    """Draw a scene.

    :param base_from_camera: (4, 4) a fixed camera with :data:`DEFAULT_FIELD_OF_VIEW_RAD`; None draws one, 0.4 to
        0.8 m from the object, at 25° to 75° elevation, with the object anywhere in the image
    """
    base_from_object = sample_resting_pose(rng, mesh)
    points = transform_points(base_from_object, mesh.solid.convex_hull.vertices)
    field_of_view_rad = DEFAULT_FIELD_OF_VIEW_RAD
    if base_from_camera is None:
        field_of_view_rad = float(np.radians(rng.uniform(55.0, 65.0)))
        camera = Camera.from_field_of_view(*SAMPLING_SIZE, field_of_view_rad)
        middle = transform_points(base_from_object, mesh.centre[None])[0]
        base_from_camera = sample_camera_pose(rng, camera, middle, mesh.radius)
    camera = Camera.from_field_of_view(*SAMPLING_SIZE, field_of_view_rad)
    distractors = sample_distractors(rng, points, invert(base_from_camera), camera.matrix)
    lights, ambient = _sample_lights(rng)
    return SceneSpec(base_from_object, np.array(base_from_camera, dtype=float), field_of_view_rad,
                     distractors, _sample_room(rng), lights, ambient, sample_sensor(rng))


def sample_camera_pose(
    rng: np.random.Generator, camera: Camera, target: np.ndarray, radius_m: float,
    distances_m: tuple[float, float] = DISTANCES_M, elevations_deg: tuple[float, float] = ELEVATIONS_DEG,
) -> np.ndarray:
    """A (4, 4) base_from_camera with ``target`` at a random pixel, at least 80 % of ``radius_m`` from the border.

    :param distances_m: range of the distance from the camera to the target
    :param elevations_deg: range of the camera's elevation above the target's horizon
    """
    distance_m, elevation = rng.uniform(*distances_m), np.radians(rng.uniform(*elevations_deg))
    azimuth = rng.uniform(-np.pi, np.pi)
    looking_at = look_at(target + distance_m * direction_of(azimuth, elevation), target)
    size = np.array([camera.width, camera.height])
    margin_px = np.minimum(0.8 * camera.fx * radius_m / distance_m, 0.45 * size)
    pixel = rng.uniform(margin_px, size - margin_px)
    # Rotate the camera so that the ray of that pixel, not the optical axis, points to the target; then roll.
    ray = np.append(camera.rays(pixel[None])[0], 1.0)
    ray /= np.linalg.norm(ray)
    axis = np.cross([0.0, 0.0, 1.0], ray)
    sine = np.linalg.norm(axis)
    turn = rotation_from_vector(axis / max(sine, 1e-12) * np.arctan2(sine, ray[2]))
    roll = rotation_from_vector(ray * np.radians(rng.normal(0.0, 5.0)))
    return looking_at @ make_transform((roll @ turn).T)


def direction_of(azimuth_rad: float, elevation_rad: float) -> np.ndarray:
    """(3,) unit vector with the given azimuth and elevation."""
    level = np.cos(elevation_rad)
    return np.array([np.cos(azimuth_rad) * level, np.sin(azimuth_rad) * level, np.sin(elevation_rad)])


def _sample_room(rng: np.random.Generator) -> Room:
    table, floor, wall = (sample_texture(rng) for _ in range(3))
    half_size = rng.uniform(0.45, 0.9, 2)
    return Room(table, floor, wall, (float(half_size[0]), float(half_size[1])), bool(rng.random() < 0.6))


def _sample_lights(rng: np.random.Generator) -> tuple[tuple[Light, ...], tuple[float, float, float]]:
    """One to three lights of random colour temperatures, the first with a shadow, and the ambient light."""
    brightness = rng.uniform(0.6, 1.1)
    count = int(rng.integers(1, 4))
    shares = rng.dirichlet(np.full(count, 2.0))
    lights = []
    for i in range(count):
        azimuth, elevation = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(30.0, 85.0))
        position = rng.uniform(1.2, 2.0) * direction_of(azimuth, elevation)
        colour = brightness * shares[i] * sample_light_colour(rng)
        directional = bool(rng.random() < 0.5)
        lights.append(Light(tuple(position.tolist()), tuple(colour.tolist()), directional, i == 0))
    ambient = rng.uniform(0.2, 0.5) * sample_light_colour(rng)
    return tuple(lights), tuple(ambient.tolist())


def sample_light_colour(rng: np.random.Generator) -> np.ndarray:
    """From a warm lamp (3000 K) to a blue sky (9000 K), half compensated as by a camera's white balance."""
    warm, cool = np.array([1.0, 0.86, 0.68]), np.array([0.86, 0.94, 1.0])
    share = rng.random()
    return (1 - share) * warm + share * cool
