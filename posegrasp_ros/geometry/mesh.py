# SPDX-License-Identifier: Apache-2.0
"""Mesh: a textured triangle mesh in metres, read from the formats that trimesh reads."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import trimesh
from trimesh.visual import ColorVisuals, TextureVisuals

from posegrasp_ros.geometry import vertex_colours
from posegrasp_ros.geometry.mesh_files import MeshFiles, read_mesh_bytes, size_problem
from posegrasp_ros.geometry.mesh_parts import colour_alike
from posegrasp_ros.geometry.mesh_shells import faces_to_turn, oriented_shells
from posegrasp_ros.geometry.mesh_units import (
    LEAST_SIZE_M,
    MOST_SIZE_M,
    in_other_units,
    is_plausible,
    is_too_wide,
    stated_unit_m,
)
from posegrasp_ros.geometry.repaired_solid import is_sound, repaired_solid
from posegrasp_ros.geometry.transforms import Symmetry, make_transform, rotation_from_vector
from posegrasp_ros.runtime.data_files import check_is_file
from posegrasp_ros.runtime.errors import InvalidInputError

LOGGER = logging.getLogger(__name__)
FAR_SIZES = 3.0  # an origin so many diagonals away is that of another part, or of a whole assembly


class MeshError(InvalidInputError):
    """A mesh file that cannot be used."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with one colour per texture point; meshes of the same content are equal.

    :param vertices: (V, 3) metres, object frame
    :param faces: (F, 3) indices, counter-clockwise from outside
    :param uv: (V, 2) texture coordinates, v up, or None for a plain colour
    :param texture: (H, W, 3) uint8 blue green red, row 0 at v = 1; (1, 1, 3) for a plain colour
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None
    texture: np.ndarray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mesh) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @cached_property
    def sha256(self) -> bytes:
        """Hash of all arrays, the cache key for results that are expensive to compute from a mesh."""
        arrays = [self.vertices, self.faces, self.texture] + ([] if self.uv is None else [self.uv])
        content = hashlib.sha256()
        for array in map(np.ascontiguousarray, arrays):
            content.update(f'{array.shape} {array.dtype.str};'.encode())
            content.update(array.data)
        return content.digest()

    @cached_property
    def extents(self) -> np.ndarray:
        """(3,) side lengths of the axis-aligned bounding box, metres."""
        return np.ptp(self.vertices, axis=0)

    @cached_property
    def centre(self) -> np.ndarray:
        """(3,) centre of the axis-aligned bounding box, metres."""
        return (self.vertices.min(axis=0) + self.vertices.max(axis=0)) / 2

    @cached_property
    def radius(self) -> float:
        """Largest distance of a vertex from :attr:`centre`, metres."""
        return float(np.linalg.norm(self.vertices - self.centre, axis=1).max())

    @cached_property
    def diameter(self) -> float:
        """Largest distance between two vertices, metres, as BOP defines it."""
        hull = self.vertices if len(self.vertices) < 5 else trimesh.convex.convex_hull(self.vertices).vertices
        return float(max(np.linalg.norm(hull - vertex, axis=1).max() for vertex in hull))

    @cached_property
    def merged(self) -> trimesh.Trimesh:
        """The same triangles with coincident vertices merged."""
        merged = trimesh.Trimesh(self.vertices, self.faces, process=False)
        merged.merge_vertices(merge_tex=True, merge_norm=True)
        return merged

    @cached_property
    def solid(self) -> trimesh.Trimesh:
        """The closed solid for grasps, contacts and mass: :attr:`merged` where that is one, else repaired."""
        return repaired_solid(self.merged)

    def outward(self) -> Mesh:
        """The same mesh with all triangles counter-clockwise from outside; renderers cull the others."""
        if is_sound(self.merged):
            return self
        turn = faces_to_turn(self.merged, oriented_shells(self.merged))
        if not turn.any():
            return self
        return replace(self, faces=np.where(turn[:, None], self.faces[:, ::-1], self.faces))


