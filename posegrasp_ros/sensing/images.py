# SPDX-License-Identifier: Apache-2.0
"""Decoding of raw image messages: encodings, row padding and byte order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np

from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.limits import MEGAPIXELS, most_pixels

if TYPE_CHECKING:
    from typing_extensions import Buffer  # in collections.abc from Python 3.12

# Bytes of an image or a file: bytes, array.array, memoryview, numpy array.
ByteData: TypeAlias = 'Buffer | np.ndarray'


class Layout(NamedTuple):
    """Pixel layout of an encoding.

    :param channels: values per pixel
    :param bits: per value, 8 or 16
    :param conversion: OpenCV's, from 8-bit values to blue green red; None if they already are
    """

    channels: int
    bits: int
    conversion: int | None


# OpenCV names a Bayer pattern by the second and third pixel of the second row, sensor_msgs by the first two pixels
# of the first two rows: RGGB is OpenCV's BG.
BAYER = {'rggb': cv2.COLOR_BayerBG2BGR, 'bggr': cv2.COLOR_BayerRG2BGR, 'gbrg': cv2.COLOR_BayerGR2BGR,
         'grbg': cv2.COLOR_BayerGB2BGR}
ENCODINGS: dict[str, Layout] = {
    'bgr8': Layout(3, 8, None),
    'rgb8': Layout(3, 8, cv2.COLOR_RGB2BGR),
    'mono8': Layout(1, 8, cv2.COLOR_GRAY2BGR),
    'bgra8': Layout(4, 8, cv2.COLOR_BGRA2BGR),
    'rgba8': Layout(4, 8, cv2.COLOR_RGBA2BGR),
    'bgr16': Layout(3, 16, None),
    'rgb16': Layout(3, 16, cv2.COLOR_RGB2BGR),
    'mono16': Layout(1, 16, cv2.COLOR_GRAY2BGR),
    'bgra16': Layout(4, 16, cv2.COLOR_BGRA2BGR),
    'rgba16': Layout(4, 16, cv2.COLOR_RGBA2BGR),
    'yuv422': Layout(2, 8, cv2.COLOR_YUV2BGR_UYVY),
    'yuv422_yuy2': Layout(2, 8, cv2.COLOR_YUV2BGR_YUY2),
    **{f'bayer_{name}{bits}': Layout(1, bits, conversion)
       for name, conversion in BAYER.items() for bits in (8, 16)},
}
# Other names of the same encodings in drivers.
ALIASES = {'8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8',
           '16UC1': 'mono16', '16UC3': 'bgr16', '16UC4': 'bgra16', 'uyvy': 'yuv422', 'yuyv': 'yuv422_yuy2'}
# A luma plane above an interleaved chroma plane: chroma bytes per luma byte, horizontally and vertically, times 2.
PLANAR: dict[str, tuple[int, int]] = {'nv12': (2, 1), 'nv21': (2, 1), 'nv24': (4, 2)}
PLANAR_CONVERSIONS = {'nv12': cv2.COLOR_YUV2BGR_NV12, 'nv21': cv2.COLOR_YUV2BGR_NV21}
# ITU-R BT.601 with video range (16 to 235), as OpenCV decodes the other YUV encodings: y, u, v, 1 to b, g, r.
BGR_FROM_YUV = np.array([[1.164, 2.018, 0.0, -276.928], [1.164, -0.391, -0.813, 135.488],
                         [1.164, 0.0, 1.596, -222.912]])
# Depth encodings of REP 118: numpy type of a pixel, and metres per unit.
DEPTH_ENCODINGS: dict[str, tuple[str, float]] = {'16UC1': ('u2', 0.001), '32FC1': ('f4', 1.0)}
BIT_DEPTHS = (8, 10, 12, 14, 16)

# A fifth of the size and time of PNG, with errors below camera noise.
JPEG_QUALITY = 95


class ImageError(InvalidInputError):
    """An image message that cannot be decoded."""


def decode_image(encoding: str, width: int, height: int, step: int, data: ByteData, is_bigendian: bool = False,
                 bits: int | None = None) -> np.ndarray:
    """Pixels of a sensor_msgs/Image.

    :param encoding: one of :data:`ENCODINGS`, :data:`ALIASES` or :data:`PLANAR`
    :param width: pixels per row
    :param height: rows
    :param step: bytes per row, padding included
    :param data: the bytes
    :param is_bigendian: byte order of 16-bit values
    :param bits: bit depth of 16-bit values, see :func:`bit_depth`; None for the one that this image uses
    :return: (height, width, 3) uint8, blue green red; a view of ``data`` where no conversion is needed
    :raises ImageError: on an unknown encoding, or a size that ``step`` or ``data`` cannot hold
    """
    if encoding in PLANAR:
        return _decode_planar(encoding, width, height, step, data)
    layout = _layout(encoding)
    if layout.channels == 2 and width % 2:
        raise ImageError(f'image: {encoding}: expected an even width, got {width} pixels')
    pixels = _numbers('image', encoding, width, height, step, data, is_bigendian)
    return to_bgr(pixels, layout.conversion, bits)


def to_bgr(pixels: np.ndarray, conversion: int | None, bits: int | None = None) -> np.ndarray:
    """Convert pixels to 8-bit blue green red.

    :param pixels: (H, W, C) uint8 or uint16
    :param conversion: OpenCV's, from 8-bit values to blue green red; None if they already are
    :param bits: bit depth of 16-bit values; None for the one that these pixels use
    :return: (H, W, 3) uint8 blue green red
    :raises ImageError: when the image is too small for its Bayer pattern
    """
    if pixels.dtype.itemsize == 2:
        shift = (bits or bit_depth(pixels)) - 8
        pixels = np.right_shift(pixels, shift, out=np.empty(pixels.shape, np.uint8), casting='unsafe')
    if conversion is None:
        return pixels
    try:
        return cv2.cvtColor(pixels, conversion)
    except cv2.error as error:
        raise ImageError(f'image: expected more than {pixels.shape[1]}x{pixels.shape[0]} pixels') from error


def used_bits(encoding: str, width: int, height: int, step: int, data: ByteData,
              is_bigendian: bool = False) -> int | None:
    """The bit depth of a sensor_msgs/Image with 16-bit values; None for others.

    :raises ImageError: as :func:`decode_image` does
    """
    if encoding in PLANAR or _layout(encoding).bits == 8:
        return None
    return bit_depth(_numbers('image', encoding, width, height, step, data, is_bigendian))


def bit_depth(pixels: np.ndarray) -> int:
    """The smallest of :data:`BIT_DEPTHS` that can represent all values of a uint16 array."""
    return next(bits for bits in BIT_DEPTHS if int(pixels.max(initial=0)) < 1 << bits)


def decode_depth(encoding: str, width: int, height: int, step: int, data: ByteData,
                 is_bigendian: bool = False) -> np.ndarray:
    """Distances along the optical axis of a sensor_msgs/Image, as defined by REP 118.

    :param encoding: ``16UC1``, millimetres, 0 where unknown; or ``32FC1``, metres, NaN, infinite or 0 where
        unknown; ``mono16`` is treated as ``16UC1``
    :param step: bytes per row, padding included
    :param data: the bytes
    :return: (height, width) float32 metres, NaN where unknown
    :raises ImageError: on another encoding, or a size that ``step`` or ``data`` cannot hold
    """
    known = '16UC1' if encoding == 'mono16' else encoding
    if known not in DEPTH_ENCODINGS:
        raise ImageError(f'depth: encoding: expected 16UC1 in millimetres or 32FC1 in metres, got '
                         f'{encoding[:40]!r}')
    kind, metres = DEPTH_ENCODINGS[known]
    number = np.dtype(('>' if is_bigendian else '<') + kind)
    pixels = _pixels('depth', encoding, width, height, step, data, number.itemsize)
    return metres_of(np.ascontiguousarray(pixels).view(number)[..., 0], metres)


def metres_of(numbers: np.ndarray, metres: float) -> np.ndarray:
    """(H, W) float32 metres from (H, W) values in units of ``metres``; NaN where a value is not a distance."""
    depth_m = numbers.astype(np.float32) * np.float32(metres)
    depth_m[~((depth_m > 0) & np.isfinite(depth_m))] = np.nan
    return depth_m


def check_registered(depth_m: np.ndarray, width: int, height: int) -> None:
    """Check that a depth image has the size of its camera image.

    :raises ImageError: when it has another size
    """
    if depth_m.shape != (height, width):
        raise ImageError(f'depth: expected {width}x{height} pixels, registered to the camera image, '
                         f'got {depth_m.shape[1]}x{depth_m.shape[0]}')


def check_size(name: str, width: int, height: int) -> None:
    """Check that an image is not empty and not larger than the limit.

    :param name: kind of image for error messages
    :raises ImageError: when it is
    """
    if width < 1 or height < 1:
        raise ImageError(f'{name}: expected at least 1x1 pixels, got {width}x{height}')
    if width * height > most_pixels():
        raise ImageError(f'{name}: expected at most {most_pixels() / 1e6:g} megapixels, got {width}x{height}; the '
                         f'environment variable {MEGAPIXELS} sets the limit')


def encode_jpeg(image: np.ndarray) -> np.ndarray:
    """JPEG bytes (N,) uint8 of an image (H, W, 3) blue green red, with the quality used for recordings."""
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()


def flat_bytes(data: ByteData) -> np.ndarray:
    """(N,) uint8 view of any buffer, without a copy where possible."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).view(np.uint8).ravel()
    return np.frombuffer(memoryview(data), dtype=np.uint8)


