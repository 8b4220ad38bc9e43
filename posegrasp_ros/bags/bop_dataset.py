"""Datasets in the BOP format, read like a recording: a scene's folder, or one of many scenes.

A scene holds ``scene_camera.json``, ``scene_gt.json`` and the images in ``rgb`` (or ``gray``), and ``depth`` where
there is any; see https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from posegrasp_ros.bags.frame import BagFrame
from posegrasp_ros.camera import Camera, CameraError
from posegrasp_ros.compressed_images import decode_compressed
from posegrasp_ros.errors import BadInput
from posegrasp_ros.geometry import make_transform
from posegrasp_ros.images import ImageError

LOGGER = logging.getLogger(__name__)
CAMERA_NAME, TRUTH_NAME, INFO_NAME = 'scene_camera.json', 'scene_gt.json', 'scene_gt_info.json'
IMAGE_FOLDERS, IMAGE_SUFFIXES = ('rgb', 'gray'), ('.png', '.jpg', '.tif')
# Images are numbered as those of a video; a scene begins on a whole second of its own.
FRAME_NS = 1_000_000_000 // 30
SCENE_NS = 100_000 * 1_000_000_000
# BOP asks for objects of which at least so much is seen.
LEAST_VISIBLE = 0.1
# The mesh must be the dataset's object; its diameter may differ by this share, for it is often that of another
# mesh.
OTHER_DIAMETER = 0.05
MM = 0.001


class BopDatasetError(BadInput):
    """A BOP dataset that cannot be read."""


def is_bop_dataset(path: Path) -> bool:
    """Whether a path is a scene of a BOP dataset, or a folder of such scenes."""
    return path.is_dir() and bool(_scene_folders(path))


class BopFrame(NamedTuple):
    """An image of a dataset before it is read.

    :param camera: its entry in scene_camera.json
    :param truths: (4, 4) of each instance of the object
    """

    stamp_ns: int
    image_path: Path | None
    depth_path: Path | None
    camera: dict[str, Any]
    truths: tuple[np.ndarray, ...]
    scene: int
    number: int

    def decode(self) -> BagFrame:
        """Read the image and its depth, and say why where the frame cannot be used."""
        frame = BagFrame(self.stamp_ns, None, None, self.truths[0], other_objects=self.truths[1:])
        if self.image_path is None:
            return replace(frame, reason='bad_image', problem=f'image {self.number}: no such file')
        start = time.perf_counter()
        try:
            image = decode_compressed(self.image_path.read_bytes())
        except (OSError, ImageError) as error:
            return replace(frame, reason='bad_image', problem=f'{self.image_path}: {error}')
        depth_m = self._depth(image.shape)
        frame = replace(frame, image=image, decode_ms=(time.perf_counter() - start) * 1e3, depth_m=depth_m)
        try:
            camera = Camera(image.shape[1], image.shape[0], self.camera['cam_K'])
        except (CameraError, KeyError, ValueError) as error:
            return replace(frame, reason='bad_camera_info', problem=f'image {self.number}: cam_K: {error}')
        return replace(frame, camera=camera)

    def _depth(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """(H, W) float32 metres, NaN where unknown; None where there is none of the image's size."""
        depth = cv2.imread(str(self.depth_path), cv2.IMREAD_UNCHANGED) if self.depth_path else None
        if depth is None or depth.shape != shape[:2]:
            return None
        return np.where(depth > 0, depth * np.float32(self.camera.get('depth_scale', 1.0) * MM), np.nan).astype(
            'f4'
        )


