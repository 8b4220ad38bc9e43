# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array
import struct
import zlib

import cv2
import numpy as np
import pytest

from posegrasp_ros.sensing.compressed_images import compressed_bits, decode_compressed
from posegrasp_ros.sensing.images import ENCODINGS, PLANAR, ImageError, decode_depth, decode_image
from posegrasp_ros.sensing.packed_image import BitDepth, PackedImage

WIDTH, HEIGHT = 8, 6
BGR = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY = BGR[..., 0].copy()
GREY_BGR = np.repeat(GREY[..., None], 3, axis=2)
# A colour whose mosaic, and whose subsampled chroma, tell all of it.
ORANGE = np.full((HEIGHT, WIDTH, 3), (30, 120, 220), np.uint8)
PATTERN_CHANNELS = {'r': 2, 'g': 1, 'b': 0}


def mosaic(image: np.ndarray, pattern: str) -> np.ndarray:
    """What a sensor sees behind a filter of colours whose first row begins with the first two letters."""
    seen = np.empty(image.shape[:2], image.dtype)
    for place, colour in enumerate(pattern):
        rows, columns = slice(place // 2, None, 2), slice(place % 2, None, 2)
        seen[rows, columns] = image[rows, columns, PATTERN_CHANNELS[colour]]
    return seen


def yuv_of(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) y, u, v of BT.601 in video's range."""
    matrix = np.array([[0.098, 0.504, 0.257], [0.439, -0.291, -0.148], [-0.071, -0.368, 0.439]])
    return np.rint(image @ matrix.T + (16, 128, 128)).astype(np.uint8)


def planes(encoding: str) -> list[np.ndarray]:
    """Rows of ORANGE in YUV, one array a plane."""
    y, u, v = np.moveaxis(yuv_of(ORANGE), 2, 0)
    if encoding == 'yuv422':
        return [np.dstack([np.where(np.arange(WIDTH) % 2, v, u), y]).reshape(HEIGHT, -1)]
    if encoding == 'yuv422_yuy2':
        return [np.dstack([y, np.where(np.arange(WIDTH) % 2, v, u)]).reshape(HEIGHT, -1)]
    if encoding == 'nv24':
        return [y, np.dstack([u, v]).reshape(HEIGHT, -1)]
    pair = (v, u) if encoding == 'nv21' else (u, v)
    return [y, np.dstack([each[::2, ::2] for each in pair]).reshape(HEIGHT // 2, -1)]


def rows_of(encoding: str) -> np.ndarray:
    """The picture's bytes (H, N) the way a camera that uses this encoding lays them out."""
    if encoding.startswith('bayer'):
        pixels = mosaic(ORANGE, encoding[6:10])[..., None]
    else:
        alpha = np.full((HEIGHT, WIDTH, 1), 9, dtype=np.uint8)
        pixels = {'bgr': BGR, 'rgb': BGR[..., ::-1], 'mono': GREY[..., None],
                  'bgra': np.concatenate([BGR, alpha], axis=2),
                  'rgba': np.concatenate([BGR[..., ::-1], alpha], axis=2)}[encoding.rstrip('0123456789')]
    if encoding.endswith('16'):
        pixels = (pixels.astype('<u2') << 8 | 1).view(np.uint8)
    return pixels.reshape(HEIGHT, -1)


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('encoding', [name for name in ENCODINGS if not name.startswith('yuv')])
def test_every_encoding_gives_blue_green_red_with_and_without_padding(encoding, padding):
    padded = np.pad(rows_of(encoding), ((0, 0), (0, padding)), constant_values=255)
    image = decode_image(encoding, WIDTH, HEIGHT, padded.shape[1], padded.tobytes())
    expected = GREY_BGR if encoding.startswith('mono') else ORANGE if encoding.startswith('bayer') else BGR
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == np.uint8


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('encoding', ['yuv422', 'yuv422_yuy2', *PLANAR])
def test_video_encodings_give_the_colour_that_went_in(encoding, padding):
    parts = [np.pad(plane, ((0, 0), (0, padding * (1 + (encoding == 'nv24' and place)))), constant_values=77)
             for place, plane in enumerate(planes(encoding))]
    image = decode_image(encoding, WIDTH, HEIGHT, parts[0].shape[1], b''.join(part.tobytes() for part in parts))
    assert np.abs(image.astype(int) - ORANGE).max() <= 3


def test_the_order_of_bytes_is_that_of_the_message():
    big = rows_of('rgb16').view('<u2').astype('>u2')
    image = PackedImage(big.tobytes(), 'rgb16', WIDTH, HEIGHT, 6 * WIDTH, is_bigendian=1).decode()
    np.testing.assert_array_equal(image, BGR)


@pytest.mark.parametrize(('largest', 'bits'), [(0, 8), (255, 8), (256, 10), (1023, 10), (4095, 12), (16383, 14),
                                               (16384, 16), (65535, 16)])
def test_sixteen_bits_are_scaled_from_those_in_use(largest, bits):
    pixels = np.array([[0, largest // 2, largest]], '<u2')
    image = decode_image('mono16', 3, 1, 6, pixels.tobytes())
    np.testing.assert_array_equal(image[..., 0], pixels >> (bits - 8))


def test_the_scale_of_a_stream_does_not_fall_with_a_dark_image_and_is_said_once():
    said = []
    depth = BitDepth(said.append)

    def seen(value: int) -> int:
        image = PackedImage(np.full((1, 2), value, '<u2').tobytes(), 'mono16', 2, 1, 4)
        return int(depth.noted(image).decode()[0, 0, 0])

    assert [seen(value) for value in (4000, 160, 160, 4000)] == [250, 10, 10, 250]
    assert len(said) == 1 and 'mono16: 12 of 16 bits' in said[0]
    assert depth.noted(PackedImage(b'x', 'mono8', 1, 1, 1)).bits is None and len(said) == 1


@pytest.mark.parametrize('wrap', [bytes, bytearray, memoryview, lambda b: array.array('B', b),
                                  lambda b: np.frombuffer(b, np.uint8)])
def test_any_buffer_will_do(wrap):
    np.testing.assert_array_equal(decode_image('bgr8', WIDTH, HEIGHT, 3 * WIDTH, wrap(BGR.tobytes())), BGR)


def test_bgr_is_not_copied():
    data = np.frombuffer(BGR.tobytes(), np.uint8)
    assert np.shares_memory(decode_image('bgr8', WIDTH, HEIGHT, 3 * WIDTH, data), data)


def test_last_row_may_lack_its_padding():
    padded = np.pad(BGR.reshape(HEIGHT, -1), ((0, 0), (0, 3))).tobytes()[:-3]
    np.testing.assert_array_equal(decode_image('bgr8', WIDTH, HEIGHT, 3 * WIDTH + 3, padded), BGR)


@pytest.mark.parametrize('arguments, words', [
    (('32FC3', 8, 6, 96, b''), ["'32FC3'", 'bgr8, rgb8, mono8']),
    (('bgr8', 8, 6, 24, BGR.tobytes()[:-1]), ['144 bytes', '8x6', 'got 143']),
    (('bgr8', 8, 6, 24, BGR.tobytes() + b'x'), ['144 bytes', 'got 145']),
    (('bgr8', 8, 6, 23, BGR.tobytes()), ['step', 'at least 24', 'got 23']),
    (('bgr8', 8, 6, 0, BGR.tobytes()), ['step', 'at least 24', 'got 0']),
    (('nv12', 8, 6, 7, bytes(72)), ['step', 'at least 8', 'got 7']),
    (('nv12', 8, 6, 8, bytes(71)), ['72 bytes', 'got 71']),
    (('nv12', 8, 5, 8, bytes(60)), ['even', '8x5']),
    (('yuv422', 7, 6, 14, bytes(84)), ['even width', 'got 7']),
    (('bgr8', 0, 5, 0, b''), ['0x5']),
    (('mono8', 30000, 30000, 30000, b''), ['50 megapixels', '30000x30000', 'POSEGRASP_MAX_MEGAPIXELS']),
])
def test_disagreement_is_refused_in_one_line_with_the_numbers(arguments, words):
    with pytest.raises(ImageError) as caught:
        decode_image(*arguments)
    assert all(word in str(caught.value) for word in words)
    assert '\n' not in str(caught.value)


def coded(image: np.ndarray, suffix: str = '.png') -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def test_compressed_png_is_exact_and_jpeg_is_close():
    smooth = cv2.GaussianBlur(cv2.resize(BGR, (64, 48)), (0, 0), 3)
    for suffix, tolerance in (('.png', 0), ('.jpg', 12), ('.tif', 0), ('.bmp', 0), ('.webp', 12)):
        assert np.abs(decode_compressed(coded(smooth, suffix)).astype(int) - smooth).max() <= tolerance


@pytest.mark.parametrize(('format', 'exchanged'), [
    ('', False), ('png', False), ('jpeg', False), ('rgb8; png compressed bgr8', False),
    ('bgr8; png compressed bgr8', False), ('rgb8; png compressed rgb8', True), ('bgr8; png compressed rgb8', True),
    ('rgb8; png compressed ', True), ('bgra8; png compressed bgra8', False), ('mono8; png compressed ', False),
    ('yuv422_yuy2; png compressed bgr8', False)])
def test_colours_of_a_compressed_image_are_those_that_its_format_says(format, exchanged):
    np.testing.assert_array_equal(decode_compressed(coded(BGR), format), BGR[..., ::-1] if exchanged else BGR)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_a_mosaic_may_be_compressed(pattern):
    seen = mosaic(ORANGE, pattern)
    format = f'bayer_{pattern}8; png compressed '
    np.testing.assert_array_equal(decode_compressed(coded(seen), format), ORANGE)
    np.testing.assert_array_equal(decode_compressed(coded(ORANGE), f'{format}bgr8'), ORANGE, 'no mosaic')
    deep = seen.astype(np.uint16) << 4
    np.testing.assert_array_equal(decode_compressed(coded(deep), f'bayer_{pattern}16; png compressed '), ORANGE)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_compressed_sixteen_bits_are_scaled_as_raw_ones_are(suffix):
    assert compressed_bits(coded(GREY, '.png')) is None
    for image, expected in ((GREY, GREY_BGR), (BGR, BGR)):
        data = coded(image.astype(np.uint16) << 4, suffix)
        assert compressed_bits(data) == 12
        np.testing.assert_array_equal(decode_compressed(data), expected)
        np.testing.assert_array_equal(decode_compressed(data, bits=14), expected >> 2)


def test_compressed_grey_becomes_three_channels():
    np.testing.assert_array_equal(decode_compressed(coded(GREY)), GREY_BGR)


@pytest.mark.parametrize('data', [b'', b'not an image', b'\xff\xd8\xff\xe0'])
def test_compressed_rubbish_is_refused(data):
    with pytest.raises(ImageError, match=f'got {len(data)} bytes'):
        decode_compressed(data)


def png_that_says(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises more."""
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
            + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b''))


def jpeg_that_says(width: int, height: int) -> bytes:
    content = coded(BGR, '.jpg')
    place = content.index(b'\xff\xc0') + 5
    return content[:place] + struct.pack('>HH', height, width) + content[place + 4:]


@pytest.mark.parametrize(('data', 'found'), [
    (png_that_says(30000, 30000), 'a header of more than'),
    (jpeg_that_says(65500, 65500), 'a header of more than'),
    (png_that_says(8000, 7000), '8000x7000; the environment variable'), (jpeg_that_says(9000, 6000), '9000x6000')])
def test_a_header_that_promises_too_much_is_refused_before_it_is_believed(data, found):
    with pytest.raises(ImageError, match=f'at most 50 megapixels, got {found}'):
        decode_compressed(data)


def test_the_limit_of_an_image_can_be_set(monkeypatch):
    monkeypatch.setenv('POSEGRASP_MAX_MEGAPIXELS', '0.00004')
    with pytest.raises(ImageError, match='4e-05 megapixels, got 8x6'):
        decode_compressed(coded(BGR))


def test_a_jpeg_of_very_many_scans_is_refused():
    content = coded(BGR, '.jpg')
    with pytest.raises(ImageError, match='at most 100 scans'):
        decode_compressed(content + 200 * b'\xff\xda\0\x08\1\1\0\0\x3f\0')


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
    (('8UC1', 3, 2, 6, b''), ["'8UC1'", '16UC1', '32FC1']),
    (('bgr8', 3, 2, 9, b''), ["'bgr8'"]),
    (('16UC1', 3, 2, 5, b''), ['depth: step', 'at least 6', 'got 5']),
    (('32FC1', 3, 2, 12, b'x' * 23), ['24 bytes', '3x2', 'got 23']),
    (('16UC1', 3, 0, 6, b''), ['3x0']),
])
def test_depth_that_cannot_be_read_is_refused_in_one_line(arguments, words):
    with pytest.raises(ImageError) as caught:
        decode_depth(*arguments)
    assert all(word in str(caught.value) for word in ('depth', *words)) and '\n' not in str(caught.value)
