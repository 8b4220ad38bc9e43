from __future__ import annotations

import array

import cv2
import numpy as np
import pytest

from posegrasp_ros.images import ENCODINGS, ImageError, decode_compressed, decode_depth, decode_image

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


DEPTH_M = np.array([[0.5, np.nan, 1.234], [2.0, 0.001, 65.535]], dtype=np.float32)


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_depth_of_both_encodings_is_in_metres(encoding, padding, order):
    stored = {'16UC1': np.nan_to_num(DEPTH_M * 1000).round().astype(f'{order}u2'),
              '32FC1': DEPTH_M.astype(f'{order}f4')}[encoding]
    rows = np.pad(stored.view(np.uint8).reshape(2, -1), ((0, 0), (0, padding)), constant_values=77)
    depth_m = decode_depth(encoding, 3, 2, rows.shape[1], rows.tobytes(), is_bigendian=order == '>')
    assert depth_m.dtype == np.float32
    np.testing.assert_allclose(depth_m, DEPTH_M, rtol=1e-6)


@pytest.mark.parametrize('unknown', [0.0, -0.1, np.nan, np.inf, -np.inf])
def test_what_is_no_distance_is_unknown(unknown):
    depth_m = decode_depth('32FC1', 2, 1, 8, np.array([unknown, 0.7], '<f4').tobytes())
    assert np.isnan(depth_m[0, 0]) and depth_m[0, 1] == np.float32(0.7)


@pytest.mark.parametrize('arguments, words', [
    (('mono16', 3, 2, 6, b''), ["'mono16'", '16UC1', '32FC1']),
    (('bgr8', 3, 2, 9, b''), ["'bgr8'"]),
    (('16UC1', 3, 2, 5, b''), ['depth: step', 'at least 6', 'got 5']),
    (('32FC1', 3, 2, 12, b'x' * 23), ['24 bytes', '3x2', 'got 23']),
    (('16UC1', 3, 0, 6, b''), ['3x0']),
])
def test_depth_that_cannot_be_read_is_refused_in_one_line(arguments, words):
    with pytest.raises(ImageError) as caught:
        decode_depth(*arguments)
    assert all(word in str(caught.value) for word in ('depth', *words)) and '\n' not in str(caught.value)
