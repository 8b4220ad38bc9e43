# SPDX-License-Identifier: Apache-2.0
"""Which object was taken for which, in images that show several."""

from __future__ import annotations

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.confusion import NOT_FOUND, NOTHING, Sighting, taken_for
from posegrasp_ros.metrics.losses import Loss
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport

POINTS = np.random.default_rng(0).uniform(-0.05, 0.05, (60, 3))
POINTS[:2] = [[-0.05, -0.05, -0.05], [0.05, 0.05, 0.05]]
TARGETS = {'box': ErrorTarget(POINTS, 0.16), 'can': ErrorTarget(POINTS, 0.12)}
BOX, CAN = (0.0, 0.0, 0.6), (0.2, 0.0, 0.6)


def seen(box=(), can=(), true_box=(BOX,), true_can=(CAN,)) -> dict:
    return taken_for({'box': Sighting(box, true_box, 0.08), 'can': Sighting(can, true_can, 0.06)})


@pytest.mark.parametrize(('found', 'expected'), [
    (seen(box=[BOX], can=[CAN]), {'box': (('box',), 0), 'can': (('can',), 0)}),
    (seen(), {'box': ((NOT_FOUND,), 0), 'can': ((NOT_FOUND,), 0)}),
    (seen(box=[CAN]), {'box': ((NOT_FOUND,), 0), 'can': (('box',), 0)}),
    (seen(box=[CAN], can=[BOX]), {'box': (('can',), 0), 'can': (('box',), 0)}),
    (seen(box=[BOX, (1.0, 0, 0.6)], can=[CAN]), {'box': (('box',), 1), 'can': (('can',), 0)}),
    (seen(box=[BOX], true_box=(), true_can=()), {'box': ((), 0), 'can': ((), 0)}),
])
def test_an_instance_was_taken_for_the_object_of_the_nearest_pose(found, expected):
    assert found == expected


def test_a_pose_belongs_to_one_instance_and_only_within_its_radius():
    near = seen(box=[(0.07, 0, 0.6)], can=[])
    assert near['box'] == (('box',), 0), 'inaccurate, but on the box'
    assert seen(box=[(0.09, 0, 0.6)])['box'] == ((NOT_FOUND,), 1)
    both = seen(box=[(0.01, 0, 0.6)], can=[(0.03, 0, 0.6)], true_can=())
    assert both['box'] == (('box',), 0) and both['can'] == ((), 1), 'the nearer pose has the box'


def run_of(frames: list[dict], baselines=None) -> RunMetrics:
    """Images with a box and a can; each frame is {object: x of the estimate}."""
    run = RunMetrics(TARGETS, baselines)
    for index, found in enumerate(frames, start=1):
        stamp = index * 1_000_000_000
        run.add_image(stamp)
        for name, truth in (('box', BOX), ('can', CAN)):
            run.add_truth(stamp, make_transform(None, truth), name)
            ok = name in found
            run.add_report(StageReport(stamp, 'perception', ok, '' if ok else 'no_detection',
                                       {'latency_ms': 50.0}, object=name))
            if ok:
                run.add_estimate(stamp, make_transform(None, (found[name], 0, 0.6)), object_name=name)
    return run


RIGHT, SWAPPED, ONE = {'box': 0.001, 'can': 0.202}, {'box': 0.2, 'can': 0.0}, {'box': 0.001}


def test_metrics_are_of_each_object_and_over_all():
    summary = run_of([RIGHT] * 6 + [ONE] * 2 + [SWAPPED] * 2).summary()
    recalls = {name: part['metrics']['recall_1cm_5deg']['value'] for name, part in summary['objects'].items()}
    assert recalls == {'box': 0.8, 'can': 0.6} and summary['metrics']['recall_1cm_5deg']['value'] == 0.7
    assert summary['frames']['seen'] == 20 and summary['objects']['can']['frames']['seen'] == 10
    assert summary['metrics']['object_confusion'] | {'interval': None} == {
        'value': 0.2, 'unit': '1', 'interval': None, 'n': 20, 'clusters': 10}
    assert summary['confusion'] == {
        'box': {'box': 8, 'can': 2, NOT_FOUND: 0}, 'can': {'box': 2, 'can': 6, NOT_FOUND: 2},
        NOTHING: {'box': 0, 'can': 0}}


def test_a_run_about_one_object_says_nothing_of_confusion():
    run = RunMetrics(TARGETS['box'])
    run.add_truth(1, make_transform(None, BOX))
    run.add_estimate(1, make_transform(None, BOX))
    summary = run.summary()
    assert 'confusion' not in summary and 'objects' not in summary
    assert summary['metrics']['object_confusion']['n'] == 0


def test_live_verdicts_are_of_each_object_too():
    run = run_of([RIGHT, ONE] * 100, load_baselines())
    items = [item for item in run.live_verdicts(10**18) if item['metric'] == 'recall_1cm_5deg']
    assert {item.get('object', ''): item['value'] for item in items} == {'': 0.75, 'box': 1.0, 'can': 0.5}
    assert {item.get('object', ''): item['verdict'] for item in items}['can'] == 'worse'


def test_a_lost_report_is_one_of_its_own_object():
    run = run_of([RIGHT] * 3)
    for stamp in (10, 11, 12):
        run.add_image(stamp * 1_000_000_000)
    run.add_loss(Loss('perception', 2, 9_000_000_000, None, 'can'))
    table = run.table()
    assert [int(table.chosen(table.objects == name).lost['perception'].sum()) for name in TARGETS] == [0, 2]


def test_a_name_that_is_none_of_the_objects_is_an_error():
    with pytest.raises(KeyError):
        RunMetrics(TARGETS).add_truth(1, make_transform(None, BOX), 'cup')
