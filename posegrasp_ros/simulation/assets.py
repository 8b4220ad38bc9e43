# SPDX-License-Identifier: Apache-2.0
"""Textured meshes and painted materials as MuJoCo assets."""

from __future__ import annotations

import cv2
import mujoco
import numpy as np

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.simulation.textures import Texture, paint

_RGB = mujoco.mjtTextureRole.mjTEXROLE_RGB


def add_textured_mesh(spec: mujoco.MjSpec, mesh: Mesh, name: str, emission: float = 0.0) -> None:
    """Register a mesh and its material, both called ``name``, for geoms to use.

    :param emission: 1.0 shows the texture unlit
    """
    image = cv2.cvtColor(mesh.texture, cv2.COLOR_BGR2RGB)
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=image.shape[1],
                               height=image.shape[0], nchannel=3)
    texture.data = image.tobytes()
    material = spec.add_material(name=name, emission=emission, specular=0.2, shininess=0.3)
    material.textures[_RGB] = name
    # Shell inertia is defined for any mesh; the compiler refuses an open mesh without volume otherwise.
    asset = spec.add_mesh(name=name, uservert=mesh.vertices.ravel(), userface=mesh.faces.ravel(),
                          inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    if mesh.uv is not None:
        # MuJoCo's v points down from the texture's first row; here v points up.
        asset.usertexcoord = np.column_stack([mesh.uv[:, 0], 1.0 - mesh.uv[:, 1]]).ravel()
        asset.userfacetexcoord = mesh.faces.ravel()


def add_painted_material(
    spec: mujoco.MjSpec, texture: Texture, name: str, size: int = 256, repeat: float = 1.0, flat: bool = False
) -> None:
    """Register a procedural texture and its material, both called ``name``.

    :param repeat: number of repetitions of the picture along a side
    :param flat: for floors and table tops; else one picture for each side of a solid
    """
    picture = paint(texture, size)
    kind = mujoco.mjtTexture.mjTEXTURE_2D if flat else mujoco.mjtTexture.mjTEXTURE_CUBE
    _add_texture(spec, name, kind, picture if flat else np.concatenate([picture] * 6))
    material = spec.add_material(name=name, texrepeat=[repeat, repeat], specular=0.2, shininess=0.3)
    material.textures[_RGB] = name


def add_sky(spec: mujoco.MjSpec, texture: Texture, size: int = 256) -> None:
    """Put a procedural picture on every side of the horizon."""
    _add_texture(spec, 'sky', mujoco.mjtTexture.mjTEXTURE_SKYBOX, np.concatenate([paint(texture, size)] * 6))


def _add_texture(spec: mujoco.MjSpec, name: str, kind: mujoco.mjtTexture, picture: np.ndarray) -> None:
    texture = spec.add_texture(name=name, type=kind, width=picture.shape[1], height=picture.shape[0],
                               nchannel=3)
    texture.data = picture.tobytes()
