# SPDX-License-Identifier: Apache-2.0
"""Files of a BOP dataset: paths of scenes, sensors and images, and checked reading of their JSON files.

A scene has ``scene_camera.json``, ``scene_gt.json`` (except for test images without public ground truth) and
images in ``rgb`` or ``gray`` and ``depth``. In a scene with several sensors, each has files such as
``scene_camera_cam1.json`` and folders such as ``rgb_cam1``; see
https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

import math
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.runtime.data_files import read_json
from posegrasp_ros.runtime.errors import InvalidInputError, quoted

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp')
COLOUR_FOLDERS = ('rgb', 'gray')
# Splits for evaluation, in order of preference.
SPLITS = ('test', 'val')
# Sensors that the benchmark evaluates in datasets with several sensors.
EVALUATED_SENSORS = ('photoneo', 'xyz', '3dlong', 'rgb', 'gray1', 'primesense')
MOST_NUMBER = 10**9
# Tolerance for rounding errors of a rotation matrix.
NOT_ORTHONORMAL = 0.01
MM = 0.001
NO_FOLDERS = 'expected scene_camera.json, or folders with it, as BOP datasets have them, found none'


class BopDatasetError(InvalidInputError):
    """A BOP dataset that cannot be read."""


class SceneFiles:
    """The files of one sensor in a scene.

    :param sensor: empty in the single-sensor format
    """

    def __init__(self, folder: Path, sensor: str = ''):
        self.folder, self.sensor = folder, sensor
        self._ending = f'_{sensor}' if sensor else ''

    def json_path(self, name: str) -> Path:
        """Such as scene_gt_cam1.json for ``scene_gt``."""
        return self.folder / f'{name}{self._ending}.json'

    @property
    def has_truth(self) -> bool:
        return os.path.lexists(self.json_path('scene_gt'))

    def image(self, number: int) -> Path | None:
        """The file of an image; None if there is none."""
        return self._images.get(number)

    def depth(self, number: int) -> Path | None:
        return self._depths.get(number)

    @cached_property
    def _images(self) -> dict[int, Path]:
        # In HOT3D the image folders have the names of the sensors.
        names = [f'{name}{self._ending}' for name in COLOUR_FOLDERS] + ([self.sensor] if self.sensor else [])
        return self._numbered(names)

    @cached_property
    def _depths(self) -> dict[int, Path]:
        return self._numbered([f'depth{self._ending}'])

    def _numbered(self, names: list[str]) -> dict[int, Path]:
        """The images of the first existing folder of these, by number, with any number of digits."""
        folder = next((self.folder / name for name in names if (self.folder / name).is_dir()), None)
        found: dict[int, Path] = {}
        for path in sorted(folder.iterdir(), key=_preference, reverse=True) if folder else ():
            if path.suffix.lower() in IMAGE_SUFFIXES and re.fullmatch('[0-9]{1,9}', path.stem):
                found[int(path.stem)] = path
        return found


def _preference(path: Path) -> tuple[int, str]:
    suffix = path.suffix.lower()
    return IMAGE_SUFFIXES.index(suffix) if suffix in IMAGE_SUFFIXES else len(IMAGE_SUFFIXES), path.name


def is_bop_dataset(path: Path) -> bool:
    """Whether a path is a BOP dataset, one of its splits, or a scene."""
    return path.is_dir() and (bool(_scene_folders(path)) or bool(_splits(path)))


def find_split(path: Path) -> Path:
    """The folder of scenes for a path: the path itself, or the evaluation split of a whole dataset.

    :raises BopDatasetError: when there are several splits and none of them is for evaluation
    """
    if _scene_folders(path):
        return path
    splits = _splits(path)
    if not splits:
        raise BopDatasetError(f'{path}: {NO_FOLDERS}')
    for word in SPLITS:
        for split in splits:
            if split.name.split('_')[0] == word:
                return split
    if len(splits) > 1:
        raise BopDatasetError(f'{path}: expected a split, got a dataset with '
                              f'{", ".join(split.name for split in splits)}; give one of these folders')
    return splits[0]


def find_scenes(path: Path, sensor: str | None) -> dict[int, SceneFiles]:
    """{scene number: its files}, in order; the path itself, if it is a scene.

    :param sensor: for datasets with several sensors; None for the one that the benchmark evaluates
    :raises BopDatasetError: when no scene has this sensor, or the sensor is ambiguous
    """
    scenes: dict[int, SceneFiles] = {}
    for place, folder in enumerate(_scene_folders(path)):
        name = folder.absolute().name
        files = SceneFiles(folder, _chosen_sensor(folder, sensor))
        if (files.folder / files.json_path('scene_camera').name).is_file():
            scenes[int(name) if re.fullmatch('[0-9]{1,9}', name) else place] = files
    if not scenes:
        raise BopDatasetError(f'{path}: {NO_FOLDERS}' + (f' of the sensor {sensor}' if sensor else ''))
    return scenes


def _chosen_sensor(folder: Path, asked: str | None) -> str:
    """The requested sensor of a scene, else the one that the benchmark evaluates."""
    found = _sensors(folder)
    if asked is not None:
        return asked
    if '' in found or not found:
        return ''
    known = [sensor for sensor in EVALUATED_SENSORS if sensor in found]
    if not known and len(found) > 1:
        raise BopDatasetError(f'{folder}: expected one sensor, found {", ".join(found)}; set one with '
                              '--bop-sensor')
    return known[0] if known else found[0]


def _sensors(folder: Path) -> list[str]:
    return sorted(path.stem.removeprefix('scene_camera').removeprefix('_')
                  for path in folder.glob('scene_camera*.json'))


def _scene_folders(path: Path) -> list[Path]:
    """The scene folders in a folder, in order; the folder itself, if it is a scene."""
    try:
        if _sensors(path):
            return [path]
        return sorted(child for child in path.iterdir() if child.is_dir() and _sensors(child))
    except OSError:  # no permission
        return []


def _splits(path: Path) -> list[Path]:
    """The folders of a dataset with scenes, in order."""
    try:
        return sorted(child for child in path.iterdir() if child.is_dir() and not _sensors(child)
                      and _scene_folders(child))
    except OSError:
        return []


def read_cameras(path: Path) -> dict[int, dict[str, Any]]:
    """scene_camera.json: the camera entry of each image."""
    cameras = read_numbered(path)
    for number, camera in cameras.items():
        if not isinstance(camera, dict):
            raise _unexpected(path, number, 'a mapping with cam_K', camera)
    return cameras


def read_truths(path: Path) -> dict[int, list[tuple[int, Any]]]:
    """scene_gt.json: object number and entry of each instance in each image."""
    truths = {}
    for number, entries in read_numbered(path).items():
        if not isinstance(entries, list):
            raise _unexpected(path, number, 'a list of objects', entries)
        for entry in entries:
            if not isinstance(entry, dict) or not _is_number(entry.get('obj_id')):
                raise _unexpected(path, number, 'objects with a number obj_id', entry)
        truths[number] = [(entry['obj_id'], entry) for entry in entries]
    return truths


def read_visible_shares(path: Path) -> dict[int, list[float]]:
    """scene_gt_info.json: visible fraction of each instance, NaN where it is not stated; {} without a file."""
    shares = {}
    for number, entries in read_numbered(path).items() if os.path.lexists(path) else ():
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise _unexpected(path, number, 'a list of mappings with visib_fract', entries)
        shares[number] = [entry.get('visib_fract', math.nan) for entry in entries]
        if not all(isinstance(share, (int, float)) for share in shares[number]):
            raise _unexpected(path, number, 'numbers as visib_fract', shares[number])
    return shares


def read_targets(path: Path) -> list[tuple[int, int, int | None]]:
    """test_targets_bop*.json: scene, image and, if stated, the object of each target."""
    entries = read_json(path, BopDatasetError)
    keys = ('scene_id', 'im_id')
    if not isinstance(entries, list):
        raise BopDatasetError(f'{path}: expected a list of targets, got {quoted(entries)}')
    for entry in entries:
        if not (isinstance(entry, dict) and all(_is_number(entry.get(key)) for key in keys)
                and _is_number(entry.get('obj_id', 0))):
            raise BopDatasetError(f'{path}: expected targets with scene_id, im_id and, for tasks with known '
                                  f'objects, obj_id, got {quoted(entry)}')
    return [(entry['scene_id'], entry['im_id'], entry.get('obj_id')) for entry in entries]


def read_diameters(path: Path) -> dict[int, float]:
    """models_info.json: the diameter of each object, metres."""
    diameters = {}
    for number, info in read_numbered(path).items():
        diameter = info.get('diameter') if isinstance(info, dict) else None
        if not isinstance(diameter, (int, float)) or not 0 < diameter < MOST_NUMBER:
            raise _unexpected(path, number, 'a diameter in millimetres', info)
        diameters[number] = diameter * MM
    return diameters


def read_pose(path: Path, number: int, entry: dict[str, Any]) -> np.ndarray:
    """camera_from_object (4, 4) in metres.

    :param path: of the file, for messages
    :param number: of the image, for messages
    :raises BopDatasetError: when it is not a pose: not nine and three finite numbers, or not a rotation
    """
    try:
        rotation = np.array(entry['cam_R_m2c'], dtype=float).reshape(3, 3)
        position_m = np.array(entry['cam_t_m2c'], dtype=float).reshape(3) * MM
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise _unexpected(path, number, 'cam_R_m2c of 9 numbers and cam_t_m2c of 3', entry) from error
    if not np.isfinite(position_m).all():
        raise _unexpected(path, number, 'finite millimetres as cam_t_m2c', entry['cam_t_m2c'])
    # Also false for NaN.
    is_orthonormal = np.abs(rotation.T @ rotation - np.eye(3)).max() <= NOT_ORTHONORMAL
    if not (is_orthonormal and np.linalg.det(rotation) > 0):
        raise _unexpected(path, number, 'a rotation as cam_R_m2c', entry['cam_R_m2c'])
    return make_transform(rotation, position_m)


def read_numbered(path: Path) -> dict[int, Any]:
    """A JSON mapping with integer keys from 0.

    :raises BopDatasetError: when the file has other content
    """
    values = read_json(path, BopDatasetError)
    if not isinstance(values, dict) or not all(re.fullmatch('[0-9]{1,9}', key) for key in values):
        raise BopDatasetError(f'{path}: expected a JSON mapping by numbers, got {quoted(values)}')
    return {int(key): value for key, value in values.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_NUMBER


def _unexpected(path: Path, number: int, expected: str, found: Any) -> BopDatasetError:
    return BopDatasetError(f'{path}: {number}: expected {expected}, got {quoted(found)}')
