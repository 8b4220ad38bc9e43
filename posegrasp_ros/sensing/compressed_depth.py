# SPDX-License-Identifier: Apache-2.0
"""Decoding of image_transport's compressedDepth: PNG or RVL, as plain or quantised inverse depth."""

from __future__ import annotations

import struct

import numpy as np

from posegrasp_ros.runtime.numba_cache import compiled
from posegrasp_ros.sensing.compressed_images import PNG_MAGIC, TIFF_MAGICS, unpack_depth
from posegrasp_ros.sensing.images import DEPTH_ENCODINGS, ByteData, ImageError, check_size, flat_bytes, metres_of

# The header: an unused integer, then the two parameters of the inverse depth.
HEADER = struct.Struct('<iff')
RVL_SIZE = struct.Struct('<II')
# RVL's worst case is 3 bytes per pixel, plus padding at the end.
RVL_PIXEL_BYTES, RVL_END_BYTES = 3, 12
ENCODINGS = {'16UC1': '16UC1', 'mono16': '16UC1', '32FC1': '32FC1'}
CODECS = ('png', 'rvl')


def decode_compressed_depth(data: ByteData, format: str) -> np.ndarray:
    """Distances along the optical axis of a sensor_msgs/CompressedImage.

    Messages of the plain ``compressed`` transport, a PNG of 16UC1, are accepted as well.

    :param format: as image_transport writes it, such as ``16UC1; compressedDepth png``
    :return: (height, width) float32 metres, NaN where unknown
    :raises ImageError: when the format is not supported, or the image is too large
    """
    buffer = flat_bytes(data)
    encoding, _, codec = (part.strip() for part in format.partition(';'))
    if encoding not in ENCODINGS:
        raise ImageError('depth: format: expected 16UC1 or 32FC1 before "; compressedDepth png" or "rvl", got '
                         f'{format[:80]!r}')
    if buffer[:8].tobytes().startswith((PNG_MAGIC, *TIFF_MAGICS)):
        if ENCODINGS[encoding] == '32FC1':
            raise ImageError(f'depth: format: expected 16UC1 in a plain PNG, got {format[:80]!r}')
        return metres_of(unpack_depth(buffer), DEPTH_ENCODINGS['16UC1'][1])
    codec = codec.removeprefix('compressedDepth').strip() or 'png'
    if codec not in CODECS:
        raise ImageError(f'depth: format: expected compressedDepth {" or ".join(CODECS)}, got {format[:80]!r}')
    if buffer.size <= HEADER.size:
        raise ImageError(f'depth: data: expected a header of {HEADER.size} bytes and an image, got {buffer.size} '
                         'bytes')
    _, scale, offset = HEADER.unpack(buffer[:HEADER.size].tobytes())
    packed = buffer[HEADER.size:]
    numbers = unpack_depth(packed) if codec == 'png' else unpack_rvl(packed)
    if ENCODINGS[encoding] == '16UC1':
        return metres_of(numbers, DEPTH_ENCODINGS['16UC1'][1])
    return _from_inverse(numbers, scale, offset)


def unpack_rvl(packed: np.ndarray) -> np.ndarray:
    """(H, W) uint16 values of an RVL image (A. D. Wilson, Fast Lossless Depth Image Compression, 2017).

    :param packed: (N,) uint8: width and height as two uint32, then words of 32 bits
    :raises ImageError: when the number of pixels does not match
    """
    if packed.size < RVL_SIZE.size:
        raise ImageError(f'depth: data: expected width and height of an RVL image, got {packed.size} bytes')
    width, height = RVL_SIZE.unpack(packed[:RVL_SIZE.size].tobytes())
    check_size('depth', width, height)
    words = packed[RVL_SIZE.size:]
    if words.size > RVL_PIXEL_BYTES * width * height + RVL_END_BYTES:
        raise ImageError(f'depth: data: expected at most {RVL_PIXEL_BYTES} bytes per pixel for RVL of '
                         f'{width}x{height} pixels, got {words.size} bytes')
    numbers = np.zeros(width * height, np.uint16)
    filled = _fill_from_rvl(np.ascontiguousarray(words[:words.size // 4 * 4]).view('<u4'), numbers)
    if filled != numbers.size:
        raise ImageError(f'depth: data: expected RVL of {width}x{height} pixels, got '
                         + (f'{filled}, then the end' if filled >= 0 else 'more than that'))
    return numbers.reshape(height, width)


def _from_inverse(numbers: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """(H, W) float32 metres from quantised inverse depth; 0 means unknown."""
    if not (np.isfinite(scale) and np.isfinite(offset)):
        raise ImageError(f'depth: data: expected finite parameters of the inverse depth, got {scale} and {offset}')
    with np.errstate(divide='ignore', invalid='ignore'):
        depth_m = np.float32(scale) / (numbers.astype(np.float32) - np.float32(offset))
    depth_m[numbers == 0] = np.nan
    return metres_of(depth_m, 1.0)


@compiled
def _fill_from_rvl(words: np.ndarray, numbers: np.ndarray) -> int:
    """Decode the pixels (N,): alternating runs of zeros and of differences.

    Each number is stored in nibbles of 3 value bits and one continuation bit.

    :return: how many were filled; -1 where a run is longer than the rest of the image
    """
    filled, run, previous, kind, nibble = 0, 0, 0, 0, 0
    value, bits = 0, 0
    while nibble < 8 * len(words):
        word = np.int64(words[nibble // 8])
        part = int((word >> (28 - 4 * (nibble % 8))) & 15)
        nibble += 1
        value |= (part & 7) << bits
        bits += 3
        if part & 8:
            if bits > 27:
                return -1
            continue
        if kind == 2:  # a difference
            previous = (previous + ((value >> 1) ^ -(value & 1))) & 0xffff
            numbers[filled] = previous
            filled, run = filled + 1, run - 1
            kind = 2 if run else 0
        else:
            if value > len(numbers) - filled:
                return -1
            if kind == 0:  # a run of zeros
                filled, kind = filled + value, 1
            else:
                run, kind = value, 2 if value else 0
        value, bits = 0, 0
        if filled == len(numbers):
            break
    return filled
