# SPDX-License-Identifier: Apache-2.0
"""Reader for datasets in the BOP format: a scene, a folder of scenes, or a whole dataset."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from posegrasp_ros.datasets.bop_files import (
    MM,
    MOST_NUMBER,
    BopDatasetError,
    find_scenes,
    find_split,
    is_bop_dataset,
    read_cameras,
    read_diameters,
    read_pose,
    read_targets,
    read_truths,
    read_visible_shares,
)
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.true_pose import LEAST_VISIBLE
from posegrasp_ros.sensing.compressed_images import decode_compressed, read_file, unpack_depth
from posegrasp_ros.sensing.images import ImageError, check_registered, metres_of

__all__ = ['BopDatasetError', 'BopFrame', 'BopReader', 'is_bop_dataset']

LOGGER = logging.getLogger(__name__)
# Artificial stamps: images as in a 30 Hz video, with scenes far apart.
FRAME_NS = 1_000_000_000 // 30
SCENE_NS = 100_000 * 1_000_000_000
# Tolerance for the diameter of the dataset's object as a fraction; the dataset often uses another mesh of it.
OTHER_DIAMETER = 0.05


class BopFrame(NamedTuple):
    """An image of a dataset before it is read.

    :param camera: its entry in scene_camera.json
    :param truths: (4, 4) of each instance of the object; empty where ground truth is not public
    :param visible_share: see :class:`BagFrame`
    """

    stamp_ns: int
    image_path: Path | None
    depth_path: Path | None
    camera: dict[str, Any]
    truths: tuple[np.ndarray, ...]
    scene: int
    number: int
    visible_share: float | None = None

    def decode(self) -> BagFrame:
        """Read the image and its depth; a frame that cannot be used states the reason."""
        frame = BagFrame(self.stamp_ns, None, None, self.truths[0] if self.truths else None,
                         other_objects=self.truths[1:], visible_share=self.visible_share)
        if self.image_path is None:
            return replace(frame, reason='bad_image', problem='image: no such file in rgb or gray')
        start = time.perf_counter()
        try:
            image = decode_compressed(read_file(self.image_path))
        except (OSError, ImageError) as error:
            return replace(frame, reason='bad_image', problem=f'{self.image_path}: {error}')
        depth_m, warning = self._depth(image.shape)
        frame = replace(frame, image=image, decode_ms=(time.perf_counter() - start) * 1e3, depth_m=depth_m,
                        warning=warning)
        try:
            camera = Camera(image.shape[1], image.shape[0], self.camera['cam_K'])
        except KeyError:
            return replace(frame, reason='bad_camera_info', problem='scene_camera.json: expected cam_K, got none')
        except (CameraError, ValueError, TypeError, OverflowError) as error:
            reason = ' '.join(str(error).split())
            return replace(frame, reason='bad_camera_info', problem=f'scene_camera.json: cam_K: {reason}')
        return replace(frame, camera=camera)

    def _depth(self, shape: tuple[int, ...]) -> tuple[np.ndarray | None, str]:
        """(H, W) float32 metres, NaN where unknown; None with a warning where it is not usable."""
        if self.depth_path is None:
            return None, ''
        scale = self.camera.get('depth_scale', 1.0)
        if not isinstance(scale, (int, float)) or not 0 < scale < MOST_NUMBER:
            return None, f'depth is ignored: expected a depth_scale above 0, got {str(scale)[:40]}'
        try:
            depth_m = metres_of(unpack_depth(read_file(self.depth_path)), scale * MM)
            check_registered(depth_m, shape[1], shape[0])
        except (OSError, ImageError) as error:
            return None, f'depth is ignored: {error}'
        return depth_m, ''


class BopReader:
    """The images of a dataset that show an object.

    If the dataset has a list of targets (``test_targets_bop*.json``), these are its images; else all images in
    which at least a tenth of the object is visible, as far as that is known. Where ground truth is not public,
    these are all images of the list, or of the scenes.

    :param object_id: None if the scenes or the targets contain only one object
    :param diameter_m: of the model's mesh, whose frame and size must be those of the dataset's mesh
    :param with_depth: whether to read depth where available
    :param sensor: for datasets with several sensors; None for the one that the benchmark evaluates
    :ivar warnings: problems found so far, one line each
    :raises BopDatasetError: naming the file, what was found and what was expected
    """

    def __init__(self, path: str | Path, object_id: int | None = None, diameter_m: float | None = None,
                 with_depth: bool = True, sensor: str | None = None):
        self.path = Path(path)
        self.warnings: list[str] = []
        self._with_depth = with_depth
        self._split = find_split(self.path)
        self._scenes = find_scenes(self._split, sensor)
        self._say_choices(sensor)
        self._cameras = {scene: read_cameras(files.json_path('scene_camera'))
                         for scene, files in self._scenes.items()}
        self._truths = {scene: read_truths(files.json_path('scene_gt')) if files.has_truth else None
                        for scene, files in self._scenes.items()}
        self._targets = self._read_targets()
        self.object_id = self._checked_object(object_id)
        if diameter_m is not None:
            self._check_diameter(diameter_m)
        self._images = list(self._chosen())
        if not self._images:
            raise BopDatasetError(f'{path}: expected images with object {self.object_id}, found none')

    @property
    def image_count(self) -> int:
        return len(self._images)

    def warn_once(self, text: str) -> None:
        """Warn about something missing from a frame, once per text."""
        line = f'{self.path}: {text}'
        if line not in self.warnings:
            self.warnings.append(line)
            LOGGER.warning(line)

    def __iter__(self) -> Iterator[BagFrame]:
        return (frame.decode() for frame in self.undecoded())

    def undecoded(self) -> Iterator[BopFrame]:
        """The images in the order of scenes and numbers."""
        places = {scene: place for place, scene in enumerate(self._scenes)}
        for scene, number, truths, share in self._images:
            files = self._scenes[scene]
            stamp_ns = (places[scene] + 1) * SCENE_NS + number * FRAME_NS
            depth = files.depth(number) if self._with_depth else None
            yield BopFrame(stamp_ns, files.image(number), depth, self._cameras[scene].get(number, {}), truths,
                           scene, number, share)

    def _say_choices(self, asked_sensor: str | None) -> None:
        """Log which split and sensor were chosen."""
        if self._split != self.path:
            self.warn_once(f'only the split {self._split.name} is read')
        sensors = sorted({files.sensor for files in self._scenes.values()} - {''})
        if sensors and asked_sensor is None:
            self.warn_once(f'only the sensor {", ".join(sensors)} is read; use --bop-sensor for another')

    def _checked_object(self, asked: int | None) -> int:
        """The object number, checked against the numbers in ground truth or targets, if available."""
        known = {number for truths in self._truths.values() if truths for entries in truths.values()
                 for number, _ in entries}
        asked_for = {number for *_, number in self._targets or () if number is not None}
        found = known or asked_for
        if asked is None and len(found) == 1:
            return next(iter(found))
        if asked not in found and (asked is None or None not in self._truths.values() or asked_for):
            listing = ', '.join(map(str, sorted(found))) or 'none are listed'
            raise BopDatasetError(
                f'{self.path}: expected the number of one of its objects ({listing}), got {asked}; '
                'set it with --bop-object'
            )
        return asked

    def _check_diameter(self, diameter_m: float) -> None:
        """Refuse another object, or one in other units, if the dataset has models_info.json."""
        for parent in [self._split, *self._split.absolute().parents][:4]:
            for file in sorted(parent.glob('models*/models_info.json')):
                found_m = read_diameters(file).get(self.object_id, diameter_m)
                if abs(found_m - diameter_m) > OTHER_DIAMETER * found_m:
                    raise BopDatasetError(f'{file}: object {self.object_id}: expected the model\'s diameter of '
                                          f'{diameter_m:.4f} m, found {found_m:.4f} m: is it another object?')
                return

    def _chosen(self) -> Iterator[tuple[int, int, tuple[np.ndarray, ...], float | None]]:
        """Scene and number of the images to evaluate, the poses of the object in them, and how much of it is
        visible, see :class:`BagFrame`.
        """
        for scene, files in sorted(self._scenes.items()):
            truths = self._truths[scene]
            shares = read_visible_shares(files.json_path('scene_gt_info'))
            for number in sorted(self._numbers(scene)):
                if truths is None:
                    yield scene, number, (), None
                    continue
                poses = tuple(read_pose(files.json_path('scene_gt'), number, entry)
                              for each, entry in truths.get(number, ()) if each == self.object_id)
                share = self._visible_share(truths.get(number, ()), shares.get(number, []))
                if poses and (self._targets is not None or share is None or share >= LEAST_VISIBLE):
                    yield scene, number, poses, share
                elif self._targets is not None:
                    self.warn_once(f'target images without object {self.object_id} in scene_gt.json are skipped')
        if any(truths is None for truths in self._truths.values()):
            self.warn_once('has no scene_gt.json: ground truth is not public, no errors are measured; write the '
                           'poses with --bop-csv')

    def _numbers(self, scene: int) -> set[int]:
        """The image numbers of a scene to evaluate."""
        if self._targets is not None:
            return {number for target, number, asked in self._targets
                    if target == scene and asked in (None, self.object_id)}
        truths = self._truths[scene]
        return set(self._cameras[scene]) if truths is None else set(truths)

    def _visible_share(self, entries: Sequence[tuple[int, Any]], shares: list[float]) -> float | None:
        """The largest of the instances; None where one is not known."""
        known = [*shares[:len(entries)], *[math.nan] * (len(entries) - len(shares))]
        own = [share for (each, _), share in zip(entries, known) if each == self.object_id]
        return max(own) if own and all(0 <= share <= 1 for share in own) else None

    def _read_targets(self) -> list[tuple[int, int, int | None]] | None:
        """Scene, image and object of the benchmark's targets; None without such a list."""
        for parent in (self._split, *self._split.absolute().parents[:2]):
            for file in sorted(parent.glob(f'{_split_word(self._split)}_targets_bop*.json')):
                return read_targets(file)
        return None


def _split_word(path: Path) -> str:
    """Prefix of the target files: ``test`` for test, test_primesense and scenes in them."""
    names = (path.absolute().name, path.absolute().parent.name)
    return next((name.split('_')[0] for name in names if name.split('_')[0] in ('test', 'val', 'train')), 'test')
