# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from posegrasp_ros.monitoring.watermark import STRETCH_S, Watermark

SECOND = 1_000_000_000


def feed(settled: Watermark, first_s: float, last_s: float, at_s: float) -> None:
    """Images ten times a second, the first at ``at_s`` of the steady clock."""
    for tenth in range(round(10 * (last_s - first_s))):
        settled.image(int((first_s + tenth / 10) * SECOND), at_s + tenth / 10)


def test_images_settle_when_their_time_is_over_and_not_before():
    settled = Watermark(patience_s=2.0)
    feed(settled, 100.0, 110.0, at_s=0.0)
    for now_s in (3.0, 5.0, 9.95):
        oldest_open_s = 100.0 + now_s - 2.0
        assert oldest_open_s - 2 * STRETCH_S - 0.1 <= settled.until_ns(now_s) / SECOND <= oldest_open_s
    assert settled.until_ns(60.0) / SECOND >= 109.8


def test_nothing_is_settled_at_the_start():
    settled = Watermark(patience_s=2.0)
    assert settled.until_ns(0.0) == 0
    feed(settled, 100.0, 101.0, at_s=0.0)
    assert settled.until_ns(1.0) == 0


def test_after_time_was_set_back_nothing_counts_as_settled_that_is_under_way():
    settled = Watermark(patience_s=2.0)
    feed(settled, 100.0, 110.0, at_s=0.0)
    feed(settled, 50.0, 51.0, at_s=10.0)
    assert settled.until_ns(11.0) == 0
    feed(settled, 51.0, 60.0, at_s=11.0)
    assert 50 * SECOND <= settled.until_ns(14.0) <= 52 * SECOND
