# SPDX-License-Identifier: Apache-2.0
"""Rendering of a compiled world: colour image, depth and visible fraction of the object."""

from __future__ import annotations

import atexit
import os
import weakref

import cv2
import mujoco
import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import transform_points
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.mujoco_model import ALONE_GROUP, HAND_GROUP, OBJECT_GROUP, ROOM_GROUP

# Unused OpenGL contexts. The first use of a context compiles its shaders, 0.2 s in software; with reuse, a run
# over hundreds of scenes pays this once. Each renderer has its own context, so threads share none.
_idle_contexts: list[mujoco.GLContext] = []
_open_renderers: weakref.WeakSet[SceneRenderer] = weakref.WeakSet()


class RenderingError(InvalidInputError):
    """Rendering is not possible on this machine."""


class SceneRenderer:
    """Renders one model; close it when done.

    :param camera: size of the images; the view is that of the model's camera called ``camera``
    :raises RenderingError: where there is no OpenGL
    """

    def __init__(self, model: mujoco.MjModel, camera: Camera):
        self._model = model
        self._shape = (camera.height, camera.width, 3)
        self._viewport = mujoco.MjrRect(0, 0, camera.width, camera.height)
        self._view = mujoco.MjvCamera()
        self._view.type, self._view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera('camera').id
        self._scene = mujoco.MjvScene(model, maxgeom=200)
        self._context = _idle_contexts.pop() if _idle_contexts else mujoco.GLContext(64, 64)
        self._context.make_current()
        try:
            self._resources = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        except mujoco.FatalError as error:
            raise RenderingError(
                f'MuJoCo cannot render with MUJOCO_GL={os.environ.get("MUJOCO_GL", "")}: {error}: expected '
                'osmesa (Debian: libosmesa6) or egl, set before mujoco is first imported') from error
        _open_renderers.add(self)

    def image(self, data: mujoco.MjData, show_hand: bool = False, show_object: bool = True) -> np.ndarray:
        """Colour image, (H, W, 3) uint8, blue green red."""
        shown = {ROOM_GROUP: True, OBJECT_GROUP: show_object, HAND_GROUP: show_hand}
        groups = tuple(group for group, is_shown in shown.items() if is_shown)
        return cv2.cvtColor(self._render(data, groups), cv2.COLOR_RGB2BGR)

    def depth_m(self, data: mujoco.MjData, show_object: bool = True) -> np.ndarray:
        """(H, W) float32 distances along the optical axis, NaN where there is no surface."""
        groups = (ROOM_GROUP, OBJECT_GROUP) if show_object else (ROOM_GROUP,)
        self._draw(data, groups, segment=True)
        self._resources.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        buffer = np.empty(self._shape[:2], dtype=np.float32)
        mujoco.mjr_readPixels(None, buffer, self._viewport, self._resources)
        near, far = (float(edge * self._model.stat.extent)
                     for edge in (self._model.vis.map.znear, self._model.vis.map.zfar))
        # The buffer is 1 at the near plane and 0 at the far plane, linear in 1 / z.
        inverse = buffer.astype(np.float64)
        depth = np.where(inverse > 0, far * near / (inverse * (far - near) + near), np.nan)
        return np.flipud(depth).astype(np.float32)

    def unoccluded_share(self, data: mujoco.MjData, geom: str = 'object') -> float:
        """Fraction of a geom's pixels inside the image that are not occluded."""
        alone = np.count_nonzero(self.object_mask(data, alone=True, geom=geom))
        return int(np.count_nonzero(self.object_mask(data, geom=geom))) / int(alone) if alone else 0.0

    def object_mask(self, data: mujoco.MjData, alone: bool = False, geom: str = 'object') -> np.ndarray:
        """(H, W) uint8, 255 at a geom's pixels; in segmentation mode geom n has colour n + 1, red first.

        :param alone: with nothing else in the scene, so also those that something hides
        """
        index = self._model.geom(geom).id
        group = int(self._model.geom_group[index])
        self._model.geom_group[index] = ALONE_GROUP if alone else group
        picture = self._render(data, (ALONE_GROUP,) if alone else (ROOM_GROUP, OBJECT_GROUP), segment=True)
        self._model.geom_group[index] = group
        number = next(each.segid for each in self._scene.geoms[:self._scene.ngeom]
                      if each.objtype == mujoco.mjtObj.mjOBJ_GEOM and each.objid == index) + 1
        colour = (number & 0xFF, number >> 8 & 0xFF, number >> 16 & 0xFF)
        return cv2.inRange(picture, colour, colour)

    def close(self) -> None:
        """Free the model's OpenGL resources; may be called twice."""
        if self._context is None:
            return
        self._context.make_current()
        self._resources.free()
        _idle_contexts.append(self._context)
        self._context = None
        _open_renderers.discard(self)

    def _render(self, data: mujoco.MjData, groups: tuple[int, ...], segment: bool = False) -> np.ndarray:
        """(H, W, 3) uint8, red green blue, of the geoms in some groups."""
        self._draw(data, groups, segment)
        picture = np.empty(self._shape, dtype=np.uint8)
        mujoco.mjr_readPixels(picture, None, self._viewport, self._resources)
        return np.flipud(picture)

    def _draw(self, data: mujoco.MjData, groups: tuple[int, ...], segment: bool) -> None:
        """Draw the geoms in some groups into the off-screen buffers."""
        shown = mujoco.MjvOption()
        shown.geomgroup[:] = [group in groups for group in range(mujoco.mjNGROUP)]
        mujoco.mjv_updateScene(self._model, data, shown, mujoco.MjvPerturb(), self._view,
                               mujoco.mjtCatBit.mjCAT_ALL, self._scene)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = segment
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = segment
        self._context.make_current()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._resources)
        mujoco.mjr_render(self._viewport, self._scene, self._resources)


@atexit.register
def _free_contexts() -> None:
    """Free all contexts while OpenGL is still loaded; the interpreter's order at exit would crash."""
    for renderer in list(_open_renderers):
        renderer.close()
    while _idle_contexts:
        _idle_contexts.pop().free()


def inside_share(mesh: Mesh, camera: Camera, camera_from_object: np.ndarray) -> float:
    """Fraction of the object's silhouette inside the image borders."""
    points = transform_points(camera_from_object, mesh.vertices)
    pixels = camera.project(points)
    if not np.isfinite(pixels).all():
        return 0.0
    size = np.array([camera.width, camera.height])
    if (pixels > -0.5).all() and (pixels < size - 0.5).all():
        return 1.0
    # Drawn on a canvas of twice the size with the image at its centre.
    canvas = np.zeros((2 * camera.height, 2 * camera.width), dtype=np.uint8)
    for triangle in np.round(pixels + size / 2).astype(np.int32)[mesh.faces]:
        cv2.fillConvexPoly(canvas, triangle, 1)
    x, y = camera.width // 2, camera.height // 2
    shown = int(canvas[y:y + camera.height, x:x + camera.width].sum())
    return shown / max(int(canvas.sum()), 1)
