# SPDX-License-Identifier: Apache-2.0
"""MeshFiles: finds the materials and textures that a mesh file references and reports missing ones.

trimesh silently continues without missing files, but for an estimator a mesh without its texture is a different
object.
"""

from __future__ import annotations

import zipfile
from pathlib import Path, PureWindowsPath

from PIL import Image, UnidentifiedImageError
from trimesh.resolvers import Resolver

from posegrasp_ros.geometry.mesh_damage import check_undamaged, is_no_binary_stl
from posegrasp_ros.runtime.limits import MEGAPIXELS, MESH_MEGABYTES, most_mesh_bytes, most_pixels

TEXTS = ('.obj', '.mtl', '.dae', '.ply', '.off', '.x3d')
IMAGES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.tga', '.webp')


class MeshFiles(Resolver):
    """Reads files referenced by a mesh, from its own folder and below.

    :param mesh_path: the mesh file
    :ivar problems: files that could not be read, one line each
    """

    def __init__(self, mesh_path: Path):
        self._folder = mesh_path.parent
        self.problems: list[str] = []

    def get(self, name: str) -> bytes:
        """The content of a file; text that is not UTF-8, as older tools write it, is decoded as Latin-1.

        :raises FileNotFoundError: when there is no such file, or it cannot be used
        """
        name = name.strip()
        path = self._find(name)
        problem = 'no such file in the folder of the mesh' if path is None else _image_problem(path)
        if path is None or problem:
            self.problems.append(f'{name!r}: {problem}')
            raise FileNotFoundError(name)
        return read_mesh_bytes(path)

    def keys(self) -> list[str]:
        """Names of the files in the folder of the mesh."""
        return [path.name for path in self._folder.iterdir() if path.is_file()]

    def namespaced(self, namespace: str) -> MeshFiles:
        """Resolver for a subfolder; names are still resolved relative to the mesh."""
        return self

    def write(self, name: str, data: bytes) -> None:
        """Refuse to write."""
        raise OSError(f'{name}: mesh files are read-only here')

    def _find(self, name: str) -> Path | None:
        """Find a file relative to the mesh, ignoring case and with either kind of slash."""
        # Of an absolute path, only the file name is meaningful on another machine.
        wanted = PureWindowsPath(name)
        is_relative = not (wanted.drive or wanted.root or '..' in wanted.parts)
        parts = wanted.parts if is_relative else wanted.parts[-1:]
        folder = self._folder
        for index, part in enumerate(parts):
            if not folder.is_dir():
                return None
            same = [path for path in folder.iterdir() if path.name.lower() == part.lower()]
            exact = [path for path in same if path.name == part]
            if not same:
                return None
            folder = (exact or sorted(same))[0]
            if index == len(parts) - 1:
                return folder if folder.is_file() else None
        return None


def read_mesh_bytes(path: Path) -> bytes:
    """The content of a mesh or material file, text converted to UTF-8.

    :raises ValueError: when it, or its content once unpacked, is too large, or it is evidently damaged
    """
    size = path.stat().st_size
    if zipfile.is_zipfile(path):  # 3MF is a zip archive, and trimesh reads meshes from others
        with zipfile.ZipFile(path) as archive:
            size = max(size, sum(entry.file_size for entry in archive.infolist()))
    if size > most_mesh_bytes():
        raise ValueError(f'expected at most {most_mesh_bytes() / 1e6:g} MB, got {size / 1e6:g}; use a coarser one '
                         f'or set the environment variable {MESH_MEGABYTES}')
    content = path.read_bytes()
    check_undamaged(path, content)
    is_text_stl = path.suffix.lower() == '.stl' and is_no_binary_stl(content)
    if path.suffix.lower() not in TEXTS and not is_text_stl:
        return content
    try:
        content.decode('utf-8')
    except UnicodeDecodeError:
        # Binary PLY is not text, although its header is ASCII.
        return content if b'format binary' in content[:200] else content.decode('latin-1').encode('utf-8')
    return content


def _image_problem(path: Path) -> str:
    """Why an image cannot be used as a texture; empty when it can, and for other files."""
    if path.suffix.lower() not in IMAGES:
        return ''
    try:
        with Image.open(path) as image:
            return size_problem(image)
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        return f'expected an image: {error}'


def size_problem(image: Image.Image) -> str:
    """Error text for an image too large for a texture; empty when it is not. The image is not decoded."""
    width, height = image.size
    if width * height > most_pixels():
        return (f'expected at most {most_pixels() / 1e6:g} megapixels, got {width}x{height}; the environment '
                f'variable {MEGAPIXELS} sets the limit')
    return ''
