"""Calibration files: a camera's intrinsics as ROS writes them to YAML."""

from __future__ import annotations

from pathlib import Path

import yaml

from posegrasp_ros.camera import DISTORTION_LENGTHS, Camera, CameraError
from posegrasp_ros.fields import Fields


def load_camera(path: str | Path) -> Camera:
    """The camera of a file that ROS's camera calibration wrote, or ``ros2 topic echo --once`` of a camera_info.

    :raises CameraError: when the file cannot be read, lacks a field, or describes no camera
    """
    fields = _first_document(Path(path))
    saved = 'image_width' in fields.values
    matrix = fields.inner('camera_matrix') if saved else fields
    distortion = fields.inner('distortion_coefficients') if saved else fields
    width, height = (fields.number(name, 1, 65535, 'pixels') for name in
                     (('image_width', 'image_height') if saved else ('width', 'height')))
    _refuse_parts(fields, width, height)
    coefficients = distortion.values.get('data' if saved else 'd', [])
    if not isinstance(coefficients, list) or not all(isinstance(value, (int, float)) for value in coefficients):
        raise distortion.error('data' if saved else 'd', 'a list of numbers')
    model = fields.values.get('distortion_model') or 'plumb_bob'
    if model not in DISTORTION_LENGTHS:
        raise fields.error('distortion_model', ' or '.join(DISTORTION_LENGTHS))
    try:
        return Camera(int(width), int(height), matrix.vector('data' if saved else 'k', 9, -1e6, 1e6), coefficients,
                      model)
    except CameraError as error:
        raise CameraError(f'{path}: {error}') from error


def _refuse_parts(fields: Fields, width: float, height: float) -> None:
    """What is said of the whole chip does not hold for binned or cropped images."""
    for name in ('binning_x', 'binning_y'):
        if fields.values.get(name) not in (None, 0, 1):
            raise fields.error(name, '0 or 1, an image that is not binned')
    region = fields.values.get('roi') or {}
    whole = {'x_offset': 0, 'y_offset': 0, 'width': width, 'height': height}
    if not isinstance(region, dict) or any(region.get(name) not in (None, 0, whole[name]) for name in whole):
        raise fields.error('roi', 'the whole image')


def _first_document(path: Path) -> Fields:
    """What the file's first document holds; ``ros2 topic echo`` writes a mark of the next behind it."""
    try:
        values = next(yaml.safe_load_all(path.read_text(encoding='utf-8')), None)
    except FileNotFoundError as error:
        raise CameraError(f'{path}: no such file') from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise CameraError(f'{path}: expected a YAML file that can be read: {reason}') from error
    if not isinstance(values, dict):
        raise CameraError(f'{path}: expected the fields of a camera_info, got {type(values).__name__}')
    return Fields(path, '', values, CameraError)
