# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from posegrasp_ros.monitoring.liveness import OK, WARN
from posegrasp_ros.monitoring.truth_match import TruthMatch


@pytest.mark.parametrize(('truths', 'level', 'text'), [
    ([], OK, 'none'),
    (range(100), OK, 'for 100% of the last 100 images'),
    (range(0, 100, 2), WARN, 'for 50% of the last 100 images'),
    ([1000 + stamp for stamp in range(100)], WARN, 'expected ground truth with exactly the stamp of its image'),
])
def test_images_without_a_truth_are_said_aloud(truths, level, text):
    match = TruthMatch()
    for stamp in range(100):
        match.image(stamp)
    for stamp in truths:
        match.truth(stamp)
    health = match.health(until_ns=99)
    assert health.level == level and text in health.text


def test_a_truth_may_take_its_time():
    match = TruthMatch()
    for stamp in range(100):
        match.image(stamp)
    for stamp in range(80):
        match.truth(stamp)
    assert match.health(until_ns=79).level == OK
    assert match.health(until_ns=99).level == WARN
