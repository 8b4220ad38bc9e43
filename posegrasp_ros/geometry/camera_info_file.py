"""Calibration files: a camera's intrinsics as ROS writes them to YAML."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import StatedCamera
from posegrasp_ros.runtime.yaml_fields import Fields

REGION = ('x_offset', 'y_offset', 'width', 'height')


def load_camera(path: str | Path) -> Camera:
    """The camera of raw images, cut and binned as stated.

    From a file that ROS's camera calibration wrote, or from ``ros2 topic echo --once`` of a camera_info.

    :raises CameraError: when the file cannot be read, lacks a field, or describes no camera
    """
    fields = Fields.read(path, CameraError)
    saved = 'image_width' in fields.values
    inner, name = (fields.inner('camera_matrix'), 'data') if saved else (fields, 'k')
    matrix = inner.vector(name, 9, -1e6, 1e6)
    coefficients = _numbers(fields.inner('distortion_coefficients'), 'data') if saved else _numbers(fields, 'd')
    size = ('image_width', 'image_height') if saved else ('width', 'height')
    width, height = (int(fields.number(name, 1, 65535, 'pixels')) for name in size)
    info = SimpleNamespace(
        header=SimpleNamespace(frame_id=''), width=width, height=height,
        distortion_model=fields.text('distortion_model') if fields.values.get('distortion_model') else '',
        k=matrix, d=coefficients, r=np.zeros(9), p=np.zeros(12), roi=_region(fields),
        binning_x=_count(fields, 'binning_x'), binning_y=_count(fields, 'binning_y'))
    try:
        return StatedCamera.from_info(info).raw
    except CameraError as error:
        raise CameraError(f'{path}: {error}') from error


def _numbers(fields: Fields, name: str) -> list[float]:
    """Any number of them, none where the file says nothing."""
    values = fields.values.get(name) or []
    count = len(values) if isinstance(values, list) else 1
    return fields.vector(name, count, -1e6, 1e6).tolist() if values else []


def _region(fields: Fields) -> SimpleNamespace:
    """sensor_msgs/RegionOfInterest; all zero, the whole image, where the file says nothing."""
    if 'roi' not in fields.values:
        return SimpleNamespace(**dict.fromkeys(REGION, 0))
    region = fields.inner('roi')
    return SimpleNamespace(**{name: _count(region, name) for name in REGION})


def _count(fields: Fields, name: str) -> int:
    """A whole number of 0 or more; 0 where the file says nothing."""
    number = fields.number(name, 0, 65535, 'a whole number') if fields.values.get(name) is not None else 0
    if number != int(number):
        raise fields.error(name, 'a whole number')
    return int(number)
