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
# Depth by REP 118: numpy's type of a pixel, and metres per unit.
DEPTH_ENCODINGS: dict[str, tuple[str, float]] = {'16UC1': ('u2', 0.001), '32FC1': ('f4', 1.0)}

# A fifth of a PNG's size and time, with errors below the camera's own noise.
JPEG_QUALITY = 95


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
    pixels = _pixels('image', encoding, width, height, step, data, channels)
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)


def decode_depth(encoding: str, width: int, height: int, step: int, data,
                 is_bigendian: bool = False) -> np.ndarray:
    """Distances along the optical axis of a sensor_msgs/Image by REP 118.

    :param encoding: ``16UC1``, millimetres, 0 where unknown; or ``32FC1``, metres, NaN, infinite or 0 where
        unknown
    :param step: bytes a row, padding included
    :param data: the bytes, anything with a buffer
    :return: (height, width) float32 metres, NaN where unknown
    :raises ImageError: on another encoding, or a size that ``step`` or ``data`` cannot hold
    """
    if encoding not in DEPTH_ENCODINGS:
        raise ImageError(f'depth: encoding: expected 16UC1 in millimetres or 32FC1 in metres, got {encoding!r}')
    kind, metres = DEPTH_ENCODINGS[encoding]
    number = np.dtype(('>' if is_bigendian else '<') + kind)
    pixels = _pixels('depth', encoding, width, height, step, data, number.itemsize)
    depth_m = np.ascontiguousarray(pixels).view(number)[..., 0].astype(np.float32) * np.float32(metres)
    depth_m[~((depth_m > 0) & np.isfinite(depth_m))] = np.nan
    return depth_m


def registered_depth(message, width: int, height: int) -> np.ndarray:
    """Depth for a camera image of some size.

    :param message: anything with the fields of sensor_msgs/Image, of rclpy or rosbags
    :return: (height, width) float32 metres, NaN where unknown
    :raises ImageError: when it cannot be decoded or is of another size
    """
    depth_m = depth_of(message)
    check_registered(depth_m, width, height)
    return depth_m


def depth_of(message) -> np.ndarray:
    """Depth of a message with the fields of sensor_msgs/Image, as :func:`decode_depth` gives it."""
    return decode_depth(message.encoding, message.width, message.height, message.step, message.data,
                        bool(message.is_bigendian))


def check_registered(depth_m: np.ndarray, width: int, height: int) -> None:
    """Make sure that a depth image is as large as its camera image.

    :raises ImageError: when it is not
    """
    if depth_m.shape != (height, width):
        raise ImageError(f'depth: expected {width}x{height} pixels, registered to the camera image, '
                         f'got {depth_m.shape[1]}x{depth_m.shape[0]}')


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


def encode_jpeg(image: np.ndarray) -> np.ndarray:
    """The bytes (N,) uint8 of an image (H, W, 3) blue green red as robots record it."""
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].ravel()


def _pixels(name: str, encoding: str, width: int, height: int, step: int, data, pixel_bytes: int) -> np.ndarray:
    """(height, width, pixel_bytes) uint8 view of rows that may be padded.

    :param name: what the image is, for the error's line
    :raises ImageError: on a size that ``step`` or ``data`` cannot hold
    """
    if width < 1 or height < 1:
        raise ImageError(f'{name}: expected at least 1x1 pixels, got {width}x{height}')
    if step < width * pixel_bytes:
        raise ImageError(f'{name}: step: expected at least {width * pixel_bytes} bytes a row for {width} pixels '
                         f'of {encoding}, got {step}')
    buffer = _flat_bytes(data)
    # The padding behind the last row may be left out: some drivers do.
    needed = step * (height - 1) + width * pixel_bytes
    if not needed <= buffer.size <= step * height:
        raise ImageError(f'{name}: data: expected {step * height} bytes for {width}x{height} {encoding} with '
                         f'step {step}, got {buffer.size}')
    shape, strides = (height, width, pixel_bytes), (step, pixel_bytes, 1)
    return np.lib.stride_tricks.as_strided(buffer, shape, strides, writeable=False)


def _flat_bytes(data) -> np.ndarray:
    """(N,) uint8 view of any buffer, without a copy where the buffer allows."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).view(np.uint8).ravel()
    return np.frombuffer(data, dtype=np.uint8)
