# SPDX-License-Identifier: Apache-2.0
"""Backgrounds of training images: photographs, procedural textures, simulated tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.progress import Progress

SIMULATED_SCENES = 240
"""Half of them rough, see :mod:`posegrasp_ros.simulation.rough_scene`."""
PROCEDURAL_IMAGES = 160
"""Half of them patterns of high contrast, which are hardest to tell an outline from."""
MOST_SIDE_PX = 480
_NO_PHOTOGRAPHS = ('cell', 'chessboard', 'horse', 'ihc', 'logo', 'microaneurysms', 'phantom', 'retina')


class Backgrounds:
    """Images from which random patches are taken.

    :param images: (H, W, 3) uint8 blue green red, any sizes
    """

    def __init__(self, images: list[np.ndarray]):
        self._images = images

    def patch(self, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 from a random place, scale, flip and colour of a random image."""
        image = self._images[rng.integers(len(self._images))]
        largest = min(image.shape[1] / width, image.shape[0] / height)
        scale = largest * rng.uniform(0.3, 1.0)
        w, h = max(8, int(width * scale)), max(8, int(height * scale))
        x, y = rng.integers(image.shape[1] - w + 1), rng.integers(image.shape[0] - h + 1)
        patch = cv2.resize(image[y:y + h, x:x + w], (width, height), interpolation=cv2.INTER_LINEAR)
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        if rng.random() < 0.3:
            patch = patch[:, :, rng.permutation(3)]
        return patch


def load_backgrounds(rng: np.random.Generator, folder: Path | None = None, progress: bool = True,
                     frames: Sequence[np.ndarray] = ()) -> Backgrounds:
    """Photographs of scikit-image (or of ``folder``), procedural textures, simulated tables.

    :param frames: (H, W, 3) uint8 blue green red, without the object; about half of the backgrounds are these
    :raises InvalidInputError: when ``folder`` has no readable image
    """
    photographs = _photographs(folder)
    procedural = [each(rng) for _ in range(PROCEDURAL_IMAGES // 2) for each in (_procedural, _patterned)]
    simulated = _simulated(rng, progress)
    # photographs are repeated because there are few of them and they are the most realistic
    generic = photographs * max(1, 150 // len(photographs)) + procedural + simulated
    return Backgrounds(generic + list(frames) * round(len(generic) / max(1, len(frames))))


def _photographs(folder: Path | None) -> list[np.ndarray]:
    if folder is None:
        import skimage.data

        paths = [path for path in sorted(Path(skimage.data.__file__).parent.glob('*.*g'))
                 if not path.stem.startswith(_NO_PHOTOGRAPHS)]
    else:
        paths = sorted(path for path in Path(folder).rglob('*')
                       if path.suffix.lower() in ('.jpg', '.jpeg', '.png'))
    images = [image for image in (cv2.imread(str(path)) for path in paths) if image is not None]
    images = [image for image in images if min(image.shape[:2]) >= 100]
    if not images:
        raise InvalidInputError(
            f'{folder}: expected photographs (.jpg, .png) of at least 100x100 pixels, found none')
    return [at_most(image) for image in images]


def at_most(image: np.ndarray, side: int = MOST_SIDE_PX) -> np.ndarray:
    """The image, shrunk where its longer side is above ``side`` pixels."""
    scale = side / max(image.shape[:2])
    return image if scale >= 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _procedural(rng: np.random.Generator, side: int = 384) -> np.ndarray:
    """Noise of several octaves between random colours, with a random number of discs and polygons on it."""
    field: np.ndarray = np.zeros((side, side, 3), np.float32)
    for octave in range(1, 7):
        cells = 2 ** octave
        noise = rng.random((cells, cells, 3 if rng.random() < 0.5 else 1)).astype(np.float32)
        smooth = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC).reshape(side, side, -1)
        field += smooth * rng.uniform(0.3, 1.0) / octave
    low, high = np.min(field), np.max(field)
    field = (field - low) / (high - low)
    first, second = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    image = np.ascontiguousarray((first + field * (second - first)).astype(np.uint8))
    for _ in range(rng.integers(0, 25)):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        centre = rng.integers(0, side, 2)
        if rng.random() < 0.4:
            cv2.circle(image, [int(v) for v in centre], int(rng.integers(4, 60)), colour, -1, cv2.LINE_AA)
        else:
            corners = centre + rng.integers(-80, 80, (rng.integers(3, 6), 2))
            cv2.fillPoly(image, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    return image


def _patterned(rng: np.random.Generator, side: int = 384) -> np.ndarray:
    """Two surfaces with stripes, checks, tiles or print, seen at an angle, that meet along a line."""
    from posegrasp_ros.simulation.clutter import sample_strong_texture
    from posegrasp_ros.simulation.textures import paint

    square = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    first, second = (cv2.warpPerspective(
        paint(sample_strong_texture(rng)), cv2.getPerspectiveTransform(square * np.float32(256 / side), (
            square + rng.uniform(-0.5, 0.5, (4, 2)) * side).astype(np.float32)), (side, side),
        borderMode=cv2.BORDER_REFLECT) for _ in range(2))
    direction = rng.normal(size=2)
    v, u = np.indices((side, side)) - side / 2
    beyond = (u * direction[0] + v * direction[1]) / np.linalg.norm(direction) > rng.uniform(-0.4, 0.4) * side
    return np.where(beyond[..., None], first, second)


def _simulated(rng: np.random.Generator, progress: bool) -> list[np.ndarray]:
    """Images of simulated tables with distractors, and of rough scenes; a plain ball replaces the object."""
    import trimesh

    from posegrasp_ros.geometry.mesh import Mesh
    from posegrasp_ros.simulation.rough_scene import sample_rough_scene
    from posegrasp_ros.simulation.rough_world import RoughWorld
    from posegrasp_ros.simulation.scene import sample_scene
    from posegrasp_ros.simulation.world import World

    images = []
    for number in Progress(range(SIMULATED_SCENES), desc='rendering backgrounds', disable=not progress):
        ball = trimesh.creation.icosphere(subdivisions=2, radius=rng.uniform(0.01, 0.04))
        mesh = Mesh(np.asarray(ball.vertices), np.asarray(ball.faces), None,
                    rng.integers(0, 256, (1, 1, 3)).astype(np.uint8))
        if number % 2:
            with RoughWorld(mesh, sample_rough_scene(rng, mesh)) as rough:
                images.append(at_most(rough.frame(show_object=False).image))
        else:
            with World(mesh, None, sample_scene(rng, mesh), image_size=(640, 480)) as clean:
                images.append(at_most(clean.frame().image))
    return images
