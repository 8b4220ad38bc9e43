# SPDX-License-Identifier: Apache-2.0
"""A bank of rendered views, from which training images are composed.

Rendering is expensive, so a few thousand views are rendered once, unlit, each with the object coordinates and
normals of its pixels. Training then rotates, scales, lights and occludes them, which is inexpensive and makes
every sample different. The camera points at the object's centre, so a rotation about the optical axis is an exact
rotation of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import mujoco
import numpy as np
import trimesh
from scipy import ndimage

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import (
    NO_SYMMETRY,
    Symmetry,
    look_at,
    make_transform,
    random_rotation,
    rotation_from_vector,
)
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.simulation.assets import add_textured_mesh

VIEW_SIZE = 192
FILL = 0.83
"""Radius of the bounding sphere in a view, as a fraction of its half width."""
DISTANCES_M = (0.3, 1.0)
LEVELS = 3
"""Levels of a view's image pyramid, each half the size of the previous one."""


@dataclass
class RenderedView:
    """One rendered view of the object.

    :param centred_from_object: (3, 3) rotation from the object frame to a camera pointing at its centre
    :param distance_m: from the camera to the object's centre
    :param colours: per pyramid level (S, S, 4) uint8 blue, green, red, coverage; colour is premultiplied by
        coverage, so that linear interpolation is correct at edges
    :param normals: per pyramid level (S, S, 3) uint8, camera-frame normal n stored as 127.5 * (n + 1)
    :param coordinates: (S, S, 3) float16 object coordinates in half extents about the mesh's centre; NaN outside
    """

    centred_from_object: np.ndarray
    distance_m: float
    colours: list[np.ndarray]
    normals: list[np.ndarray]
    coordinates: np.ndarray


def half_extents(mesh: Mesh) -> np.ndarray:
    """(3,) unit of the network's object coordinates, metres."""
    return mesh.extents / 2


def sample_orientation(rng: np.random.Generator, resting: RestingPoses) -> np.ndarray:
    """(3, 3) camera_from_object rotation: 70 % as seen by a camera above a table, else uniform."""
    if rng.random() > 0.7:
        return random_rotation(rng)
    yaw = rotation_from_vector((0, 0, rng.uniform(0, 2 * np.pi)))
    elevation = rng.uniform(0.0, np.radians(88))
    eye = (np.cos(elevation), 0.0, np.sin(elevation))
    roll = rotation_from_vector((0, 0, rng.normal(0, np.radians(12))))
    rest = resting.rotations[rng.choice(len(resting.rotations), p=resting.likelihood)]
    return roll @ look_at(eye, (0, 0, 0))[:3, :3].T @ yaw @ rest


def facing_camera(symmetry: Symmetry, centred_from_object: np.ndarray) -> np.ndarray:
    """The training target among the rotations (3, 3) that are equivalent by a continuous symmetry.

    The camera is always on the same side of the axis, so the target is unique and continuous in the image.
    """
    if symmetry.axis is None:
        return centred_from_object
    to_camera, side = -centred_from_object[2], taught_side(symmetry.axis)
    angle = np.arctan2(np.cross(symmetry.axis, side) @ to_camera, side @ to_camera)
    return centred_from_object @ rotation_from_vector(symmetry.axis * angle)


def taught_symmetries(symmetry: Symmetry) -> np.ndarray:
    """(S, 4, 4) remaining symmetries when the camera is on the side given by :func:`taught_side`."""
    if symmetry.axis is None:
        return symmetry.discrete
    flips = (symmetry.discrete[:, :3, :3] @ symmetry.axis @ symmetry.axis < 0).any()
    half_turn = rotation_from_vector(taught_side(symmetry.axis) * np.pi)
    return np.stack([np.eye(4), make_transform(half_turn, symmetry.offset - half_turn @ symmetry.offset)]
                    [:2 if flips else 1])


def taught_side(axis: np.ndarray) -> np.ndarray:
    """(3,) unit vector perpendicular to an axis, a function of the axis only."""
    side = np.eye(3)[np.argmin(np.abs(axis))]
    side = side - axis * (axis @ side)
    return side / np.linalg.norm(side)


@dataclass(frozen=True)
class RestingPoses:
    """Stable poses of an object on a plane.

    :param rotations: (K, 3, 3) from the object frame to one with z up
    :param likelihood: (K,) of each
    """

    rotations: np.ndarray
    likelihood: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh) -> RestingPoses:
        """All stable poses with a probability above 0.001 for a dropped object."""
        transforms, likelihood = trimesh.poses.compute_stable_poses(mesh.solid, n_samples=1, threshold=1e-3)
        if len(transforms) == 0:
            return cls(np.eye(3)[None], np.ones(1))
        return cls(np.asarray(transforms)[:, :3, :3], likelihood / likelihood.sum())


