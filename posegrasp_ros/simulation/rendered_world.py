# SPDX-License-Identifier: Apache-2.0
"""RenderedWorld: a simulated world whose renderer is opened at the first look and freed at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.simulation.mujoco_model import mujoco_quaternion, place_camera
from posegrasp_ros.simulation.render import SceneRenderer

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11


class RenderedWorld:
    """A compiled model and the camera to render it with. Close it when done, or use it with ``with``.

    :param camera: the one that is rendered
    """

    def __init__(self, model: mujoco.MjModel, camera: Camera):
        self._model, self._data = model, mujoco.MjData(model)
        self._rendered_camera = camera
        self._renderer: SceneRenderer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the renderer; looking again makes a new one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _place(self, base_from_camera: np.ndarray | None, occluders: Mapping[int, np.ndarray]) -> None:
        """Put camera and occluders elsewhere; the caller computes what follows from that.

        :param base_from_camera: (4, 4); None where it stays
        :param occluders: (4, 4) base_from_body by their index in the scene; others stay
        """
        if base_from_camera is not None:
            place_camera(self._model, base_from_camera)
        for index, pose in occluders.items():
            geom = self._model.geom(f'occluder_{index}')
            self._model.geom_sameframe[geom.id] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE  # else it stays aligned
            geom.pos, geom.quat = pose[:3, 3], mujoco_quaternion(pose[:3, :3])

    def _open_renderer(self) -> SceneRenderer:
        if self._renderer is None:
            self._renderer = SceneRenderer(self._model, self._rendered_camera)
        return self._renderer