def _layout(encoding: str) -> Layout:
    known = ALIASES.get(encoding, encoding)
    if known not in ENCODINGS:
        raise ImageError(f'image: encoding: expected one of {", ".join([*ENCODINGS, *ALIASES, *PLANAR])}, got '
                         f'{encoding[:40]!r}')
    return ENCODINGS[known]


def _numbers(name: str, encoding: str, width: int, height: int, step: int, data: ByteData,
             is_bigendian: bool) -> np.ndarray:
    """(height, width, channels) uint8 or uint16 view of the rows."""
    channels, bits, _ = _layout(encoding)
    pixels = _pixels(name, encoding, width, height, step, data, channels * bits // 8)
    return pixels if bits == 8 else np.ascontiguousarray(pixels).view('>u2' if is_bigendian else '<u2')


def _decode_planar(encoding: str, width: int, height: int, step: int, data: ByteData) -> np.ndarray:
    """Decode NV12, NV21 and NV24; chroma rows have padding in proportion to luma rows."""
    across, down = PLANAR[encoding]
    if down == 1 and (width % 2 or height % 2):
        raise ImageError(f'image: {encoding}: expected even width and height, got {width}x{height} pixels')
    colour_rows, colour_step = height * down // 2, step * across // 2
    needed = step * height + colour_step * (colour_rows - 1) + width * across // 2
    check_size('image', width, height)
    buffer = _checked_bytes('image', encoding, width, height, step, width, data, needed,
                            step * height + colour_step * colour_rows)
    brightness = _view(buffer, (height, width), (step, 1))
    colours = _view(buffer[step * height:], (colour_rows, width * across // 2), (colour_step, 1))
    if encoding == 'nv24':
        yuv = np.dstack([brightness, colours.reshape(height, width, 2)])
        return cv2.transform(yuv, BGR_FROM_YUV)
    return cv2.cvtColor(np.vstack([brightness, colours]), PLANAR_CONVERSIONS[encoding])


def _pixels(name: str, encoding: str, width: int, height: int, step: int, data: ByteData,
            pixel_bytes: int) -> np.ndarray:
    """(height, width, pixel_bytes) uint8 view of rows that may be padded.

    :param name: kind of image for error messages
    :raises ImageError: on a size that ``step`` or ``data`` cannot hold
    """
    check_size(name, width, height)
    # Some drivers leave out the padding after the last row.
    needed = step * (height - 1) + width * pixel_bytes
    buffer = _checked_bytes(name, encoding, width, height, step, width * pixel_bytes, data, needed, step * height)
    return _view(buffer, (height, width, pixel_bytes), (step, pixel_bytes, 1))


def _checked_bytes(name: str, encoding: str, width: int, height: int, step: int, row_bytes: int, data: ByteData,
                   least: int, most: int) -> np.ndarray:
    """The bytes of an image, after checking the row length and the total length."""
    if step < row_bytes:
        raise ImageError(f'{name}: step: expected at least {row_bytes} bytes per row for {width} pixels '
                         f'of {encoding}, got {step}')
    buffer = flat_bytes(data)
    if not least <= buffer.size <= most:
        raise ImageError(f'{name}: data: expected {most} bytes for {width}x{height} {encoding} with '
                         f'step {step}, got {buffer.size}')
    return buffer


def _view(buffer: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(buffer, shape, strides, writeable=False)
