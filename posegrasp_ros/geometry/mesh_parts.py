# SPDX-License-Identifier: Apache-2.0
"""Parts of a mesh file that are coloured in different ways.

trimesh silently drops all colours and textures where it joins a part with colours of vertices and one without.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import trimesh
from trimesh.visual import ColorVisuals
from trimesh.visual.color import DEFAULT_COLOR


def colour_alike(parts: Iterable[object]) -> None:
    """Give plain parts colours of vertices where others have them.

    :raises ValueError: when parts with a texture are among them
    """
    meshes = [part for part in parts if isinstance(part, trimesh.Trimesh)]
    others = [mesh for mesh in meshes if not _has_colours(mesh)]
    if len(others) == len(meshes):
        return
    for mesh in others:
        material = getattr(mesh.visual, 'material', None)
        if any(getattr(material, name, None) is not None for name in ('image', 'baseColorTexture')):
            raise ValueError('expected parts that all have textures, or none, found some with a texture and some '
                             'with colours of vertices or faces: bake them into one texture')
        colour: Any = DEFAULT_COLOR if material is None else material.main_color
        mesh.visual = ColorVisuals(mesh, vertex_colors=np.tile(colour, (len(mesh.vertices), 1)))


def _has_colours(mesh: trimesh.Trimesh) -> bool:
    """Whether each vertex or face has a colour of its own."""
    return isinstance(mesh.visual, ColorVisuals) and mesh.visual.kind is not None
