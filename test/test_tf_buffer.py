# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.datasets.tf_buffer import FrameTree
from posegrasp_ros.geometry.transforms import make_transform, rotation_from_vector

MOUNT = make_transform(rotation_from_vector([0, 0, 1.0]), (0.1, 0, 0))


def at(x, turn=0.0):
    return make_transform(rotation_from_vector([turn, 0, 0]), (x, 0, 0))


@pytest.fixture
def tree():
    """A hand that moves from x = 0 at 100 to x = 1 and half a radian at 200, with a camera on it."""
    tree = FrameTree()
    tree.add('hand', 'cam', MOUNT)
    tree.add('base', 'hand', at(1.0, 0.5), 200)
    tree.add('base', '/hand', at(0.0), 100)
    return tree


@pytest.mark.parametrize(('stamp', 'x', 'turn'), [(100, 0, 0), (150, 0.5, 0.25), (180, 0.8, 0.4), (200, 1, 0.5)])
def test_a_motion_between_two_transforms_is_steady(tree, stamp, x, turn):
    np.testing.assert_allclose(tree.lookup('base', 'cam', stamp), at(x, turn) @ MOUNT, atol=1e-12)
    np.testing.assert_allclose(tree.lookup('cam', 'base', stamp), np.linalg.inv(at(x, turn) @ MOUNT), atol=1e-12)


@pytest.mark.parametrize('stamp', [99, 201, 100_000])
def test_nothing_is_extrapolated_unless_a_tolerance_allows_it(tree, stamp):
    assert tree.lookup('base', 'cam', stamp) is None
    assert tree.lookup('hand', 'cam', stamp) is not None, 'what always holds is known at any time'
    nearest = at(0.0) if stamp < 100 else at(1.0, 0.5)
    np.testing.assert_allclose(tree.lookup('base', 'cam', stamp, 1 << 63), nearest @ MOUNT, atol=1e-12)


@pytest.mark.parametrize(
    ('stamp', 'within', 'known'), [(105, 5, True), (150, 5, False), (150, 50, True), (206, 5, False)]
)
def test_only_what_was_recorded_near_the_time_counts_where_that_is_asked(tree, stamp, within, known):
    assert (tree.lookup('base', 'cam', stamp, within) is not None) == known
    assert tree.lookup('hand', 'cam', stamp, within) is not None, 'what always holds is always near'


def test_frames_that_nothing_joins_have_no_transform(tree):
    tree.add('world', 'table', at(0))
    assert tree.lookup('base', 'table', 100) is None and tree.lookup('base', 'nope', 100) is None
    assert tree.frames == ['base', 'cam', 'hand', 'table', 'world']


def test_what_no_later_look_up_needs_is_dropped(tree):
    tree.forget_before(150)
    np.testing.assert_allclose(tree.lookup('base', 'hand', 150), at(0.5, 0.25), atol=1e-12)
    tree.forget_before(250)
    assert tree.lookup('base', 'hand', 150) is None
    np.testing.assert_allclose(tree.lookup('base', 'hand', 200), at(1, 0.5), atol=1e-12)


def test_after_the_clock_was_set_back_only_what_always_holds_is_left(tree):
    tree.forget_moving()
    assert tree.lookup('base', 'cam', 100) is None and tree.frames == ['cam', 'hand']
    np.testing.assert_allclose(tree.lookup('hand', 'cam', 1), MOUNT)


def test_a_frame_that_gets_another_parent_jumps():
    tree = FrameTree()
    tree.add('table', 'box', at(1), 100)
    tree.add('hand', 'box', at(2), 200)
    np.testing.assert_allclose(tree.lookup('table', 'box', 150), at(1))
    assert tree.lookup('table', 'box', 200) is None


def test_frames_in_a_circle_end_and_have_no_transform():
    tree = FrameTree()
    tree.add('a', 'b', at(1))
    tree.add('b', 'a', at(1))
    assert tree.lookup('a', 'c', 0) is None
    assert tree.lookup('a', 'b', 0) is None


def test_a_transform_of_a_frame_to_itself_says_nothing():
    tree = FrameTree()
    tree.add('a', 'b', at(1))
    tree.add('b', 'b', at(5))
    np.testing.assert_allclose(tree.lookup('a', 'b', 0), at(1))


@pytest.mark.parametrize(('gap_s', 'x', 'turn', 'known'), [
    (0.9, 1.0, 0.5, True), (3.0, 1.0, 0.0, False), (3.0, 0.0, 0.5, False), (3.0, 0.005, 0.005, True)])
def test_a_long_gap_is_bridged_only_by_a_frame_at_rest(gap_s, x, turn, known):
    tree, end_ns = FrameTree(), round(1e9 * (1 + gap_s))
    tree.add('base', 'hand', at(0), 10**9)
    tree.add('base', 'hand', at(x, turn), end_ns)
    assert (tree.lookup('base', 'hand', 10**9 + 400_000_000) is not None) == known
    for stamp_ns in (10**9, end_ns):
        assert tree.lookup('base', 'hand', stamp_ns) is not None
