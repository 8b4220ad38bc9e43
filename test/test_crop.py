# SPDX-License-Identifier: Apache-2.0
"""The virtual camera of a crop sees what the real one sees, turned and zoomed."""

import cv2
import numpy as np
import pytest

from posegrasp_ros.estimation.decoders.crop import CropCamera
from posegrasp_ros.estimation.decoders.object_coordinates import (
    Detection,
    decode_centre_heatmap,
    decode_object_coordinates,
)
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import project

PINHOLE = Camera.from_field_of_view(640, 480, np.radians(60))
DISTORTED = Camera(640, 480, PINHOLE.matrix, [-0.25, 0.08, 0.001, -0.0005, 0.0])


def spot(camera: Camera, point: np.ndarray) -> np.ndarray:
    """A picture, black but for a blurred white spot where ``point`` is seen."""
    u, v = camera.project(point[None])[0]
    rows, columns = np.mgrid[:camera.height, :camera.width]
    bright = 255 * np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 2.0 ** 2))
    return np.repeat(bright[:, :, None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize('camera', [PINHOLE, DISTORTED], ids=['pinhole', 'distorted'])
@pytest.mark.parametrize('angular_radius', [0.1, 0.3], ids=['enlarged', 'shrunk'])
def test_a_point_appears_where_the_crop_camera_says(camera, angular_radius):
    point = np.array([0.21, -0.12, 0.7])
    crop = CropCamera.around(point + (0.01, 0.015, 0), angular_radius, 128, 1.15)
    seen = crop.shoot(spot(camera, point), camera)[:, :, 0].astype(float)
    rows, columns = np.mgrid[:128, :128]
    found = np.array([(seen * columns).sum(), (seen * rows).sum()]) / seen.sum()
    expected = project((point @ crop.camera_from_crop)[None], crop.matrix)[0]
    np.testing.assert_allclose(found, expected, atol=0.3)


def test_a_detected_sphere_fills_the_crop_but_the_margin():
    centre, radius = np.array([0.2, 0.1, 0.6]), 0.05
    towards = np.cross(centre, (0, 1, 0))
    rim = centre + radius * towards / np.linalg.norm(towards)
    seen = PINHOLE.project(np.array([centre, rim]))
    detection = Detection(seen[0], float(np.linalg.norm(seen[1] - seen[0])), 1.0)
    crop = CropCamera.of_detection(detection, PINHOLE, 128, 1.25)
    pixels = project(np.array([centre, rim]) @ crop.camera_from_crop, crop.matrix)
    np.testing.assert_allclose(pixels[0], (63.5, 63.5), atol=1e-6)
    assert np.linalg.norm(pixels[1] - pixels[0]) == pytest.approx(64 / 1.25, rel=0.08)


def test_heatmap_decodes_to_the_encoded_centre_and_radius():
    from posegrasp_ros.training.samples import detector_targets  # what the detector is trained to say

    confidence, boxes, _ = detector_targets(np.array([[100.3, 61.7, 30.0], [250.0, 200.0, 15.0]], np.float32))
    logit = np.log(np.clip(confidence, 1e-4, 1 - 1e-4) / (1 - np.clip(confidence, 1e-4, 1 - 1e-4)))
    output = np.concatenate([logit[None], boxes.transpose(2, 0, 1)])
    found = sorted(decode_centre_heatmap(output, 8, 0.5), key=lambda d: d.centre[0])
    np.testing.assert_allclose([(*d.centre, d.radius_px) for d in found],
                               [(100.3, 61.7, 30.0), (250.0, 200.0, 15.0)], atol=0.01)


def test_object_coordinates_decode_to_points_and_pixels():
    output = np.zeros((5, 32, 32))
    output[0] = -1
    output[:, 4, 10] = [2, 0.5, -1, 0.25, np.log(0.02)]
    points, pixels, sigma = decode_object_coordinates(output, 128, np.array([0.0, 0.0, 0.01]),
                                                      np.array([0.06, 0.03, 0.02]))
    np.testing.assert_allclose(points, [[0.03, -0.03, 0.015]])
    np.testing.assert_allclose(pixels, [[41.5, 17.5]])  # the middle of pixels 40 to 43 and 16 to 19
    assert sigma[0] == pytest.approx(np.sqrt(2) * 0.02 * 0.11 / 3)


def test_opencv_and_crop_agree_on_which_way_is_up():
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.rectangle(image, (0, 0), (639, 239), (255, 255, 255), -1)  # the upper half is white
    crop = CropCamera.around(np.array([0.0, 0.0, 1.0]), 0.2, 128, 1.15).shoot(image, PINHOLE)
    assert crop[20].mean() > 250 and crop[108].mean() < 5
