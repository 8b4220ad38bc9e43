# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from posegrasp_ros.monitoring.anomalies import NEWS_S, Anomalies
from posegrasp_ros.monitoring.liveness import OK, WARN

SECOND = 1_000_000_000


@pytest.mark.parametrize(('stamps_s', 'counts'), [
    ([1.0, 1.1, 1.2], {}),
    ([1.0, 1.2, 1.1, 1.3], {'late image': 1}),
    ([1.0, 1.0, 1.1], {'repeated image': 1}),
    ([9.0, 9.1, 3.0, 3.1, 3.2], {'time set back': 1}),
    ([5.0, 6.0, 5.0, 6.0], {'late image': 1, 'repeated image': 1}),
    ([9.0, 1.0, 9.0, 1.0], {'time set back': 2}),
])
def test_stamps_that_do_not_grow_are_counted_by_kind(stamps_s, counts):
    anomalies = Anomalies()
    for stamp_s in stamps_s:
        anomalies.image(int(stamp_s * SECOND), 0.0)
    assert anomalies.counts == counts


def test_what_happened_is_a_warning_as_long_as_it_is_news_and_stays_counted():
    anomalies = Anomalies()
    anomalies.note('unusable pose', 'pose: nan', 5.0)
    news = anomalies.health(5.0 + NEWS_S / 2)
    assert (news.level, news.text, news.values) == (WARN, 'pose: nan', {'unusable pose': '1'})
    old = anomalies.health(5.1 + NEWS_S)
    assert (old.level, old.values) == (OK, {'unusable pose': '1'})


def test_what_lasts_is_a_warning_while_it_lasts_and_counts_each_time_it_begins():
    anomalies = Anomalies()
    for text in ('two of them', 'two of them', '', 'two of them'):
        anomalies.last('several publishers', text)
        assert anomalies.health(1e6).level == (WARN if text else OK)
    assert anomalies.counts == {'several publishers': 2}


def test_a_stage_whose_reports_come_from_a_new_process_was_restarted():
    anomalies = Anomalies()
    for name in ('a1.0', 'a1.1', 'a1.0', ''):
        anomalies.publisher('planning', name, 0.0)
    assert anomalies.health(0.0).text == 'no anomaly'
    anomalies.publisher('planning', 'b2.0', 1.0)
    anomalies.publisher('planning', 'b2.1', 1.0)
    assert anomalies.counts == {'restart of planning': 1}
    assert 'planning was restarted' in anomalies.health(1.0).text
