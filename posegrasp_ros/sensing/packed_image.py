"""PackedImage: an image message's fields, live or recorded; BitDepth: what 16-bit images are scaled from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from posegrasp_ros.sensing.compressed_depth import decode_compressed_depth
from posegrasp_ros.sensing.compressed_images import compressed_bits, decode_compressed
from posegrasp_ros.sensing.images import ImageError, check_registered, decode_depth, decode_image, used_bits


class PackedImage(NamedTuple):
    """The fields of a sensor_msgs/Image; of a CompressedImage data and format, and no encoding.

    :param bits: that its 16-bit numbers use, see :class:`BitDepth`; None where that is not known
    """

    data: Any
    encoding: str = ''
    width: int = 0
    height: int = 0
    step: int = 0
    is_bigendian: int = 0
    format: str = ''
    bits: int | None = None
    frame_id: str = ''

    @classmethod
    def of(cls, message: Any) -> PackedImage:
        """An image message of rclpy or rosbags."""
        if isinstance(message, cls):
            return message
        if hasattr(message, 'encoding'):
            return cls(message.data, message.encoding, message.width, message.height, message.step,
                       message.is_bigendian, frame_id=message.header.frame_id)
        return cls(message.data, format=message.format, frame_id=message.header.frame_id)

    def decode(self) -> np.ndarray:
        """(H, W, 3) uint8 blue green red.

        :raises ImageError: when it cannot be decoded
        """
        if self._is_raw:
            return decode_image(*self._layout, bool(self.is_bigendian), self.bits)
        return decode_compressed(self.data, self.format, self.bits)

    def depth(self) -> np.ndarray:
        """(H, W) float32 metres, NaN where unknown.

        :raises ImageError: when it cannot be decoded
        """
        if self._is_raw:
            return decode_depth(*self._layout, bool(self.is_bigendian))
        return decode_compressed_depth(self.data, self.format)

    def used_bits(self) -> int | None:
        """The bit depth of 16-bit numbers; None of others.

        :raises ImageError: when it cannot be decoded
        """
        if self._is_raw:
            return used_bits(*self._layout, bool(self.is_bigendian))
        return compressed_bits(self.data)

    @property
    def _is_raw(self) -> bool:
        return bool(self.encoding or self.width or self.height)

    @property
    def _layout(self) -> tuple[str, int, int, int, Any]:
        return self.encoding, self.width, self.height, self.step, self.data


class BitDepth:
    """How many bits the 16-bit images of a stream use: the most that one of them did up to now.

    A camera of 12 bits in a container of 16 is known by what it sends. As the depth never falls, the same number
    stays the same brightness from image to image, but for the first ones, before one was bright.

    :param say: told of each depth that is found
    """

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._bits = 0

    def noted(self, image: PackedImage) -> PackedImage:
        """The image, with the depth to scale it from where it has 16-bit numbers."""
        try:
            used = image.used_bits()
        except ImageError:
            return image  # decoding it says what is wrong
        if used is None:
            return image
        if used > self._bits:
            self._bits = used
            self._say(f'{image.encoding or image.format}: {used} of 16 bits are in use; brightness is scaled from '
                      'these to 8')
        return image._replace(bits=self._bits)


def depth_of(message: Any) -> np.ndarray:
    """(H, W) float32 metres, NaN where unknown, of a message of either type, of rclpy or rosbags.

    :raises ImageError: when it cannot be decoded
    """
    return PackedImage.of(message).depth()


def registered_depth(message: Any, width: int, height: int) -> np.ndarray:
    """Depth for a camera image of some size.

    :param message: with the fields of sensor_msgs/Image or CompressedImage, of rclpy or rosbags
    :return: (height, width) float32 metres, NaN where unknown
    :raises ImageError: when it cannot be decoded or is of another size
    """
    depth_m = depth_of(message)
    check_registered(depth_m, width, height)
    return depth_m
