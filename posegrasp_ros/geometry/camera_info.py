# SPDX-License-Identifier: Apache-2.0
"""StatedCamera: the camera models of the raw and rectified images that a sensor_msgs/CameraInfo describes.

A CameraInfo describes the calibrated sensor: K and D hold for raw images at full resolution, P for rectified ones;
region of interest and binning describe how the image was cropped and binned. Drivers can contradict themselves in
all of these fields, and each contradiction leads to wrong poses, so it is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.lens import DISTORTION_LENGTHS, OPEN_NAMES, OTHER_NAMES, lens_model
from posegrasp_ros.geometry.transforms import rotation_angle
from posegrasp_ros.runtime.errors import quoted

RECTIFIED = ('auto', 'yes', 'no')
# Words in topic and frame names that indicate rectified or raw images, as image_proc and drivers use them.
RECTIFIED_WORDS = {'rect', 'rectified', 'undistorted', 'undistort', 'undist'}
RAW_WORDS = {'raw', 'distorted'}
# Raw and rectified images that differ by no more than this anywhere are considered identical.
SAME_PX = 0.5
GRID = 9
# A principal point farther from the image centre than this fraction of the size: cropped image, or an error.
OFF_MIDDLE = 0.25
# Common sensor sizes of robot cameras. A principal point within MIDDLE (fraction of the size) of the centre of one
# that is larger than the image by the factor LARGER is taken to be that of the full sensor.
SENSOR_SIZES = ((640, 480), (752, 480), (800, 600), (848, 480), (1024, 768), (1280, 720), (1280, 800), (1280, 960),
                (1280, 1024), (1440, 1080), (1600, 1200), (1920, 1080), (1920, 1200), (2048, 1536), (2448, 2048),
                (2592, 1944), (3840, 2160))
MIDDLE, LARGER = 0.04, 1.3
# Rotation between the raw and the rectified camera frame above which a remark is given.
TURN_RAD = np.radians(0.1)


class ImageSizeError(CameraError):
    """An image whose size differs from its CameraInfo."""


def is_rectified(rectified: str, topic: str, frame_id: str = '') -> bool | None:
    """Whether the images of a topic are rectified; None if unknown.

    :param rectified: one of :data:`RECTIFIED`; ``auto`` decides by the names
    :param topic: of the images
    :param frame_id: of the images
    """
    if rectified != 'auto':
        return rectified == 'yes'
    words = set(re.split(r'[^a-z0-9]+|_', f'{topic} {frame_id}'.lower()))
    if words & RECTIFIED_WORDS:
        return True
    return False if words & RAW_WORDS else None


@dataclass(frozen=True)
class StatedCamera:
    """The cameras of raw and rectified images that one CameraInfo describes.

    :param raw: from K and D, cropped and binned as stated
    :param rectified: from P, cropped and binned likewise; None where P is empty
    :param frame_id: of the CameraInfo
    :param layout: sensor size, region and binning in words, for messages
    :param raw_remark: one line on settings for raw images that are valid but often a mistake; empty if none
    :param rectified_remark: the same for rectified images
    """

    raw: Camera
    rectified: Camera | None
    frame_id: str = ''
    layout: str = ''
    raw_remark: str = ''
    rectified_remark: str = ''

    @classmethod
    def from_info(cls, info: Any) -> StatedCamera:
        """Read a message with the fields of sensor_msgs/CameraInfo, from rclpy or a bag reader.

        :raises CameraError: when it contradicts itself, or the camera is not calibrated
        """
        coefficients = np.asarray(info.d, dtype=float).ravel()
        model = lens_model(info.distortion_model, coefficients)
        if model is None:
            raise CameraError(_model_refusal(info.distortion_model, coefficients))
        view = _View.of(info)
        if view.is_whole and (sensor := _larger_sensor(info.k, info.width, info.height)):
            raise CameraError(f'camera_info: K: its principal point ({info.k[2]:.1f}, {info.k[5]:.1f}) is the '
                              f'centre of {sensor[0]}x{sensor[1]}, while width and height are {info.width} and '
                              f'{info.height}: for a cropped or binned image, width and height must be those of '
                              'the full sensor, with roi or binning set')
        raw = view.of_camera(Camera(info.width, info.height, info.k, coefficients, model))
        projection = np.asarray(info.p, dtype=float).reshape(3, 4)
        rectified = None
        if projection[:, :3].any():
            try:
                rectified = view.of_camera(Camera(info.width, info.height, projection[:, :3]))
            except CameraError as error:
                raise CameraError(str(error).replace('K:', 'P:')) from error
        return cls(raw, rectified, info.header.frame_id, view.layout, _raw_remark(raw) if view.is_whole else '',
                   _rectified_remark(projection, info.r))

    def of_image(self, width: int, height: int, rectified: bool | None) -> Camera:
        """The camera of an image.

        :param rectified: from :func:`is_rectified`; None is treated as raw, see :attr:`doubt_px`
        :raises ImageSizeError: when the image size differs from the stated one
        :raises CameraError: when the image is rectified and P is missing
        """
        if (width, height) != (self.raw.width, self.raw.height):
            raise ImageSizeError(f'image: expected {self.raw.width}x{self.raw.height} pixels as in camera_info '
                                 f'({self.layout}), got {width}x{height}')
        if not rectified:
            return self.raw
        if self.rectified is not None:
            return self.rectified
        if self.raw.is_distorted:
            raise CameraError('camera_info: P: expected the projection matrix of a rectified image, got zeros; if '
                              'the image is raw, set rectified to no')
        return self.raw

    @cached_property
    def doubt_px(self) -> float:
        """Largest pixel error if a rectified image is treated as raw."""
        if self.rectified is None:
            return 0.0
        u, v = np.meshgrid(np.linspace(0, self.raw.width - 1, GRID), np.linspace(0, self.raw.height - 1, GRID))
        pixels = np.column_stack([u.ravel(), v.ravel()])
        rays = np.column_stack([self.rectified.rays(pixels), np.ones(len(pixels))])
        # Rays that are outside the raw image's field of view project to NaN and are ignored.
        offsets = np.hypot(*(self.raw.project(rays) - pixels).T)
        return float(np.nanmax(offsets)) if np.isfinite(offsets).any() else np.inf

    def remark(self, rectified: bool | None, topic: str) -> str:
        """Warning about a topic's images that may make their poses wrong; empty if there is none.

        :param rectified: from :func:`is_rectified`
        """
        remark = self.rectified_remark if rectified else self.raw_remark
        if rectified is None and self.doubt_px > SAME_PX:
            remark = '; '.join(filter(None, [remark, (
                'neither topic nor frame name tells whether the images are rectified; they are treated as raw, '
                f'which is wrong by up to {self.doubt_px:.1f} pixels if they are rectified: set rectified to yes '
                'or no')]))
        return f'{topic}: {remark}' if remark else ''


@dataclass(frozen=True)
class _View:
    """Region of interest and binning: from sensor pixels to image pixels.

    :param region: x, y, width, height in pixels of the sensor
    :param binning: pixels along x and y that are combined into one
    """

    size: tuple[int, int]
    region: tuple[int, int, int, int]
    binning: tuple[int, int]

    @classmethod
    def of(cls, info: Any) -> _View:
        """:raises CameraError: when region or binning do not fit into the sensor"""
        width, height, roi = int(info.width), int(info.height), info.roi
        if width < 1 or height < 1:
            raise CameraError(f'camera_info: width, height: expected the size of the sensor, got {width}x{height}')
        region = (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height))
        if not any(region):  # in sensor_msgs/RegionOfInterest this means the whole image
            region = (0, 0, width, height)
        x, y, region_width, region_height = region
        binning = (int(info.binning_x) or 1, int(info.binning_y) or 1)
        if region_width < 1 or region_height < 1 or x + region_width > width or y + region_height > height:
            raise CameraError(f'camera_info: roi: expected a region within width x height, {width}x{height}, got '
                              f'{region_width}x{region_height} at ({x}, {y}); width and height are those of the '
                              'whole sensor, not of the region')
        if binning[0] > region_width or binning[1] > region_height:
            raise CameraError(f'camera_info: binning: expected at most {region_width}x{region_height}, got '
                              f'{binning[0]}x{binning[1]}')
        return cls((width, height), region, binning)

    @property
    def is_whole(self) -> bool:
        """Whether the image is neither cropped nor binned."""
        return self.region[2:] == self.size and self.binning == (1, 1)

    @property
    def layout(self) -> str:
        """Sensor size, region and binning in words."""
        x, y, width, height = self.region
        words = [f'a sensor of {self.size[0]}x{self.size[1]}']
        if (width, height) != self.size:
            words.append(f'region of {width}x{height} at ({x}, {y})')
        if self.binning != (1, 1):
            words.append(f'binned by {self.binning[0]}x{self.binning[1]}')
        return ', '.join(words)

    def of_camera(self, camera: Camera) -> Camera:
        """The camera of the image, from that of the full sensor."""
        x, y, width, height = self.region
        binned_width, binned_height = width // self.binning[0], height // self.binning[1]
        # Remaining pixels at the edge that do not fill a bin are not in the image.
        whole = camera.cropped(x, y, binned_width * self.binning[0], binned_height * self.binning[1])
        return whole.resized(binned_width, binned_height)


def _model_refusal(name: str, coefficients: np.ndarray) -> str:
    """Error text for a distortion_model that is unknown or ambiguous."""
    if name.strip().lower() in OPEN_NAMES:
        return (f'camera: distortion_model: expected the name of a model for D = {coefficients.tolist()}, one of '
                f'{", ".join(DISTORTION_LENGTHS)}, got {quoted(name)}, which is ambiguous')
    known = ', '.join([*DISTORTION_LENGTHS, *OTHER_NAMES, *filter(None, OPEN_NAMES)])
    return f'camera: distortion_model: expected one of {known}, got {quoted(name)}'


def _larger_sensor(matrix: Any, width: int, height: int) -> tuple[int, int] | None:
    """Size of a sensor larger than the image whose centre is K's principal point; None if there is none.

    A principal point that is not the centre of any sensor belongs to a cropped image whose K was shifted with it.
    """
    cx, cy = float(matrix[2]), float(matrix[5])
    multiples = ((times * width, times * height) for times in (2, 3, 4))
    for sensor in (*multiples, *SENSOR_SIZES):
        off = max(abs(cx + 0.5 - sensor[0] / 2) / sensor[0], abs(cy + 0.5 - sensor[1] / 2) / sensor[1])
        if sensor[0] > LARGER * width and sensor[1] > LARGER * height and off < MIDDLE:
            return sensor
    return None


def _raw_remark(raw: Camera) -> str:
    off_u = abs(raw.cx - (raw.width - 1) / 2) / raw.width
    off_v = abs(raw.cy - (raw.height - 1) / 2) / raw.height
    if max(off_u, off_v) <= OFF_MIDDLE:
        return ''
    return (f'the principal point ({raw.cx:.1f}, {raw.cy:.1f}) is far from the image centre of '
            f'{raw.width}x{raw.height}: correct for a cropped image whose K was shifted with it, wrong if K is '
            'that of the full sensor, which needs roi and binning set')


def _rectified_remark(projection: np.ndarray, rectification: Any) -> str:
    remarks = []
    if projection[:2, 3].any():
        remarks.append('P is that of the second camera of a stereo pair: poses are relative to its own optical '
                       'centre')
    turn = np.asarray(rectification, dtype=float).reshape(3, 3)
    if turn.any() and rotation_angle(turn) > TURN_RAD:
        remarks.append(f'R rotates the images by {np.degrees(rotation_angle(turn)):.2f} degrees: poses are given '
                       'in the rotated frame')
    return '; '.join(remarks)
