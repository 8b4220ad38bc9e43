# SPDX-License-Identifier: Apache-2.0
"""Calibration files: a camera's intrinsics as ROS writes them to YAML."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np

from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.camera_info import StatedCamera
from posegrasp_ros.runtime.data_files import read_mapping
from posegrasp_ros.runtime.yaml_model import Reads, YamlModel, is_name, numbers, unexpected, validated

MOST_PIXELS, LARGEST = 65535, 1e6


def load_camera(path: str | Path) -> Camera:
    """The camera of raw images, cut and binned as stated.

    From a file that ROS's camera calibration wrote, or from ``ros2 topic echo --once`` of a camera_info.

    :raises CameraError: when the file cannot be read, lacks a field, or describes no camera
    """
    values = read_mapping(path, CameraError)
    if 'image_width' in values:
        saved = validated(_Calibration, values, path, CameraError)
        size = saved.image_width, saved.image_height
        intrinsics = saved.camera_matrix.data, saved.distortion_coefficients.data
        layout: _Layout = saved
    else:
        echoed = validated(_CameraInfo, values, path, CameraError)
        size, intrinsics, layout = (echoed.width, echoed.height), (echoed.k, echoed.d), echoed
    info = SimpleNamespace(
        header=SimpleNamespace(frame_id=''), width=size[0], height=size[1],
        distortion_model=layout.distortion_model, k=intrinsics[0], d=intrinsics[1], r=np.zeros(9), p=np.zeros(12),
        roi=layout.roi, binning_x=layout.binning_x, binning_y=layout.binning_y)
    try:
        return StatedCamera.from_info(info).raw
    except CameraError as error:
        raise CameraError(f'{path}: {error}') from error


def _whole(least: int, what: str) -> Reads:
    """A whole number; nothing is 0 where that is allowed."""
    def read(value: Any) -> int:
        if value is None and least == 0:
            return 0
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= MOST_PIXELS:
            raise ValueError
        if value != int(value):
            raise unexpected('a whole number')
        return int(value)

    return Reads(read, f'{what} between {least} and {MOST_PIXELS}')


def _read_coefficients(values: Any) -> list[float]:
    """Any number of them, none where the file says nothing."""
    if values is None:
        return []
    if not isinstance(values, list) or any(isinstance(each, bool) or not isinstance(each, (int, float))
                                           or not abs(each) <= LARGEST for each in values):
        count = f'{len(values)} ' if isinstance(values, list) else ''
        raise unexpected(f'{count}numbers between {-LARGEST:g} and {LARGEST:g}')
    return [float(each) for each in values]


def _read_model_name(value: Any) -> str:
    """The name of a distortion model, empty where the file says nothing."""
    if not value:
        return ''
    if not is_name(value):
        raise ValueError
    return value


Pixels = Annotated[int, _whole(1, 'pixels')]
Count = Annotated[int, _whole(0, 'a whole number')]
Coefficients = Annotated[list[float], Reads(_read_coefficients, 'a list of numbers')]
Matrix = Annotated[np.ndarray, numbers(9, -LARGEST, LARGEST)]


class _Region(YamlModel):
    """sensor_msgs/RegionOfInterest; all zero is the whole image."""

    x_offset: Count = 0
    y_offset: Count = 0
    width: Count = 0
    height: Count = 0


class _Layout(YamlModel):
    """What both kinds of file may have."""

    distortion_model: Annotated[str, Reads(_read_model_name, 'a name in one line')] = ''
    roi: _Region = _Region()
    binning_x: Count = 0
    binning_y: Count = 0


class _CameraInfo(_Layout):
    """sensor_msgs/CameraInfo."""

    width: Pixels
    height: Pixels
    k: Matrix
    d: Coefficients = []


class _MatrixData(YamlModel):
    data: Matrix


class _CoefficientsData(YamlModel):
    data: Coefficients = []


class _Calibration(_Layout):
    """A file of camera_calibration."""

    image_width: Pixels
    image_height: Pixels
    camera_matrix: _MatrixData
    distortion_coefficients: _CoefficientsData
