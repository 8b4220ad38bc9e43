# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from posegrasp_ros.sensing.depth_buffer import DepthImages
from posegrasp_ros.sensing.images import ImageError
from posegrasp_ros.sensing.packed_image import registered_depth

MS = 1_000_000


def depth(millimetres: int, encoding: str = '16UC1') -> SimpleNamespace:
    data = np.full((3, 4), millimetres, '<u2').tobytes()
    header = SimpleNamespace(frame_id='')
    return SimpleNamespace(header=header, encoding=encoding, width=4, height=3, step=8, is_bigendian=0, data=data)


def kept(*stamps_ms: int, slop_ms: int = 20, most: int = 10) -> DepthImages:
    """Each image's depth is its stamp."""
    images = DepthImages(slop_ms * MS, most)
    for stamp_ms in stamps_ms:
        images.add(stamp_ms * MS, depth(stamp_ms))
    return images


@pytest.mark.parametrize(('stamps_ms', 'of_ms', 'expected_ms'), [
    ((100, 110, 120), 110, 110), ((100, 120), 112, 120), ((100, 120), 108, 100), ((100,), 120, 100),
    ((100,), 121, None), ((), 100, None)])
def test_the_same_stamp_else_the_nearest_that_is_near_enough(stamps_ms, of_ms, expected_ms):
    found = kept(*stamps_ms).nearest(of_ms * MS)
    assert (found is None) == (expected_ms is None)
    if found is not None:
        np.testing.assert_allclose(registered_depth(found, 4, 3), expected_ms / 1000)


def test_a_few_are_kept():
    images = kept(100, 200, 300, most=2)
    assert images.nearest(100 * MS) is None and images.nearest(200 * MS) is not None
    images.forget_before(321 * MS)
    assert images.nearest(300 * MS) is None


@pytest.mark.parametrize(('stamps_ms', 'of_ms', 'expected'), [
    ((), 100, True), ((90,), 100, True), ((100,), 100, False), ((100, 130), 100, False), ((105,), 100, False)])
def test_nothing_better_comes_once_one_as_late_is_here(stamps_ms, of_ms, expected):
    assert kept(*stamps_ms).may_come(of_ms * MS) is expected


@pytest.mark.parametrize(('message', 'words'), [
    (depth(5), 'expected 640x480 pixels, registered to the camera image, got 4x3'), (depth(5, 'rgb8'), "'rgb8'")])
def test_what_does_not_fit_is_refused(message, words):
    with pytest.raises(ImageError, match=words):
        registered_depth(message, 640, 480)
