# SPDX-License-Identifier: Apache-2.0
"""The same scene in another encoding has the same pose."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import simulated_frames
from test_images import mosaic, yuv_of

from posegrasp_ros.estimation.create import create_estimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.geometry.transforms import vector_from_rotation
from posegrasp_ros.runtime.resources import model_folder
from posegrasp_ros.sensing.packed_image import PackedImage

WIDTH, HEIGHT = 640, 480
# Millimetres and degrees from the pose of bgr8; the second where colours are seen at fewer pixels.
EXACT, COARSE = (1.0, 0.5), (3.0, 1.5)


def deep(pixels, order='<'):
    """Twelve of sixteen bits."""
    return (pixels.astype(np.uint16) << 4).astype(f'{order}u2')


def raw(encoding, pixels, **fields):
    rows = np.ascontiguousarray(pixels).reshape(HEIGHT, -1)
    return PackedImage(rows.tobytes(), encoding, WIDTH, HEIGHT, rows.shape[1] * rows.itemsize, **fields)


def nv12(image):
    y, u, v = np.moveaxis(yuv_of(image), 2, 0)
    rows = [y, np.dstack([u[::2, ::2], v[::2, ::2]]).reshape(HEIGHT // 2, WIDTH)]
    return PackedImage(np.vstack(rows).tobytes(), 'nv12', WIDTH, HEIGHT, WIDTH)


def yuyv(image):
    y, u, v = np.moveaxis(yuv_of(image), 2, 0)
    return raw('yuv422_yuy2', np.dstack([y, np.where(np.arange(WIDTH) % 2, v, u)]))


def jpeg_of_rgb(image):
    data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    return PackedImage(data, format='rgb8; jpeg compressed rgb8')


@pytest.fixture(scope='module')
def estimated():
    """An estimator, a frame, and the pose of its image as bgr8."""
    card = load_model_card(model_folder('box'))
    estimator = create_estimator('onnx', card, threads=1)
    frame, = simulated_frames(card.mesh, 1, 5)
    return estimator, frame, estimator.estimate(frame.image, frame.camera).poses[0].camera_from_object


@pytest.mark.parametrize(('pack', 'bound'), [
    (lambda image: raw('rgb16', deep(image[..., ::-1], '>'), is_bigendian=1), EXACT),
    (lambda image: raw('bayer_rggb8', mosaic(image, 'rggb')), COARSE),
    (lambda image: raw('bayer_gbrg16', deep(mosaic(image, 'gbrg'))), COARSE),
    (yuyv, COARSE), (nv12, COARSE), (jpeg_of_rgb, COARSE)])
def test_the_pose_does_not_depend_on_the_encoding(estimated, pack, bound):
    estimator, frame, expected = estimated
    found = estimator.estimate(pack(frame.image).decode(), frame.camera).poses[0].camera_from_object
    turn = vector_from_rotation(expected[:3, :3].T @ found[:3, :3])
    assert 1000 * np.linalg.norm(found[:3, 3] - expected[:3, 3]) < bound[0]
    assert np.degrees(np.linalg.norm(turn)) < bound[1]
