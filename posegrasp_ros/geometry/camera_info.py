"""StatedCamera: what a sensor_msgs/CameraInfo says of the images that come with it.

A CameraInfo describes the calibrated sensor: K and D hold for its raw images in full resolution, P for rectified
ones, while region of interest and binning tell how an image was cut and combined from the sensor's pixels. A
driver may contradict itself in all of these, and each contradiction is a wrong pose, so it is refused here.
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
# Words in the names of topics and frames that tell, as image_proc and drivers use them.
RECTIFIED_WORDS = {'rect', 'rectified', 'undistorted', 'undistort', 'undist'}
RAW_WORDS = {'raw', 'distorted'}
# Raw and rectified images that nowhere differ by more than this are one and the same.
SAME_PX = 0.5
GRID = 9
# A principal point farther off the middle than this share of the image is that of a cut image, or a mistake.
OFF_MIDDLE = 0.25
# Of sensors that cameras of robots have; a principal point that is so near to the middle of one, in parts of its
# size, while the image is smaller by such a factor, is taken for that of the sensor.
SENSOR_SIZES = ((640, 480), (752, 480), (800, 600), (848, 480), (1024, 768), (1280, 720), (1280, 800), (1280, 960),
                (1280, 1024), (1440, 1080), (1600, 1200), (1920, 1080), (1920, 1200), (2048, 1536), (2448, 2048),
                (2592, 1944), (3840, 2160))
MIDDLE, LARGER = 0.04, 1.3
# The turn between a raw and a rectified camera frame that is worth a word.
TURN_RAD = np.radians(0.1)


class ImageSizeError(CameraError):
    """An image of another size than its CameraInfo describes."""


def is_rectified(rectified: str, topic: str, frame_id: str = '') -> bool | None:
    """Whether the images of a topic are rectified; None where nothing tells.

    :param rectified: one of :data:`RECTIFIED`; ``auto`` goes by the names
    :param topic: of the images
    :param frame_id: that they name
    """
    if rectified != 'auto':
        return rectified == 'yes'
    words = set(re.split(r'[^a-z0-9]+|_', f'{topic} {frame_id}'.lower()))
    if words & RECTIFIED_WORDS:
        return True
    return False if words & RAW_WORDS else None


@dataclass(frozen=True)
class StatedCamera:
    """The camera of raw and of rectified images, as one CameraInfo states them.

    :param raw: with K and D, cut and binned as stated
    :param rectified: with P, cut and binned alike; None where P is empty
    :param frame_id: that the CameraInfo names
    :param layout: how the image comes from the sensor's pixels, for messages
    :param raw_remark: what is allowed and yet often a mistake in raw images, one line; empty where nothing is
    :param rectified_remark: the same of rectified images
    """

    raw: Camera
    rectified: Camera | None
    frame_id: str = ''
    layout: str = ''
    raw_remark: str = ''
    rectified_remark: str = ''

    @classmethod
    def from_info(cls, info: Any) -> StatedCamera:
        """Read a message with the fields of sensor_msgs/CameraInfo, of rclpy or of a bag reader.

        :raises CameraError: when it contradicts itself, or is of no calibrated camera
        """
        coefficients = np.asarray(info.d, dtype=float).ravel()
        model = lens_model(info.distortion_model, coefficients)
        if model is None:
            raise CameraError(_model_refusal(info.distortion_model, coefficients))
        view = _View.of(info)
        if view.is_whole and (sensor := _larger_sensor(info.k, info.width, info.height)):
            raise CameraError(f'camera_info: K: its principal point ({info.k[2]:.1f}, {info.k[5]:.1f}) is the '
                              f'middle of {sensor[0]}x{sensor[1]}, while width and height are {info.width} and '
                              f'{info.height}: of an image that was cut or binned, state the sensor, and roi or '
                              'binning')
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

        :param rectified: as :func:`is_rectified` tells; None takes it for a raw one, see :attr:`doubt`
        :raises ImageSizeError: when the image has another size than stated
        :raises CameraError: when a rectified image comes without P
        """
        if (width, height) != (self.raw.width, self.raw.height):
            raise ImageSizeError(f'image: expected {self.raw.width}x{self.raw.height} pixels as camera_info says '
                                 f'({self.layout}), got {width}x{height}')
        if not rectified:
            return self.raw
        if self.rectified is not None:
            return self.rectified
        if self.raw.is_distorted:
            raise CameraError('camera_info: P: expected the projection matrix of a rectified image, got zeros; if '
                              'the image is a raw one, set rectified to no')
        return self.raw

    @cached_property
    def doubt_px(self) -> float:
        """How far off an image's pixels are at most when a rectified image is taken for a raw one."""
        if self.rectified is None:
            return 0.0
        u, v = np.meshgrid(np.linspace(0, self.raw.width - 1, GRID), np.linspace(0, self.raw.height - 1, GRID))
        pixels = np.column_stack([u.ravel(), v.ravel()])
        rays = np.column_stack([self.rectified.rays(pixels), np.ones(len(pixels))])
        # What a raw image does not show at all cannot be mistaken for it.
        offsets = np.hypot(*(self.raw.project(rays) - pixels).T)
        return float(np.nanmax(offsets)) if np.isfinite(offsets).any() else np.inf

    def remark(self, rectified: bool | None, topic: str) -> str:
        """What a person should know of a topic's images before trusting the poses in them; empty for nothing.

        :param rectified: as :func:`is_rectified` tells
        """
        remark = self.rectified_remark if rectified else self.raw_remark
        if rectified is None and self.doubt_px > SAME_PX:
            remark = '; '.join(filter(None, [remark, (
                'neither topic nor frame tells whether the images are rectified; they are taken for raw, which is '
                f'up to {self.doubt_px:.1f} pixels off if they are not: set rectified to yes or no')]))
        return f'{topic}: {remark}' if remark else ''