def load_mesh(path: str | Path) -> Mesh:
    """Read a mesh with its texture; colours of vertices or faces become a texture, all triangles face outward.

    Lengths are in the unit that the file states (Collada, 3MF, glTF), else in metres. Axes are those of the file.

    :raises MeshError: when the file is missing, unreadable, empty, or evidently not in metres
    """
    path = Path(path)
    check_is_file(path, MeshError)
    files = MeshFiles(path)
    try:
        scene = trimesh.load(io.BytesIO(read_mesh_bytes(path)), file_type=path.suffix[1:].lower(), resolver=files,
                             force='scene', process=False)
        if not isinstance(scene, trimesh.Scene):
            raise TypeError(f'expected triangles, found {type(scene).__name__}')
        colour_alike(scene.geometry.values())
        loaded = trimesh.util.concatenate([part for part in scene.dump() if isinstance(part, trimesh.Trimesh)])
        if not isinstance(loaded, trimesh.Trimesh) or loaded.visual is None:
            raise TypeError(f'expected triangles, found {type(loaded).__name__}')
        unit_m = stated_unit_m(loaded)
        vertices, faces = np.asarray(loaded.vertices, dtype=float), np.asarray(loaded.faces, dtype=int)
    except Exception as error:  # on damaged files trimesh's readers raise exceptions of any type
        reason = '; '.join(files.problems) or ' '.join(str(error).split()) or type(error).__name__
        if getattr(error, 'name', '') == 'charset_normalizer':  # trimesh would guess an encoding with it
            reason = 'expected text in UTF-8 in it, found other bytes'
        raise MeshError(f'{path}: cannot be read as a mesh: {reason}') from error
    if files.problems:
        raise MeshError(f'{path}: names a file that cannot be used: {"; ".join(files.problems)}')
    if len(faces) == 0 or len(vertices) == 0:
        raise MeshError(f'{path}: expected triangles, found none')
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise MeshError(f'{path}: expected triangles of its {len(vertices)} vertices, found one of number '
                        f'{faces.max() + 1}')
    if not np.isfinite(vertices).all():
        raise MeshError(f'{path}: expected finite vertices, found NaN or infinity')
    if unit_m not in (None, 1.0):
        vertices = vertices * unit_m
    extents = np.ptp(vertices, axis=0)
    if not is_plausible(extents):
        states = '' if unit_m is None else f', in the unit of {unit_m:g} m that it states'
        raise MeshError(f'{path}: expected a size in metres between {LEAST_SIZE_M:g} and {MOST_SIZE_M:g}, got '
                        f'{extents.max():g}{states}{in_other_units(extents / (unit_m or 1.0))}')
    if unit_m is None and is_too_wide(extents):
        LOGGER.warning('%s: read in metres, narrowest side %.2g m%s', path, extents.min(), in_other_units(extents))
    off_m = float(np.linalg.norm((vertices.min(axis=0) + vertices.max(axis=0)) / 2))
    if off_m > FAR_SIZES * np.linalg.norm(extents):
        LOGGER.warning('%s: the origin lies %.3g m from the middle of the mesh, which is %.3g m long: a pose that '
                       'is turned by 1 degree has a position that is off by %.2g m; move the mesh to its origin',
                       path, off_m, extents.max(), off_m * np.radians(1))
    colours = _corner_colours(loaded.visual, faces)
    if colours is None:
        return Mesh(vertices, faces, *_appearance(path, loaded.visual)).outward()
    # Texture coordinates are per vertex and each triangle has its own texture patch: duplicate the vertices.
    corners = vertices[faces]
    uv, texture = vertex_colours.bake(corners, colours)
    faces = np.arange(3 * len(faces)).reshape(-1, 3)
    return Mesh(corners.reshape(-1, 3), faces, uv.reshape(-1, 2), texture).outward()


