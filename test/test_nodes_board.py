# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from board_views import BOX, Bend, board_picture, box_board, photograph
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import running
from sensor_msgs.msg import CameraInfo, Image

from posegrasp_ros.board.board_file import save_board
from posegrasp_ros.board.object_truth import TruthFinder
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import invert, look_at
from posegrasp_ros.nodes.board_node import BoardNode
from posegrasp_ros.ros import messages

CAMERA = Camera(640, 480, np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]))
STAMP_NS = 1_500_000_007


@pytest.fixture
def board_path(tmp_path):
    save_board(tmp_path / 'board.yaml', box_board(measured_mm=100.0)[1])
    return tmp_path / 'board.yaml'


@pytest.fixture(scope='module')
def image():
    """A photograph of the box on its board."""
    layout, board = box_board(measured_mm=100.0)
    view = invert(look_at(board.outline_centre + (0.1, -0.3, 0.35), board.outline_centre))
    return photograph(board_picture(layout), board, Bend(np.zeros(2), np.zeros((1, 4))), CAMERA, view,
                      board.placed_object, (BOX.vertices.min(axis=0), BOX.vertices.max(axis=0)), None)


def test_the_truth_has_stamp_and_frame_of_the_image_and_is_that_of_the_command(board_path, image):
    with running(BoardNode, board=str(board_path)) as harness:
        harness.start()
        truths = harness.collect(PoseWithCovarianceStamped, '/ground_truth')
        header = messages.to_header(STAMP_NS, 'camera')
        infos, images = harness.publisher(CameraInfo, '/camera_info'), harness.publisher(Image, '/image')
        infos.publish(messages.to_camera_info(header, CAMERA))
        harness.spin_for(0.2)
        images.publish(messages.to_image(header, image))
        harness.spin_until(lambda: truths)
        images.publish(messages.to_image(messages.to_header(STAMP_NS + 1, 'camera'), np.full_like(image, 90)))
        harness.spin_until(lambda: harness.node.left_out.total)
    truth, = truths
    expected = TruthFinder(box_board(measured_mm=100.0)[1]).find(image, CAMERA)
    assert messages.stamp_ns(truth.header.stamp) == STAMP_NS and truth.header.frame_id == 'camera'
    np.testing.assert_allclose(messages.truth_from(truth), expected.camera_from_object, atol=1e-9)
    np.testing.assert_allclose(messages.covariance_from(truth), expected.covariance, atol=1e-15)
    assert harness.node.left_out.lines() == ['1 of 2 images left out: no_board: no marker of the board was found']


@pytest.mark.parametrize(('text', 'said'), [('', 'parameter board: expected the file that posegrasp board wrote'),
                                            ('missing.yaml', 'missing.yaml: no such file')])
def test_without_a_board_it_is_not_configured(text, said, capfd):
    with running(BoardNode, board=text) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert said in capfd.readouterr().err
