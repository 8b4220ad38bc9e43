# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hand_made_bags import SECOND, HandMade, frames

from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.datasets.bag_reader import BagReader, read_frames
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.bag_writer import DEPTH_TOPIC, BagWriter


def test_depth_comes_back_where_its_topic_is_asked_for(tmp_path):
    depth_m = np.linspace(0.3, 2, 48 * 64, dtype=np.float32).reshape(48, 64)
    depth_m[3, 5] = np.nan
    with BagWriter(tmp_path / 'bag') as writer:
        for frame in frames(3):
            writer.write(replace(frame, depth_m=depth_m))
    for frame in read_frames(tmp_path / 'bag', BagTopics(depth=DEPTH_TOPIC)):
        np.testing.assert_array_equal(frame.depth_m, depth_m)
    assert all(frame.depth_m is None for frame in read_frames(tmp_path / 'bag'))


def test_a_recording_without_a_depth_camera_has_no_depth_topic(bag):
    assert DEPTH_TOPIC not in BagReader(bag)._bag.topics
    with pytest.raises(BagError, match='/camera/depth/image_raw: no such topic; found'):
        BagReader(bag, BagTopics(depth=DEPTH_TOPIC))
    with pytest.raises(BagError, match=r'/ground_truth: expected sensor_msgs/msg/Image or .*, found geometry'):
        BagReader(bag, BagTopics(depth='/ground_truth'))


def test_depth_of_the_same_stamp_goes_before_the_nearest_and_far_ones_are_not_taken(tmp_path):
    ms = 1_000_000
    with HandMade(tmp_path / 'bag') as writer:
        writer.info(SECOND)
        writer.depth(SECOND - 5 * ms, 0.1)
        writer.image(SECOND)
        writer.depth(SECOND, 0.2, at_ns=SECOND + 30 * ms)
        writer.image(2 * SECOND)
        writer.depth(2 * SECOND + 19 * ms, 0.3)
        writer.image(3 * SECOND)
        writer.depth(3 * SECOND + 21 * ms, 0.4)
    read = list(read_frames(tmp_path / 'bag', BagTopics(depth='/cam/depth/image_raw')))
    assert [None if frame.depth_m is None else frame.depth_m[0, 0] for frame in read] == [
        np.float32(0.2), np.float32(0.3), None]


def test_depth_of_another_size_is_left_out_and_said_once(tmp_path):
    with HandMade(tmp_path / 'bag') as writer:
        for stamp in (SECOND, 2 * SECOND):
            writer.info(stamp)
            writer.image(stamp)
            writer.depth(stamp, 0.5, shape=(24, 32))
    reader = BagReader(tmp_path / 'bag', BagTopics(base_frame=None, depth='/cam/depth/image_raw'))
    assert [(frame.reason, frame.depth_m) for frame in reader] == [('', None)] * 2
    assert len(reader.warnings) == 1 and 'expected 64x48' in reader.warnings[0] and '32x24' in reader.warnings[0]
