# SPDX-License-Identifier: Apache-2.0
"""Depth of compressedDepth: each codec against what its publisher writes."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from posegrasp_ros.sensing.compressed_depth import decode_compressed_depth
from posegrasp_ros.sensing.images import ImageError

NUMBERS = np.random.default_rng(0).integers(300, 2000, (24, 32)).astype(np.uint16)
NUMBERS[3:9, 5:20] = 0
NUMBERS[-1, -4:] = 0
DEPTH_M = np.where(NUMBERS, NUMBERS / 1000, np.nan)
# As the publisher chooses them for depth_quantization 100 and depth_max 10.
SCALE, OFFSET = 100 * 101.0, 1 - 100 * 101.0 / 10


def header(scale: float = 0.0, offset: float = 0.0) -> bytes:
    return struct.pack('<iff', 0, scale, offset)


def png(numbers: np.ndarray) -> bytes:
    return cv2.imencode('.png', numbers)[1].tobytes()


def rvl(numbers: np.ndarray) -> bytes:
    """As the publisher's codec writes it, nibble by nibble."""
    nibbles: list[int] = []

    def put(value: int) -> None:
        while True:
            more = value >> 3
            nibbles.append(value & 7 | (8 if more else 0))
            value = more
            if not value:
                return

    flat, place, previous = numbers.ravel().tolist(), 0, 0
    while place < len(flat):
        zeros = next((i for i, value in enumerate(flat[place:]) if value), len(flat) - place)
        put(zeros)
        place += zeros
        run = next((i for i, value in enumerate(flat[place:]) if not value), len(flat) - place)
        put(run)
        for value in flat[place:place + run]:
            delta = value - previous
            put(delta << 1 ^ delta >> 31)
            previous = value
        place += run
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int(''.join(f'{nibble:x}' for nibble in nibbles[i:i + 8]), 16) for i in range(0, len(nibbles), 8)]
    height, width = numbers.shape
    return struct.pack('<II', width, height) + struct.pack(f'<{len(words)}I', *words)


@pytest.mark.parametrize(('codec', 'pack'), [('png', png), ('rvl', rvl), ('', png)])
def test_millimetres_come_back(codec, pack):
    depth_m = decode_compressed_depth(header() + pack(NUMBERS), f'16UC1; compressedDepth {codec}'.strip())
    assert depth_m.dtype == np.float32
    np.testing.assert_allclose(depth_m, DEPTH_M, rtol=1e-6)


@pytest.mark.parametrize(('codec', 'pack'), [('png', png), ('rvl', rvl)])
def test_inverse_depth_comes_back_to_its_quantum(codec, pack):
    quantised = np.where(NUMBERS, SCALE / np.where(NUMBERS, DEPTH_M, 1) + OFFSET, 0).astype(np.uint16)
    depth_m = decode_compressed_depth(header(SCALE, OFFSET) + pack(quantised), f'32FC1; compressedDepth {codec}')
    quantum_m = DEPTH_M ** 2 / SCALE
    assert (np.isnan(depth_m) == np.isnan(DEPTH_M)).all()
    assert np.nanmax((depth_m - DEPTH_M) / quantum_m) <= 1.01


@pytest.mark.parametrize('format', ['16UC1', '16UC1; png compressed ', 'mono16; png compressed'])
def test_a_plain_png_of_millimetres_is_depth_too(format):
    np.testing.assert_allclose(decode_compressed_depth(png(NUMBERS), format), DEPTH_M, rtol=1e-6)


@pytest.mark.parametrize(('data', 'format', 'words'), [
    (header() + png(NUMBERS), 'bgr8; jpeg compressed bgr8', "'bgr8; jpeg compressed bgr8'"),
    (header() + png(NUMBERS), '16UC1; compressedDepth zip', 'png or rvl'),
    (header(), '16UC1; compressedDepth png', 'got 12 bytes'),
    (header() + png(NUMBERS.astype(np.uint8)), '16UC1; compressedDepth png', '1 of uint8'),
    (header() + b'rubbish', '16UC1; compressedDepth png', 'got 7 bytes'),
    (png(NUMBERS), '32FC1; png compressed', 'plain PNG'),
    (header(np.nan, 1) + png(NUMBERS), '32FC1; compressedDepth png', 'finite'),
    (header() + rvl(NUMBERS)[:-8], '16UC1; compressedDepth rvl', r'768|32x24'),
    (header() + rvl(NUMBERS)[:5], '16UC1; compressedDepth rvl', 'got 5 bytes'),
    (header() + struct.pack('<II', 60000, 60000), '16UC1; compressedDepth rvl', '50 megapixels'),
    (header() + struct.pack('<III', 2, 2, 0x70000000), '16UC1; compressedDepth rvl', 'more than that'),
    (header() + struct.pack('<III', 2, 2, 0xffffffff), '16UC1; compressedDepth rvl', '2x2'),
    (header() + struct.pack('<II', 2, 2) + bytes(400), '16UC1; compressedDepth rvl', 'got 400 bytes')])
def test_what_is_no_depth_is_refused_in_one_line(data, format, words):
    with pytest.raises(ImageError, match=words) as caught:
        decode_compressed_depth(data, format)
    assert str(caught.value).startswith('depth: ') and '\n' not in str(caught.value)
