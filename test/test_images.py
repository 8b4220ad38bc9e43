from __future__ import annotations

import array

import cv2
import numpy as np
import pytest

from posegrasp_ros.images import ENCODINGS, ImageError, decode_compressed, decode_image

BGR = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = BGR[..., 0].copy()


def encoded(encoding: str) -> np.ndarray:
    """The picture's pixels (H, W, C) the way a camera that uses this encoding lays them out."""
    alpha = np.full((5, 7, 1), 9, dtype=np.uint8)
    return {
        'bgr8': BGR,
        'rgb8': BGR[..., ::-1],
        'mono8': GREY[..., None],
        'bgra8': np.concatenate([BGR, alpha], axis=2),
        'rgba8': np.concatenate([BGR[..., ::-1], alpha], axis=2),
    }[encoding]


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('padding', [0, 5])
def test_every_encoding_gives_blue_green_red_with_and_without_padding(encoding, padding):
    pixels = encoded(encoding)
    rows = pixels.reshape(5, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    image = decode_image(encoding, 7, 5, padded.shape[1], padded.tobytes())
    expected = np.repeat(GREY[..., None], 3, axis=2) if encoding == 'mono8' else BGR
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == np.uint8


@pytest.mark.parametrize('wrap', [bytes, bytearray, memoryview, lambda b: array.array('B', b),
                                  lambda b: np.frombuffer(b, np.uint8)])
def test_any_buffer_will_do(wrap):
    np.testing.assert_array_equal(decode_image('bgr8', 7, 5, 21, wrap(BGR.tobytes())), BGR)


def test_bgr_is_not_copied():
    data = np.frombuffer(BGR.tobytes(), np.uint8)
    assert np.shares_memory(decode_image('bgr8', 7, 5, 21, data), data)


def test_last_row_may_lack_its_padding():
    padded = np.pad(BGR.reshape(5, -1), ((0, 0), (0, 3))).tobytes()[:-3]
    np.testing.assert_array_equal(decode_image('bgr8', 7, 5, 24, padded), BGR)


@pytest.mark.parametrize('arguments, words', [
    (('yuv422', 7, 5, 14, b''), ["'yuv422'", 'bgr8, rgb8, mono8']),
    (('bgr8', 7, 5, 21, BGR.tobytes()[:-1]), ['105 bytes', '7x5', 'got 104']),
    (('bgr8', 7, 5, 21, BGR.tobytes() + b'x'), ['105 bytes', 'got 106']),
    (('bgr8', 7, 5, 20, BGR.tobytes()), ['step', 'at least 21', 'got 20']),
    (('bgr8', 0, 5, 0, b''), ['0x5']),
])
def test_disagreement_is_refused_in_one_line_with_the_numbers(arguments, words):
    with pytest.raises(ImageError) as caught:
        decode_image(*arguments)
    assert all(word in str(caught.value) for word in words)
    assert '\n' not in str(caught.value)


def test_compressed_png_is_exact_and_jpeg_is_close():
    smooth = cv2.GaussianBlur(cv2.resize(BGR, (64, 48)), (0, 0), 3)
    for suffix, tolerance in (('.png', 0), ('.jpg', 12)):
        image = decode_compressed(cv2.imencode(suffix, smooth)[1].tobytes())
        assert np.abs(image.astype(int) - smooth).max() <= tolerance


def test_compressed_grey_becomes_three_channels():
    assert decode_compressed(cv2.imencode('.png', GREY)[1].tobytes()).shape == (5, 7, 3)


@pytest.mark.parametrize('data', [b'', b'not an image', b'\xff\xd8\xff\xe0'])
def test_compressed_rubbish_is_refused(data):
    with pytest.raises(ImageError, match=f'got {len(data)} bytes'):
        decode_compressed(data)
