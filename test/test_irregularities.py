from __future__ import annotations

import pytest

from posegrasp_ros.monitoring.anomalies import NEWS_S, Irregularities
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
    irregularities = Irregularities()
    for stamp_s in stamps_s:
        irregularities.image(int(stamp_s * SECOND), 0.0)
    assert irregularities.counts == counts


def test_what_happened_is_a_warning_as_long_as_it_is_news_and_stays_counted():
    irregularities = Irregularities()
    irregularities.note('unusable pose', 'pose: nan', 5.0)
    news = irregularities.health(5.0 + NEWS_S / 2)
    assert (news.level, news.text, news.values) == (WARN, 'pose: nan', {'unusable pose': '1'})
    old = irregularities.health(5.1 + NEWS_S)
    assert (old.level, old.values) == (OK, {'unusable pose': '1'})


def test_what_lasts_is_a_warning_while_it_lasts_and_counts_each_time_it_begins():
    irregularities = Irregularities()
    for text in ('two of them', 'two of them', '', 'two of them'):
        irregularities.last('several publishers', text)
        assert irregularities.health(1e6).level == (WARN if text else OK)
    assert irregularities.counts == {'several publishers': 2}