class BopReader:
    """The images of a dataset that show an object.

    Where the dataset has a list of targets (``test_targets_bop*.json``), these are its images; else all in
    which at least a tenth of the object is seen, where that is known.

    :param object_id: None where the scenes show but one object
    :param diameter_m: of our mesh: its frame and size must be those of the dataset's own
    :param with_depth: read it where there is any
    :ivar warnings: what was wrong so far, one line each
    :raises BopDatasetError: naming the file, what was found and what was expected
    """

    def __init__(self, path: str | Path, object_id: int | None = None, diameter_m: float | None = None,
                 with_depth: bool = True):
        self.path = Path(path)
        self.warnings: list[str] = []
        self._with_depth = with_depth
        self._folders = _scene_folders(self.path)
        if not self._folders:
            raise BopDatasetError(
                f'{path}: expected {CAMERA_NAME} and {TRUTH_NAME}, or folders with them, found none'
            )
        self._cameras = {scene: _read(folder / CAMERA_NAME) for scene, folder in self._folders.items()}
        self._truths = {scene: _read(folder / TRUTH_NAME) for scene, folder in self._folders.items()}
        self.object_id = self._checked_object(object_id)
        if diameter_m is not None:
            self._check_diameter(diameter_m)
        self._images = sorted((scene, number) for scene, numbers in self._chosen().items() for number in numbers)
        if not self._images:
            raise BopDatasetError(f'{path}: expected images with object {self.object_id}, found none')

    @property
    def image_count(self) -> int:
        return len(self._images)

    def warn_once(self, text: str) -> None:
        """Note what a frame goes without, once."""
        line = f'{self.path}: {text}'
        if line not in self.warnings:
            self.warnings.append(line)
            LOGGER.warning(line)

    def __iter__(self) -> Iterator[BagFrame]:
        return (frame.decode() for frame in self.undecoded())

    def undecoded(self) -> Iterator[BopFrame]:
        """The images in the order of scenes and numbers."""
        scenes = {scene: place for place, scene in enumerate(self._folders)}
        for scene, number in self._images:
            folder = self._folders[scene]
            truths = tuple(_pose(folder / TRUTH_NAME, entry) for entry in self._truths[scene].get(number, ())
                           if entry.get('obj_id') == self.object_id)
            if not truths:
                self.warn_once(
                    f'images that are targets, but without object {self.object_id} in {TRUTH_NAME}, are '
                    'left out'
                )
                continue
            stamp_ns = (scenes[scene] + 1) * SCENE_NS + number * FRAME_NS
            depth = _image_path(folder, ('depth',), number) if self._with_depth else None
            yield BopFrame(stamp_ns, _image_path(folder, IMAGE_FOLDERS, number), depth,
                           self._cameras[scene].get(number, {}), truths, scene, number)

    def _checked_object(self, asked: int | None) -> int:
        """The object in question, which must be there."""
        found = sorted({entry.get('obj_id') for truths in self._truths.values() for entries in truths.values()
                        for entry in entries})
        if asked is None and len(found) == 1:
            return found[0]
        if asked not in found:
            listing = ', '.join(map(str, found)) or 'none'
            raise BopDatasetError(
                f'{self.path}: expected the number of one of its objects ({listing}), got {asked}; '
                'name it with --bop-object'
            )
        return asked

    def _check_diameter(self, diameter_m: float) -> None:
        """Refuse another object, or one in other units, where the dataset's models are beside it."""
        for parent in [self.path, *self.path.absolute().parents][:4]:
            for file in sorted(parent.glob('models*/models_info.json')):
                info = _read(file).get(self.object_id, {})
                found_m = info.get('diameter', diameter_m / MM) * MM
                if abs(found_m - diameter_m) > OTHER_DIAMETER * found_m:
                    raise BopDatasetError(f'{file}: object {self.object_id}: expected the model\'s diameter of '
                                          f'{diameter_m:.4f} m, found {found_m:.4f} m: is it another object?')
                return

    def _chosen(self) -> dict[int, list[int]]:
        """Numbers of the images to evaluate, by scene."""
        targets = self._targets()
        chosen: dict[int, list[int]] = defaultdict(list)
        for scene, truths in self._truths.items():
            info_path = self._folders[scene] / INFO_NAME
            info = _read(info_path) if info_path.is_file() and targets is None else {}
            for number, entries in truths.items():
                seen = [info.get(number, [])[place:place + 1] or [{}] for place in range(len(entries))]
                if targets is not None:
                    if (scene, number) in targets:
                        chosen[scene].append(number)
                elif any(entry.get('obj_id') == self.object_id
                         and figures[0].get('visib_fract', 1.0) >= LEAST_VISIBLE
                         for entry, figures in zip(entries, seen)):
                    chosen[scene].append(number)
        return chosen

    def _targets(self) -> set[tuple[int, int]] | None:
        """Scene and number of the images that the benchmark asks about; None without such a list."""
        for parent in (self.path, *self.path.absolute().parents[:2]):
            for file in sorted(parent.glob(f'{_split(self.path)}_targets_bop*.json')):
                entries = json.loads(file.read_text(encoding='utf-8'))
                return {(entry['scene_id'], entry['im_id']) for entry in entries
                        if entry['obj_id'] == self.object_id}
        return None


def _split(path: Path) -> str:
    """What the targets are called after: ``test`` for test, test_primesense and a scene of them."""
    names = (path.absolute().name, path.absolute().parent.name)
    return next((name.split('_')[0] for name in names if name.split('_')[0] in ('test', 'val', 'train')), 'test')


def _scene_folders(path: Path) -> dict[int, Path]:
    """{number of the scene: its folder}, in order; itself, if it is one."""
    folders = [path] if (path / CAMERA_NAME).is_file() else sorted(path.glob(f'*/{CAMERA_NAME}'))
    folders = [folder if folder.is_dir() else folder.parent for folder in folders]
    return {int(folder.absolute().name) if folder.absolute().name.isdigit() else place: folder
            for place, folder in enumerate(folders) if (folder / TRUTH_NAME).is_file()}


def _read(path: Path) -> dict[int, Any]:
    """A mapping by numbers."""
    try:
        return {int(number): value for number, value in json.loads(path.read_text(encoding='utf-8')).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise BopDatasetError(
            f'{path}: expected a JSON mapping by numbers: {" ".join(str(error).split())}'
        ) from error


def _pose(path: Path, entry: dict[str, Any]) -> np.ndarray:
    """camera_from_object (4, 4) in metres."""
    try:
        return make_transform(np.reshape(entry['cam_R_m2c'], (3, 3)), np.asarray(entry['cam_t_m2c'], float) * MM)
    except (KeyError, ValueError, TypeError) as error:
        raise BopDatasetError(
            f'{path}: expected cam_R_m2c of 9 numbers and cam_t_m2c of 3, got {entry}'
        ) from error


def _image_path(folder: Path, names: tuple[str, ...], number: int) -> Path | None:
    paths = (folder / name / f'{number:06d}{suffix}' for name in names for suffix in IMAGE_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)