def _corner_colours(visual: ColorVisuals | TextureVisuals, faces: np.ndarray) -> np.ndarray | None:
    """(F, 3, 3) blue green red at the triangles' corners; None when not coloured per vertex or face."""
    if not isinstance(visual, ColorVisuals) or visual.kind is None:
        return None
    if visual.kind == 'vertex':
        colours = np.asarray(visual.vertex_colors)[faces]
    else:
        colours = np.repeat(np.asarray(visual.face_colors)[:, None], 3, axis=1)
    one_colour = (colours == colours[0, 0]).all()
    return None if one_colour else colours[..., 2::-1].astype(float)


def _appearance(path: Path, visual: ColorVisuals | TextureVisuals) -> tuple[np.ndarray | None, np.ndarray]:
    """Texture coordinates and image; a uniform colour when the mesh has no texture.

    :raises MeshError: when the image within the file cannot be used
    """
    if isinstance(visual, ColorVisuals):
        return None, _one_pixel(np.asarray(visual.vertex_colors)[:, :3].mean(axis=0))
    image = getattr(visual.material, 'image', None) or getattr(visual.material, 'baseColorTexture', None)
    if visual.uv is not None and image is not None:
        try:
            if problem := size_problem(image):
                raise MeshError(f'{path}: texture: {problem}')
            if image.mode.startswith(('I', 'F')):  # Pillow would cut them off at white
                raise MeshError(f'{path}: texture: expected 8 bits a colour, got {image.mode}')
            return np.asarray(visual.uv, dtype=float), np.asarray(image.convert('RGB'))[:, :, ::-1].copy()
        except (OSError, SyntaxError) as error:  # from Pillow, which decodes only now
            raise MeshError(f'{path}: texture: expected an image that can be decoded: {error}') from error
    return None, _one_pixel(np.asarray(visual.material.main_color)[:3])


def _one_pixel(rgb: np.ndarray) -> np.ndarray:
    """(1, 1, 3) texture of one colour."""
    return rgb[::-1].astype(np.uint8).reshape(1, 1, 3)


def save_mesh(mesh: Mesh, folder: Path) -> Path:
    """Write mesh.obj, mesh.mtl and texture.png into ``folder``; returns the path of mesh.obj."""
    folder.mkdir(parents=True, exist_ok=True)
    uv = mesh.uv if mesh.uv is not None else np.full((len(mesh.vertices), 2), 0.5)
    lines = ['mtllib mesh.mtl', 'usemtl material']
    lines += [f'v {x:.7g} {y:.7g} {z:.7g}' for x, y, z in mesh.vertices]
    lines += [f'vt {u:.6f} {v:.6f}' for u, v in uv]
    lines += ['f ' + ' '.join(f'{index + 1}/{index + 1}' for index in face) for face in mesh.faces]
    (folder / 'mesh.obj').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    (folder / 'mesh.mtl').write_text('newmtl material\nKd 1 1 1\nmap_Kd texture.png\n', encoding='utf-8')
    cv2.imwrite(str(folder / 'texture.png'), mesh.texture)
    return folder / 'mesh.obj'


def declared_symmetry(mesh: Mesh, axis: str | None, half_turns: Iterable[str] = ()) -> Symmetry:
    """The symmetries that a user declares for a mesh, about axes of its frame through its centre.

    :param axis: ``x``, ``y`` or ``z``: the axis of a continuous rotational symmetry; None for none
    :param half_turns: axes of 180 degree rotational symmetries
    :raises InvalidInputError: when they are incompatible
    """
    axes = dict(zip('xyz', np.eye(3)))
    turns = [rotation_from_vector(np.pi * axes[name]) for name in half_turns]
    try:
        return Symmetry.generated([make_transform(turn, mesh.centre - turn @ mesh.centre) for turn in turns],
                                  axes[axis] if axis else None, mesh.centre)
    except ValueError as error:
        raise InvalidInputError(f'--symmetry-axis, --symmetry-half-turn: {error}') from error
