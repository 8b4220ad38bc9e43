# SPDX-License-Identifier: Apache-2.0
"""Rendering of the object alone, unlit and with depth, on the pixel grid of any camera, for image analyses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points
from posegrasp_ros.simulation.assets import add_textured_mesh
from posegrasp_ros.simulation.mujoco_model import OBJECT_GROUP, mujoco_quaternion
from posegrasp_ros.simulation.render import SceneRenderer

SIDE = 480
"""Side of the render buffer, pixels."""
MOST_SAMPLES = 3
FLIP = np.diag([1.0, -1.0, -1.0])
"""MuJoCo's cameras look along -z with y up."""


@dataclass(frozen=True, eq=False)
class ObjectImage:
    """A square window of a camera's image with the object in it, supersampled.

    :param colours: (480, 480, 3) uint8, blue green red, as in the mesh's texture; black outside the object
    :param depth_m: (480, 480) along the optical axis, NaN outside the object
    :param camera: of the whole image, without distortion, with pixels ``binning`` times as wide
    :param corner_px: (2,) the window's first pixel in that camera's image
    :param samples: rendered pixels per pixel of that camera, along each side
    :param binning: more than 1 where the object is too large in the image for the window
    """

    colours: np.ndarray
    depth_m: np.ndarray
    camera: Camera
    corner_px: np.ndarray
    samples: int
    binning: int

    @property
    def side(self) -> int:
        """Side of the window, in the camera's pixels."""
        return SIDE // self.samples

    def rays(self) -> np.ndarray:
        """(side, side, 2) x/z, y/z of the window's pixels."""
        return self._rays(1)

    def rendered_rays(self) -> np.ndarray:
        """(480, 480, 2) x/z, y/z of the rendered pixels."""
        return self._rays(self.samples)

    def inside(self) -> np.ndarray:
        """(side, side) bool: pixels inside the camera's image; the object is cut off at the others."""
        last = np.array([self.camera.width, self.camera.height]) - 1
        pixels = self._pixels(1)
        return np.all((pixels >= 0) & (pixels <= last), axis=2)

    def _rays(self, samples: int) -> np.ndarray:
        camera = self.camera
        return (self._pixels(samples) - (camera.cx, camera.cy)) / (camera.fx, camera.fy)

    def _pixels(self, samples: int) -> np.ndarray:
        """(side * samples, side * samples, 2) u, v in the camera's image."""
        v, u = np.mgrid[:self.side * samples, :self.side * samples]
        return (np.dstack([u, v]) + 0.5) / samples - 0.5 + self.corner_px


class ObjectRenderer:
    """Renders one mesh, without lens distortion. Close it when done, or use it in a ``with`` block.

    :raises posegrasp_ros.simulation.render.RenderingError: where there is no OpenGL
    """

    def __init__(self, mesh: Mesh):
        self.mesh = mesh
        spec = mujoco.MjSpec()
        spec.visual.global_.offwidth = spec.visual.global_.offheight = SIDE
        spec.visual.headlight.ambient = spec.visual.headlight.diffuse = spec.visual.headlight.specular = [0, 0, 0]
        spec.visual.map.znear, spec.visual.map.zfar = 0.02, 25.0
        spec.stat.extent = 1.0
        add_textured_mesh(spec, mesh, 'object', emission=1.0)
        body = spec.worldbody.add_body(name='object', mocap=True)
        body.add_geom(name='object', type=mujoco.mjtGeom.mjGEOM_MESH, meshname='object', material='object',
                      group=OBJECT_GROUP)
        spec.worldbody.add_camera(name='camera', sensor_size=[SIDE, SIDE], focal_length=[SIDE, SIDE],
                                  resolution=[SIDE, SIDE])
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._renderer = SceneRenderer(self._model, Camera(SIDE, SIDE, np.diag([SIDE, SIDE, 1.0])))

    def __enter__(self) -> ObjectRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the model's OpenGL resources; may be called twice."""
        self._renderer.close()

    def render(self, camera: Camera, camera_from_object: np.ndarray, margin_px: int = 4,
               drawn_pose: np.ndarray | None = None) -> ObjectImage:
        """Render the window with the object and a margin of ``margin_px``.

        :param camera_from_object: (4, 4), with the whole object in front of the camera
        :param drawn_pose: (4, 4) camera_from_object to draw in that window, if it differs
        """
        camera = replace(camera, distortion=np.zeros(0), model='plumb_bob')
        camera, corner_px, samples, binning = self._window(camera, camera_from_object, margin_px)
        drawn = camera_from_object if drawn_pose is None else drawn_pose
        self._data.mocap_pos[0] = FLIP @ drawn[:3, 3]
        self._data.mocap_quat[0] = mujoco_quaternion(FLIP @ drawn[:3, :3])
        # MuJoCo's principal point is relative to the centre, in an image rotated by 180 degrees
        off_middle = camera.matrix[:2, 2] - corner_px - (SIDE / samples - 1) / 2
        self._model.cam_intrinsic[0] = samples * np.array([camera.fx, camera.fy, *-off_middle])
        mujoco.mj_forward(self._model, self._data)
        depth_m = self._renderer.depth_m(self._data)
        colours = np.where(np.isnan(depth_m)[..., None], 0, self._renderer.image(self._data)).astype(np.uint8)
        return ObjectImage(colours, depth_m, camera, corner_px, samples, binning)

    def _window(self, camera: Camera, camera_from_object: np.ndarray,
                margin_px: int) -> tuple[Camera, np.ndarray, int, int]:
        """Camera, corner, samples and binning of a window, see :class:`ObjectImage`."""
        pixels = camera.project(transform_points(camera_from_object, self.mesh.vertices))
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        binning = int(np.ceil(np.max(high - low) / (SIDE - 2 * margin_px - 2)))
        if binning > 1:
            camera = camera.resized(-(-camera.width // binning), -(-camera.height // binning))
            low, high = (low + 0.5) / binning - 0.5, (high + 0.5) / binning - 0.5
        needed = np.max(high - low) + 2 * margin_px + 2
        samples = max(k for k in range(1, MOST_SAMPLES + 1) if k == 1 or SIDE / k >= needed)
        corner_px = np.round((low + high) / 2 - (SIDE / samples - 1) / 2)
        return camera, corner_px, samples, binning