@dataclass(frozen=True)
class _View:
    """Region of interest and binning: from the sensor's pixels to the image's.

    :param region: x, y, width, height in pixels of the sensor
    :param binning: pixels along x and y that are combined into one
    """

    size: tuple[int, int]
    region: tuple[int, int, int, int]
    binning: tuple[int, int]

    @classmethod
    def of(cls, info: Any) -> _View:
        """:raises CameraError: when region or binning do not fit the sensor"""
        width, height, roi = int(info.width), int(info.height), info.roi
        region = (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height))
        if not any(region):  # by sensor_msgs/RegionOfInterest: the whole image
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
        """Whether nothing is said of cutting or combining."""
        return self.region[2:] == self.size and self.binning == (1, 1)

    @property
    def layout(self) -> str:
        """The same in words."""
        x, y, width, height = self.region
        words = [f'a sensor of {self.size[0]}x{self.size[1]}']
        if (width, height) != self.size:
            words.append(f'region of {width}x{height} at ({x}, {y})')
        if self.binning != (1, 1):
            words.append(f'binned by {self.binning[0]}x{self.binning[1]}')
        return ', '.join(words)

    def of_camera(self, camera: Camera) -> Camera:
        """The camera of the image, from that of the whole sensor."""
        x, y, width, height = self.region
        binned_width, binned_height = width // self.binning[0], height // self.binning[1]
        # What is left over at the edge is not in the image.
        whole = camera.cropped(x, y, binned_width * self.binning[0], binned_height * self.binning[1])
        return whole.resized(binned_width, binned_height)


def _model_refusal(name: str, coefficients: np.ndarray) -> str:
    """Why a distortion_model tells nothing."""
    if name.strip().lower() in OPEN_NAMES:
        return (f'camera: distortion_model: expected the name of a model for D = {coefficients.tolist()}, one of '
                f'{", ".join(DISTORTION_LENGTHS)}, got {quoted(name)}, which may be more than one')
    known = ', '.join([*DISTORTION_LENGTHS, *OTHER_NAMES, *filter(None, OPEN_NAMES)])
    return f'camera: distortion_model: expected one of {known}, got {quoted(name)}'


def _larger_sensor(matrix: Any, width: int, height: int) -> tuple[int, int] | None:
    """The size of a sensor larger than an image that K seems to be of: its principal point is there in the middle.

    In the middle of nothing it is that of an image whose K was moved with it when it was cut.
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
    return (f'the principal point ({raw.cx:.1f}, {raw.cy:.1f}) is far from the middle of the image, '
            f'{raw.width}x{raw.height}: right for a cut image whose K was moved with it, wrong where K is that of '
            'the whole sensor, for which roi and binning are there')


def _rectified_remark(projection: np.ndarray, rectification: Any) -> str:
    remarks = []
    if projection[:2, 3].any():
        remarks.append('P is that of the second camera of a stereo pair: poses are given from its own optical '
                       'centre')
    turn = np.asarray(rectification, dtype=float).reshape(3, 3)
    if turn.any() and rotation_angle(turn) > TURN_RAD:
        remarks.append(f'R turns the images by {np.degrees(rotation_angle(turn)):.2f} degrees: poses are given in '
                       'the turned frame')
    return '; '.join(remarks)
