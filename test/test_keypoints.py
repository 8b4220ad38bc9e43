# SPDX-License-Identifier: Apache-2.0
"""KeypointDecoder: from an image through a network of the families dope and yolo_pose to poses."""

import cv2
import numpy as np
import pytest
from keypoint_models import write_keypoint_model
from test_decoders_dope import FAR, NEAR, NVLABS_ORDER, SIDES_M, assert_pose, encode
from test_decoders_yolo_pose import CORNERS
from test_decoders_yolo_pose import encode as encode_rows

from posegrasp_ros.estimation.decoders.keypoints import KeypointDecoder
from posegrasp_ros.estimation.decoders.letterbox import PADDING, Framing
from posegrasp_ros.estimation.decoders.registry import decoder_class
from posegrasp_ros.estimation.decoders.yolo_pose import OutputLayout, layouts
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCardError, load_model_card
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import transform_points

WIDE = Camera(1280, 960, [[1200, 0, 650], [0, 1190, 470], [0, 0, 1]], [-0.25, 0.08, 0.001, -0.002, 0])
CUBOID = np.vstack([np.array(NVLABS_ORDER) * SIDES_M / 2, np.zeros(3)])
DOPE = {'family': 'dope', 'corners': 'nvlabs'}
YOLO = {'family': 'yolo_pose', 'keypoints_m': CORNERS.tolist()}


def seen(pose: np.ndarray, points: np.ndarray, camera: Camera) -> np.ndarray:
    return camera.project(transform_points(pose, points))


def estimator(folder) -> KeypointDecoder:
    card = load_model_card(folder)
    return decoder_class(card.network.family)(card, threads=1)


def found_poses(folder, camera: Camera) -> list:
    image = np.full((camera.height, camera.width, 3), 90, np.uint8)
    candidates = estimator(folder).find(image, camera)
    assert [each.confidence for each in candidates] == sorted((each.confidence for each in candidates),
                                                              reverse=True)
    return [each.solve() for each in candidates]


def test_dope_maps_become_poses_through_scaling_and_distortion(tmp_path):
    # the input shows two by two pixels as one
    maps = encode([(seen(pose, CUBOID, WIDE) + 0.5) / 2 - 0.5 for pose in (NEAR, FAR)])
    poses = found_poses(write_keypoint_model(tmp_path / 'm', maps[None], (640, 480), DOPE), WIDE)
    assert len(poses) == 2
    for truth in (NEAR, FAR):
        found = min(poses, key=lambda each: np.linalg.norm(each.pose[:3, 3] - truth[:3, 3]))
        assert_pose(found.pose, truth, within_m=0.002, within_deg=0.5)
        assert set(found.figures) == {'confidence', 'inlier_share', 'log_residual'}
        assert found.figures['inlier_share'] == 1.0 and 0.5 < found.figures['confidence'] <= 1
        assert found.covariance.shape == (6, 6) and (np.linalg.eigvalsh(found.covariance) > 0).all()


@pytest.mark.parametrize('stages', [1, 6])
def test_of_dope_networks_with_outputs_for_each_stage_the_last_counts(tmp_path, stages):
    maps = encode([(seen(NEAR, CUBOID, WIDE) + 0.5) / 2 - 0.5])[None]
    wrong = [np.zeros_like(maps)] * (stages - 1)
    outputs = [each[:, :9] for each in (*wrong, maps)] + [each[:, 9:] for each in (*wrong, maps)]
    [found] = found_poses(write_keypoint_model(tmp_path / 'm', outputs, (640, 480), DOPE), WIDE)
    assert_pose(found.pose, NEAR, within_m=0.002, within_deg=0.5)


def test_keypoints_that_an_export_scaled_to_one_are_no_pose(tmp_path):
    layout, camera = OutputLayout('rows', 8, 3, 1), Camera.from_field_of_view(640, 640, 1.0)
    pixels = seen(NEAR, CORNERS, camera) / 640
    output = encode_rows(layout, [(pixels, np.ones(8), 0, 0.9)])
    folder = write_keypoint_model(tmp_path / 'm', output[None], (640, 640), YOLO)
    answer = PoseEstimator(load_model_card(folder), threads=1, min_score=0.0).estimate(
        np.full((640, 640, 3), 90, np.uint8), camera)
    assert answer.poses == [] and answer.reason == 'no_pose'


