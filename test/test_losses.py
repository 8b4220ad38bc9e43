# SPDX-License-Identifier: Apache-2.0
"""Reports that were sent and did not come: received + lost + unheard = sent, for every publisher."""

from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.metrics.losses import MOST_PUBLISHERS, Losses
from posegrasp_ros.metrics.stage_report import StageReport


def report(sequence, publisher='a', stage='perception'):
    return StageReport(1000 + sequence, stage, True, sequence=sequence, publisher=publisher)


def test_a_gap_is_what_was_lost_and_tells_between_which_images():
    losses = Losses()
    assert losses.report(report(0)) is None and losses.report(report(1)) is None
    loss = losses.report(report(5))
    assert (loss.stage, loss.count, loss.after_ns, loss.before_ns) == ('perception', 3, 1001, 1005)
    assert losses.lost == {'perception': 3}


def test_a_node_that_was_started_anew_lost_nothing():
    losses = Losses()
    for publisher in ('before', 'after'):
        for sequence in range(10):
            assert losses.report(report(sequence, publisher)) is None
    assert not losses.lost


def test_what_was_sent_before_anybody_is_known_to_have_listened_is_told_apart():
    losses = Losses()
    assert losses.report(report(7)) is None
    assert losses.unheard == {'perception': 7} and not losses.lost


def test_two_publishers_and_two_stages_are_counted_apart():
    losses = Losses()
    for sequence in range(20):
        losses.report(report(sequence, 'a'))
        if sequence % 2 == 0:
            losses.report(report(sequence, 'b'))
        losses.report(report(sequence, 'a', 'planning'))
    assert losses.lost == {'perception': 9}


def test_a_report_without_a_number_is_not_counted():
    losses = Losses()
    assert losses.report(StageReport(1, 'execution', True)) is None
    assert not losses.lost and not losses.unheard


def test_the_last_ones_are_lost_when_their_publisher_says_so_and_they_had_their_time():
    losses = Losses()
    losses.report(report(0))
    losses.sent('perception', 'a', 4, 10.0)
    assert losses.overdue(11.0, 1.5) == []
    losses.report(report(1))
    loss, = losses.overdue(11.6, 1.5)
    assert (loss.count, loss.after_ns, loss.before_ns) == (2, 1001, None)
    assert losses.overdue(20.0, 1.5) == [] and losses.report(report(4)) is None


@pytest.mark.parametrize('seed', range(5))
def test_received_and_lost_and_unheard_are_what_was_sent(seed):
    rng, losses, received, sent = np.random.default_rng(seed), Losses(), 0, {'a': 0, 'b': 0}
    for _ in range(2000):
        name = str(rng.choice(['a', 'b']))
        if rng.random() < 0.7:
            losses.report(report(sent[name], name))
            received += 1
        sent[name] += 1
    for name, count in sent.items():
        losses.sent('perception', name, count, 0.0)
    losses.overdue(10.0, 1.5)
    assert received + losses.lost['perception'] + losses.unheard['perception'] == sum(sent.values())


def test_publishers_without_end_do_not_fill_the_memory():
    losses = Losses()
    for number in range(5 * MOST_PUBLISHERS):
        losses.report(report(0, f'{number}'))
        losses.report(report(1, 'always there'))
    assert not losses.unheard or losses.unheard['perception'] <= 1
    assert losses.report(report(3, 'always there')).count == 1
