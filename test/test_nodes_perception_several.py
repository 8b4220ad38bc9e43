# SPDX-License-Identifier: Apache-2.0
"""The perception node with several models: topics, frames and reports of each object."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovarianceStamped
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import running
from sensor_msgs.msg import CameraInfo, Image
from test_nodes_perception import good_info, header, image

from posegrasp_ros.datasets.topic_names import topic_name
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.nodes import perception_node
from posegrasp_ros.nodes.perception_node import PerceptionNode
from posegrasp_ros.ros import messages

APART = {'box': make_transform(None, (0.1, 0.0, 0.6)), 'can': make_transform(None, (-0.1, 0.0, 0.6))}


class Frames:
    """In the place of a broadcaster: keeps what is sent."""

    sent: list = []
    available = True

    def __init__(self, node):
        Frames.sent = []

    def send(self, transform) -> None:
        Frames.sent.append(transform)


@pytest.fixture
def both(monkeypatch):
    """An active node that is told where box and can are."""
    monkeypatch.setattr(perception_node, 'TransformBroadcasterIfInstalled', Frames)
    with running(PerceptionNode, models=['box', 'can'], estimator='oracle') as harness:
        harness.start()
        harness.publisher(CameraInfo, '/camera_info').publish(good_info())
        yield harness


def show(harness, stamp_ns: int, truths: dict[str, np.ndarray]) -> None:
    """Publish where the objects are, and an image."""
    for name, truth in truths.items():
        harness.publisher(PoseStamped, f'/{name}/ground_truth').publish(
            messages.to_pose_stamped(header(stamp_ns), truth))
    harness.spin_for(0.1)
    harness.publisher(Image, '/image').publish(image(stamp_ns))


def test_each_object_has_its_topics_its_frame_and_its_report(both):
    poses = {name: both.collect(PoseWithCovarianceStamped, f'/perception/{name}/pose') for name in APART}
    arrays = {name: both.collect(PoseArray, f'/perception/{name}/poses') for name in APART}
    reports = both.reports()
    show(both, 7, APART)
    both.spin_until(lambda: len(reports) == 2 and all(poses.values()) and all(arrays.values()))
    assert [(each.stamp_ns, each.object, each.ok) for each in reports] == [(7, 'box', True), (7, 'can', True)]
    assert [each.words['model'].split()[0] for each in reports] == ['box', 'can']
    assert len({each.publisher for each in reports}) == 2 and [each.sequence for each in reports] == [0, 0]
    for name, truth in APART.items():
        np.testing.assert_allclose(messages.transform_from(poses[name][0].pose.pose), truth, atol=1e-9)
        assert len(arrays[name][0].poses) == 1
    assert [each.child_frame_id for each in Frames.sent] == ['box', 'can']
    assert both.probe.get_publishers_info_by_topic('/perception/pose') == []


def test_an_instance_that_both_claim_is_reported_by_one_of_them(both):
    reports = both.reports()
    show(both, 8, dict.fromkeys(APART, APART['box']))
    both.spin_until(lambda: len(reports) == 2)
    assert [(each.object, each.reason) for each in reports] == [('box', ''), ('can', 'other_object')]


def test_an_image_that_cannot_be_used_is_reported_once_for_each_object(both):
    reports = both.reports()
    for name, truth in APART.items():
        both.publisher(PoseStamped, f'/{name}/ground_truth').publish(
            messages.to_pose_stamped(header(9), truth))
    both.spin_for(0.1)
    both.publisher(Image, '/image').publish(image(9, data=b'\0' * 100))
    both.spin_until(lambda: len(reports) == 2)
    assert [(each.object, each.reason) for each in reports] == [('box', 'bad_image'), ('can', 'bad_image')]


def test_what_is_sent_is_counted_for_each_object(both):
    reports = both.reports()
    show(both, 10, APART)
    both.spin_until(lambda: len(reports) == 2)
    values = both.node.condition().values
    assert values['publisher'].split() == [each.publisher for each in reports] and values['reports_sent'] == '1 1'


def test_one_model_in_the_list_is_as_model_alone(scripted_model):
    with running(PerceptionNode, models=[str(scripted_model)], estimator='mean_pose') as harness:
        harness.start()
        reports, poses = harness.reports(), harness.collect(PoseWithCovarianceStamped, '/perception/pose')
        harness.publisher(CameraInfo, '/camera_info').publish(good_info())
        harness.spin_for(0.2)
        harness.publisher(Image, '/image').publish(image(3))
        harness.spin_until(lambda: reports and poses)
    assert reports[0].ok and reports[0].object == ''


def named(folder, name: str, source):
    """A model folder whose object has another name."""
    shutil.copytree(source, folder)
    card = yaml.safe_load((folder / 'model.yaml').read_text())
    (folder / 'model.yaml').write_text(yaml.safe_dump({**card, 'name': name}))
    return str(folder)


@pytest.mark.parametrize(('parameters', 'expected'), [
    ({'model': 'box', 'models': ['box', 'can']}, 'expected either model or models'),
    ({'models': ['box', 'SPACED']}, 'objects of different names, got 2 that are box'),
    ({'models': ['box', 'can'], 'object_frame': 'thing'}, 'parameter object_frame'),
    ({'models': ['box', '/nowhere']}, '/nowhere/model.yaml')])
def test_models_that_cannot_go_together_fail_configure(scripted_model, tmp_path, capfd, parameters, expected):
    if 'SPACED' in parameters.get('models', ()):
        parameters = {'models': ['box', named(tmp_path / 'other', 'box ', scripted_model)]}
    with running(PerceptionNode, estimator='mean_pose', **parameters) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    lines = [line for line in capfd.readouterr().err.splitlines() if 'ERROR' in line]
    assert len(lines) == 1 and expected in lines[0]


@pytest.mark.parametrize(('name', 'expected'), [
    ('box', 'box'), ('Müsli box 2', 'M_sli_box_2'), ('3d-print', 'object_3d_print'), ('a__b', 'a_b')])
def test_an_objects_name_makes_a_valid_topic(name, expected):
    assert topic_name(name) == expected
