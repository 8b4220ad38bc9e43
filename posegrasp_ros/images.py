"""Image messages to arrays: the one place that knows encodings, rows and padding."""

from __future__ import annotations

import cv2
import numpy as np

from posegrasp_ros.errors import BadInput

# Channels of each encoding, and what turns it into blue green red (None: already is).
ENCODINGS: dict[str, tuple[int, int | None]] = {
    'bgr8': (3, None),
    'rgb8': (3, cv2.COLOR_RGB2BGR),
    'mono8': (1, cv2.COLOR_GRAY2BGR),
    'bgra8': (4, cv2.COLOR_BGRA2BGR),
    'rgba8': (4, cv2.COLOR_RGBA2BGR),
}
# Other names that drivers give to the same bytes.
ALIASES = {'8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8'}


class ImageError(BadInput):
    """An image message that cannot be decoded."""


def decode_image(encoding: str, width: int, height: int, step: int, data) -> np.ndarray:
    """Pixels of a sensor_msgs/Image.

    :param encoding: one of :data:`ENCODINGS` or :data:`ALIASES`
    :param width: pixels a row
    :param height: rows
    :param step: bytes a row, padding included
    :param data: the bytes, anything with a buffer (bytes, array.array, numpy array)
    :return: (height, width, 3) uint8, blue green red; a view of ``data`` where that needs no conversion
    :raises ImageError: on an unknown encoding, or a size that ``step`` or ``data`` cannot hold
    """
    known = ALIASES.get(encoding, encoding)
    if known not in ENCODINGS:
        raise ImageError(f'image: encoding: expected one of {", ".join(ENCODINGS)}, got {encoding!r}')
    channels, conversion = ENCODINGS[known]
    if width < 1 or height < 1:
        raise ImageError(f'image: expected at least 1x1 pixels, got {width}x{height}')
    if step < width * channels:
        raise ImageError(f'image: step: expected at least {width * channels} bytes a row for {width} pixels '
                         f'of {encoding}, got {step}')
    buffer = _flat_bytes(data)
    # The padding behind the last row may be left out: some drivers do.
    needed = step * (height - 1) + width * channels
    if not needed <= buffer.size <= step * height:
        raise ImageError(f'image: data: expected {step * height} bytes for {width}x{height} {encoding} with '
                         f'step {step}, got {buffer.size}')
    shape, strides = (height, width, channels), (step, channels, 1)
    pixels = np.lib.stride_tricks.as_strided(buffer, shape, strides, writeable=False)
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)


def decode_compressed(data) -> np.ndarray:
    """Pixels of a sensor_msgs/CompressedImage (JPEG, PNG, whatever OpenCV reads).

    :return: (height, width, 3) uint8, blue green red
    :raises ImageError: when the bytes are no image
    """
    buffer = _flat_bytes(data)
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if buffer.size else None
    except cv2.error:
        image = None
    if image is None:
        start = buffer[:4].tobytes().hex(' ') or 'nothing'
        raise ImageError(f'image: data: expected a JPEG or PNG file, got {buffer.size} bytes that begin with '
                         f'{start}')
    return image


def _flat_bytes(data) -> np.ndarray:
    """(N,) uint8 view of any buffer, without a copy where the buffer allows."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).view(np.uint8).ravel()
    return np.frombuffer(data, dtype=np.uint8)