def render_views(mesh: Mesh, count: int, rng: np.random.Generator, symmetry: Symmetry = NO_SYMMETRY,
                 progress: bool = True) -> list[RenderedView]:
    """Render ``count`` views of the mesh with random orientation and distance."""
    resting = RestingPoses.of(mesh)
    with ViewRenderer(mesh) as renderer:
        return [renderer.render(facing_camera(symmetry, sample_orientation(rng, resting)),
                                rng.uniform(*DISTANCES_M))
                for _ in Progress(range(count), desc='rendering views', disable=not progress)]


def _pyramid(image: np.ndarray) -> list[np.ndarray]:
    levels = [image]
    while len(levels) < LEVELS:
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return levels


def _extended(normals: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """(S, S, 3) normals, of which those at the outline and beyond it are replaced by the nearest inside.

    They come from differences of depth, which mean nothing across the outline.

    :param covered: (S, S) uint8, 1 on the object
    """
    inside = cv2.erode(covered, np.ones((3, 3), np.uint8))
    if not inside.any():
        return normals
    row, column = ndimage.distance_transform_edt(inside == 0, return_distances=False, return_indices=True)
    return normals[row, column]


class ViewRenderer:
    """Renders a mesh alone and unlit, with depth, from any direction."""

    def __init__(self, mesh: Mesh):
        self._mesh = mesh
        spec = mujoco.MjSpec()
        spec.visual.global_.offwidth = spec.visual.global_.offheight = VIEW_SIZE
        spec.visual.headlight.ambient = [0, 0, 0]
        spec.visual.headlight.diffuse = [0, 0, 0]
        spec.visual.headlight.specular = [0, 0, 0]
        spec.visual.map.znear, spec.visual.map.zfar = 0.01, 100.0
        spec.stat.extent = 1.0
        add_textured_mesh(spec, mesh, 'object', emission=1.0)
        body = spec.worldbody.add_body(name='object', mocap=True)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname='object', material='object')
        spec.worldbody.add_camera(name='camera')  # at the origin, looking along -z
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, VIEW_SIZE, VIEW_SIZE)

    def __enter__(self) -> ViewRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self._renderer.close()

    def render(self, centred_from_object: np.ndarray, distance_m: float) -> RenderedView:
        """The view from ``distance_m`` (at least 1.3 radii) with the given orientation."""
        distance_m = max(distance_m, 1.3 * self._mesh.radius)
        half_angle = np.arctan(self._mesh.radius / distance_m / FILL)
        camera_from_object = make_transform(centred_from_object, (0, 0, distance_m)) @ make_transform(
            translation=-self._mesh.centre)
        colour, depth = self._draw(camera_from_object, half_angle)
        coordinates, normals = self._geometry(depth, camera_from_object, half_angle)
        covered = np.isfinite(coordinates[:, :, 0]).astype(np.uint8)
        normals = _extended(normals, covered)
        colour = np.dstack([colour, np.full_like(covered, 255)]) * covered[:, :, None]
        normals = np.rint(127.5 * (normals + 1)).astype(np.uint8)
        return RenderedView(centred_from_object, distance_m, _pyramid(colour), _pyramid(normals),
                    coordinates.astype(np.float16))

    def _draw(self, camera_from_object: np.ndarray, half_angle: float) -> tuple[np.ndarray, np.ndarray]:
        # MuJoCo's camera looks along -z with y up: a rotation by 180 degrees about x from the optical frame
        flip = np.diag([1.0, -1.0, -1.0])
        self._model.cam_fovy[0] = np.degrees(2 * half_angle)
        self._data.mocap_pos[0] = flip @ camera_from_object[:3, 3]
        mujoco.mju_mat2Quat(self._data.mocap_quat[0], (flip @ camera_from_object[:3, :3]).ravel())
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, 'camera')
        colour = self._renderer.render()[:, :, ::-1].copy()
        self._renderer.enable_depth_rendering()
        depth = self._renderer.render().copy()
        self._renderer.disable_depth_rendering()
        return colour, depth

    def _geometry(self, depth: np.ndarray, camera_from_object: np.ndarray,
                  half_angle: float) -> tuple[np.ndarray, np.ndarray]:
        """Object coordinates (NaN outside the object) and camera-frame normals of every pixel."""
        middle = (VIEW_SIZE - 1) / 2
        focal = VIEW_SIZE / 2 / np.tan(half_angle)
        u, v = np.meshgrid(np.arange(VIEW_SIZE) - middle, np.arange(VIEW_SIZE) - middle)
        points = np.dstack([u / focal, v / focal, np.ones_like(u)]) * depth[:, :, None]
        dv, du = np.gradient(points, axis=(0, 1))
        normals = np.cross(dv, du)
        normals /= np.linalg.norm(normals, axis=2, keepdims=True) + 1e-12
        rotation, translation = camera_from_object[:3, :3], camera_from_object[:3, 3]
        coordinates = ((points - translation) @ rotation - self._mesh.centre) / half_extents(self._mesh)
        on_object = depth < np.linalg.norm(translation) + 2 * self._mesh.radius
        return np.where(on_object[:, :, None], coordinates, np.nan), normals