@pytest.mark.parametrize('layout', layouts(8, 1), ids=str)
def test_yolo_rows_become_poses_through_the_letterbox(tmp_path, layout):
    camera = Camera(1280, 720, [[1200, 0, 650], [0, 1190, 350], [0, 0, 1]], [-0.25, 0.08, 0.001, -0.002, 0])
    pixels = seen(NEAR, CORNERS, camera) * 0.5 + (0, 140)  # as Ultralytics scales and pads its labels
    output = encode_rows(layout, [(pixels, np.ones(8), 0, 0.8)])
    [found] = found_poses(write_keypoint_model(tmp_path / 'm', output[None], (640, 640), YOLO), camera)
    assert_pose(found.pose, NEAR, within_m=1e-4, within_deg=0.05)
    assert found.figures['confidence'] == pytest.approx(0.8)


def test_an_output_of_open_shape_is_tried_out(tmp_path):
    layout = OutputLayout('end_to_end', 8, 3, 1)
    folder = write_keypoint_model(tmp_path / 'm', encode_rows(layout, [])[None], (640, 640), YOLO, open_shape=True)
    assert estimator(folder).layout == layout


def test_too_few_keypoints_give_no_pose(tmp_path):
    layout, visible = OutputLayout('rows', 8, 3, 1), np.array([1, 1, 1, 0, 0, 0, 0, 0])
    camera = Camera.from_field_of_view(640, 640, 1.0)
    output = encode_rows(layout, [(seen(NEAR, CORNERS, camera), visible, 0, 0.9)])
    assert found_poses(write_keypoint_model(tmp_path / 'm', output[None], (640, 640), YOLO), camera) == [None]


@pytest.mark.parametrize('output, decoder, expected', [
    ((1, 24, 60, 80), DOPE, 'or of [1, 9, H/8, W/8] and [1, 16, H/8, W/8], for its input of 640x480'),
    ((1, 25, 50, 50), DOPE, 'dope reads an output of [1, 25, H/8, W/8], or'),
    ((1, 23, 8400), YOLO, 'decoder.layout: 8 keypoints and 1 classes make rows [1, 21, A], rows [1, 29, A], '
                          'end_to_end [1, N, 22], end_to_end [1, N, 30], the network gives [1, 23, 8400]'),
    ((1, 29, 22), YOLO, 'decoder.layout: expected rows or end_to_end'),
    ((1, 23, 8400), {**YOLO, 'classes': 3, 'class': 3}, 'decoder.class: expected less than the number of classes'),
])
def test_a_network_of_another_output_is_refused(tmp_path, output, decoder, expected):
    folder = write_keypoint_model(tmp_path / 'm', np.zeros(output), (640, 480), decoder)
    with pytest.raises(ModelCardError) as error:
        estimator(folder)
    assert expected in str(error.value) and '\n' not in str(error.value)


def test_the_card_may_name_the_layout(tmp_path):
    folder = write_keypoint_model(tmp_path / 'm', np.zeros((1, 29, 22)), (640, 480), {**YOLO, 'layout': 'rows'})
    assert estimator(folder).layout == OutputLayout('rows', 8, 3, 1)


@pytest.mark.parametrize('fit', ['letterbox', 'stretch'])
@pytest.mark.parametrize('image_size', [(640, 480), (481, 639), (1280, 720), (200, 100)])
def test_a_framed_image_shows_a_spot_where_it_says(fit, image_size):
    u, v = image_size[0] * 0.3, image_size[1] * 0.6
    columns, rows = np.arange(image_size[0]), np.arange(image_size[1])[:, None]
    spot = 255 * np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / 2 / 6.0 ** 2)
    framing = Framing.of(fit, image_size, (320, 256))
    picture = framing.apply(np.repeat(spot[:, :, None], 3, axis=2).astype(np.uint8))
    assert picture.shape == (256, 320, 3)
    shown = picture[:, :, 0].astype(float)
    (left, top), (width, height) = framing.offset, framing.inner
    inside = np.zeros_like(shown)
    inside[top:top + height, left:left + width] = shown[top:top + height, left:left + width]
    moments = cv2.moments(inside)
    centre = np.array([moments['m10'], moments['m01']]) / moments['m00']
    np.testing.assert_allclose(framing.to_image(centre), (u, v), atol=0.15 * image_size[0] / 320)
    outside = np.delete(shown, np.s_[top:top + height], axis=0)
    assert (outside == PADDING).all()
