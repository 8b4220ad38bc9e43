# SPDX-License-Identifier: Apache-2.0
"""RoughScene: a scene with the difficulties of a real one, and random sampling of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, make_transform, random_rotation, transform_points
from posegrasp_ros.simulation.clutter import SHEET_M, sample_clutter, sample_sheets, sample_strong_texture
from posegrasp_ros.simulation.human_hand import sample_hand
from posegrasp_ros.simulation.placement import OBJECT_REACH_M, sample_distractors, sample_resting_pose
from posegrasp_ros.simulation.rough_camera import CameraMismatch, RoughSensor, sample_mismatch, sample_rough_sensor
from posegrasp_ros.simulation.rough_object import ObjectWear, sample_wear
from posegrasp_ros.simulation.scene import (
    SAMPLING_SIZE,
    Light,
    Room,
    SceneSpec,
    direction_of,
    sample_camera_pose,
    sample_light_colour,
)
from posegrasp_ros.simulation.textures import Texture, sample_texture

DISTANCES_M = (0.35, 0.8)
LOW_ELEVATIONS_DEG, HIGH_ELEVATIONS_DEG = (5.0, 30.0), (25.0, 75.0)
FIELDS_OF_VIEW_DEG = (50.0, 65.0)
LOW_VIEW_SHARE, HELD_SHARE, HAND_SHARE, NEAR_LAMP_SHARE = 0.5, 0.25, 0.25, 0.5
STRONG_ROOM_SHARE = 0.3
HELD_ABOVE_TABLE_M = (0.01, 0.2)


@dataclass(frozen=True, eq=False)
class RoughScene:
    """A scene, and what is not ideal in it; the same one gives the same image.

    :param scene: what is there, nothing of which moves, and the stated camera; its sensor is not used
    """

    scene: SceneSpec
    sensor: RoughSensor
    wear: ObjectWear = field(default_factory=ObjectWear)
    mismatch: CameraMismatch = field(default_factory=CameraMismatch)


def sample_rough_scene(rng: np.random.Generator, mesh: Mesh) -> RoughScene:
    """Draw a scene with clutter right behind the object; a hand, a low view, near lamps are in some."""
    is_held, has_hand = rng.random() < HELD_SHARE, rng.random() < HAND_SHARE
    base_from_object = _sample_held_pose(rng, mesh) if is_held else sample_resting_pose(rng, mesh)
    sheets = sample_sheets(rng, base_from_object[:3, 3])
    base_from_object[2, 3] += SHEET_M * len(sheets)
    points = transform_points(base_from_object, mesh.solid.convex_hull.vertices)
    middle = transform_points(base_from_object, mesh.centre[None])[0]
    field_of_view_rad = float(np.radians(rng.uniform(*FIELDS_OF_VIEW_DEG)))
    camera = Camera.from_field_of_view(*SAMPLING_SIZE, field_of_view_rad)
    elevations_deg = LOW_ELEVATIONS_DEG if rng.random() < LOW_VIEW_SHARE else HIGH_ELEVATIONS_DEG
    base_from_camera = sample_camera_pose(rng, camera, middle, mesh.radius, DISTANCES_M, elevations_deg)
    distractors = sample_distractors(rng, points, invert(base_from_camera), camera.matrix)
    others = sheets + sample_clutter(rng, points, base_from_camera[:3, 3])
    if is_held or has_hand:
        others += sample_hand(rng, points)
    lights, ambient = _sample_lights(rng, middle)
    sensor = sample_rough_sensor(rng)
    scene = SceneSpec(base_from_object, base_from_camera, field_of_view_rad, distractors, _sample_room(rng),
                      lights, ambient, sensor.sensor, occluders=others)
    return RoughScene(scene, sensor, sample_wear(rng), sample_mismatch(rng))


def _sample_held_pose(rng: np.random.Generator, mesh: Mesh) -> np.ndarray:
    """(4, 4) base_from_object in any orientation above the table."""
    rotation = random_rotation(rng)
    turned = (mesh.vertices - mesh.centre) @ rotation.T
    middle = np.array([*rng.uniform(-OBJECT_REACH_M, OBJECT_REACH_M, 2),
                       rng.uniform(*HELD_ABOVE_TABLE_M) - turned[:, 2].min()])
    return make_transform(rotation, middle - rotation @ mesh.centre)


def _sample_room(rng: np.random.Generator) -> Room:
    """As in other scenes, some textures stronger."""
    def texture() -> Texture:
        return sample_strong_texture(rng) if rng.random() < STRONG_ROOM_SHARE else sample_texture(rng)
    x, y = rng.uniform(0.45, 0.9, 2)
    return Room(texture(), texture(), texture(), (float(x), float(y)), bool(rng.random() < 0.6))


def _sample_lights(rng: np.random.Generator,
                   middle: np.ndarray) -> tuple[tuple[Light, ...], tuple[float, float, float]]:
    """Two lamps of different colours, one of them in half of the scenes so near that its light falls off."""
    brightness, share = rng.uniform(0.9, 1.5), rng.uniform(0.35, 0.75)
    warm, cool = np.array([1.0, 0.78, 0.52]), np.array([0.7, 0.86, 1.0])
    colours = [warm, cool] if rng.random() < 0.5 else [cool, warm]
    far = Light(*_lamp(rng, np.zeros(3), (1.2, 2.0), brightness * (1 - share) * colours[0]),
                directional=bool(rng.random() < 0.5), casts_shadow=False)
    is_near = rng.random() < NEAR_LAMP_SHARE
    if not is_near:
        second = Light(*_lamp(rng, np.zeros(3), (1.2, 2.0), brightness * share * colours[1]),
                       directional=bool(rng.random() < 0.5), casts_shadow=True)
    else:
        position, colour = _lamp(rng, middle, (0.2, 0.5), 1.3 * brightness * share * colours[1])
        second = Light(position, colour, directional=False, casts_shadow=True, target=tuple(middle.tolist()),
                       falloff_m=float(np.linalg.norm(np.array(position) - middle)))
    ambient = rng.uniform(0.25, 0.55) * sample_light_colour(rng)
    return (second, far), tuple(ambient.tolist())


def _lamp(rng: np.random.Generator, target: np.ndarray, distances_m: tuple[float, float],
          colour: np.ndarray) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Position and colour of a lamp over a point."""
    azimuth, elevation = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(25.0, 80.0))
    position = target + rng.uniform(*distances_m) * direction_of(azimuth, elevation)
    return tuple(position.tolist()), tuple(colour.tolist())


def with_more(rough: RoughScene, occluders: tuple) -> RoughScene:
    """The scene with more things between camera and object."""
    return replace(rough, scene=replace(rough.scene, occluders=rough.scene.occluders + occluders))
