# SPDX-License-Identifier: Apache-2.0
"""Reader for a folder of photographs, for cameras and objects without a recording."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.ground_truth import GroundTruth
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.sensing.compressed_images import decode_compressed, read_file
from posegrasp_ros.sensing.image_camera import ImageCamera
from posegrasp_ros.sensing.images import ImageError

LOGGER = logging.getLogger(__name__)
SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp')
# Each photograph is its own scene; confidence intervals resample frames within a second together.
SPACING_NS = 1_000_000_000


def is_photograph_folder(path: Path) -> bool:
    """Whether a path is a folder with images that is not a recording."""
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return False
    return any(_is_image(file) for file in path.iterdir())


def _is_image(file: Path) -> bool:
    """Whether a path is a regular file with an image suffix; reading a named pipe would never end."""
    return file.suffix.lower() in SUFFIXES and file.is_file()


class Photograph(NamedTuple):
    """An image before it is read.

    :param truths: ground truths, in the camera's frame
    """

    stamp_ns: int
    file: Path
    camera: ImageCamera
    scene: int | None = None
    number: int | None = None
    truths: tuple[TruePose, ...] = ()

    def decode(self) -> BagFrame:
        """Read the image; a frame that cannot be read states the reason."""
        return self._read().with_truths(self.truths)

    def _read(self) -> BagFrame:
        start = time.perf_counter()
        try:
            image = decode_compressed(read_file(self.file))
        except (OSError, ImageError) as error:
            return BagFrame(self.stamp_ns, None, None, reason='bad_image', problem=f'{self.file.name}: {error}')
        decode_ms = (time.perf_counter() - start) * 1e3
        return BagFrame(self.stamp_ns, image, None, decode_ms=decode_ms).with_camera(self.camera)


class PhotographReader:
    """The images of a folder sorted by name, with the interface of
    :class:`posegrasp_ros.datasets.bag_reader.BagReader`.

    :param camera: of all images
    :param truths: ground truth from a file, by the stamps that the images get
    :ivar warnings: problems found so far, one line each
    :raises InvalidInputError: when the folder has no image
    """

    def __init__(self, path: str | Path, camera: ImageCamera, truths: GroundTruth | None = None):
        self.path = Path(path)
        self.warnings: list[str] = []
        self._camera, self._truths = camera, truths
        self._files = sorted(file for file in self.path.iterdir() if _is_image(file))
        if not self._files:
            raise InvalidInputError(f'{path}: expected images ({", ".join(SUFFIXES)}), found none')

    @property
    def image_count(self) -> int:
        return len(self._files)

    def warn_once(self, text: str) -> None:
        """Warn about something missing from an image, once per text."""
        if text not in self.warnings:
            self.warnings.append(text)
            LOGGER.warning(text)

    def __iter__(self) -> Iterator[BagFrame]:
        return (photograph.decode() for photograph in self.undecoded())

    def undecoded(self) -> Iterator[Photograph]:
        """The images before they are read."""
        for number, file in enumerate(self._files, start=1):
            stamp_ns = number * SPACING_NS
            truths = self._truths.of(stamp_ns) if self._truths else []
            yield Photograph(stamp_ns, file, self._camera, truths=tuple(pose for _, pose in truths))
        if self._truths and (problem := self._truths.problem()):
            self.warn_once(f'ground truth: {problem}')
