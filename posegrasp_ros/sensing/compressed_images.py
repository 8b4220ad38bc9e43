# SPDX-License-Identifier: Apache-2.0
"""Decoding of CompressedImage messages and image files; the size is checked before anything is unpacked."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from posegrasp_ros.runtime.limits import MESSAGE_MEGABYTES, most_message_bytes, most_pixels
from posegrasp_ros.sensing.images import (
    BAYER,
    ByteData,
    ImageError,
    bit_depth,
    check_size,
    flat_bytes,
    to_bgr,
)

# Pillow's names of the codecs of image_transport, photographs and BOP datasets.
CODECS = ('JPEG', 'PNG', 'TIFF', 'WEBP', 'BMP')
COLOURS = tuple(f'{order}{bits}' for order in ('rgb', 'bgr', 'rgba', 'bgra') for bits in (8, 16))
# A progressive JPEG has about ten scans, each of which takes a pass over all pixels.
MOST_JPEG_SCANS = 100
START_OF_SCAN = b'\xff\xda'
PNG_MAGIC, PNG_BITS_AT = b'\x89PNG\r\n\x1a\n', 24
TIFF_MAGICS = (b'II*\0', b'MM\0*')
FROM_CHANNELS = {1: cv2.COLOR_GRAY2BGR, 3: None, 4: cv2.COLOR_BGRA2BGR}


def decode_compressed(data: ByteData, format: str = '', bits: int | None = None) -> np.ndarray:
    """Pixels of a sensor_msgs/CompressedImage, or of an image file.

    :param format: as image_transport writes it, ``<encoding>; <codec> compressed <colours of the codec>``. Colours
        are interpreted as by its own subscriber: the codec holds blue green red if the text says
        ``compressed bgr``, else red and blue are swapped; without an encoding they are those of the codec. A
        single-channel image with a Bayer encoding is the raw mosaic.
    :param bits: bit depth of 16-bit values; None for the one that this image uses
    :return: (height, width, 3) uint8, blue green red
    :raises ImageError: when the bytes are not an image, or the image is too large
    """
    encoding, has_encoding, codec = (part.strip() for part in format.partition(';'))
    pattern = BAYER.get(encoding[len('bayer_'):].rstrip('0123456789')) if encoding.startswith('bayer_') else None
    is_plain = pattern is None and not _is_deep(data)
    pixels = _unpacked(data, cv2.IMREAD_COLOR if is_plain else cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 2 and pattern is not None:
        return to_bgr(pixels[..., None], pattern, bits)
    image = to_bgr(pixels.reshape(*pixels.shape[:2], -1), _conversion(pixels), bits)
    if has_encoding and encoding in COLOURS and 'compressed bgr' not in codec:
        return np.ascontiguousarray(image[..., ::-1])
    return image


def compressed_bits(data: ByteData) -> int | None:
    """The bit depth of an image with 16-bit values; None for others.

    :raises ImageError: as :func:`decode_compressed` does
    """
    return bit_depth(_unpacked(data, cv2.IMREAD_UNCHANGED)) if _is_deep(data) else None


def read_file(path: Path) -> bytes:
    """The bytes of an image file.

    :raises ImageError: when it is too large, or the path is not a file
    :raises OSError: when it cannot be read
    """
    if not path.is_file():
        raise ImageError('image: expected a file')
    if path.stat().st_size > most_message_bytes():
        raise ImageError(f'image: expected at most {most_message_bytes() / 1e6:g} MB, got '
                         f'{path.stat().st_size / 1e6:g}; the environment variable {MESSAGE_MEGABYTES} sets the '
                         'limit')
    return path.read_bytes()


def unpack_depth(data: ByteData) -> np.ndarray:
    """(H, W) uint16 values of a PNG or TIFF file with depth.

    :raises ImageError: when it has another format
    """
    pixels = _unpacked(data, cv2.IMREAD_UNCHANGED, 'depth')
    if pixels.dtype != np.uint16 or pixels.ndim != 2:
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        raise ImageError(f'depth: data: expected one channel of 16 bits, got {channels} of {pixels.dtype}')
    return pixels


def _unpacked(data: ByteData, flags: int, name: str = 'image') -> np.ndarray:
    """Decode an image with OpenCV after checking its header.

    :param name: kind of image for error messages
    """
    buffer = flat_bytes(data)
    _check_header(buffer, name)
    try:
        pixels = cv2.imdecode(buffer, flags)
    except (cv2.error, MemoryError):
        pixels = None
    if pixels is None:
        raise _no_image(buffer, name)
    return pixels


def _check_header(buffer: np.ndarray, name: str) -> None:
    """Refuse files that are not images, and images that would take too much memory or time."""
    content = buffer.tobytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # damage is judged by the decoder
            with Image.open(io.BytesIO(content), formats=CODECS) as image:
                (width, height), codec = image.size, image.format
    except Image.DecompressionBombError as error:
        least = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # where Pillow raises; None would be no limit
        raise ImageError(f'{name}: expected at most {most_pixels() / 1e6:g} megapixels, got a header of more than '
                         f'{least / 1e6:.0f}') from error
    except Exception as error:  # each codec raises its own exceptions
        raise _no_image(buffer, name) from error
    check_size(name, width, height)
    if codec in ('JPEG', 'MPO') and content.count(START_OF_SCAN) > MOST_JPEG_SCANS:
        raise ImageError(f'{name}: data: expected a JPEG of at most {MOST_JPEG_SCANS} scans, got '
                         f'{content.count(START_OF_SCAN)}')


def _no_image(buffer: np.ndarray, name: str) -> ImageError:
    start = buffer[:4].tobytes().hex(' ') or 'nothing'
    return ImageError(f'{name}: data: expected a complete file of {", ".join(CODECS)}, got {buffer.size} bytes '
                      f'that begin with {start}')


def _is_deep(data: ByteData) -> bool:
    """Whether the values have, or may have, 16 bits."""
    start = flat_bytes(data)[:PNG_BITS_AT + 1].tobytes()
    if start.startswith(PNG_MAGIC):
        return start[PNG_BITS_AT:] == b'\x10'
    return start.startswith(TIFF_MAGICS)


def _conversion(pixels: np.ndarray) -> int | None:
    """OpenCV's conversion of the pixels to blue green red; None if they already are."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels not in FROM_CHANNELS or pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f'image: data: expected 1, 3 or 4 channels of 8 or 16 bits, got {channels} of '
                         f'{pixels.dtype}')
    return FROM_CHANNELS[channels]
