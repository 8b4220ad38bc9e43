# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

import numpy as np
import pytest
import yaml

from posegrasp_ros.metrics.baselines.baselines import BaselineError, Entry, load_baselines
from posegrasp_ros.metrics.catalogue import OURS
from posegrasp_ros.runtime.resources import resource_path

GOOD = {
    'format': 'posegrasp.baselines/1',
    'metrics': {'rotation_error_median': {
        'unit': 'deg', 'direction': 'lower_is_better',
        'entries': [{'name': 'need', 'kind': 'requirement', 'value': 5, 'source': 'brief', 'date': '2026-11-23',
                     'fair': True}]}},
}


def write(tmp_path, data):
    path = tmp_path / 'baselines.yaml'
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


@pytest.mark.parametrize('metric, value', [
    ('position_error_median', 0.01), ('rotation_error_median', np.radians(5)), ('image_to_pose_p50', 100),
    ('recall_1cm_5deg', 0.8), ('grasp_success_rate', 0.8)])
def test_the_shipped_baselines_file_begins_with_the_stated_needs(metric, value):
    first = load_baselines().metrics[metric].entries[0]
    assert first.kind == 'requirement'
    assert first.value == pytest.approx(value)


def test_the_shipped_baselines_file_knows_every_metric():
    stated = yaml.safe_load(resource_path('config/baselines.yaml').read_text())
    assert set(stated['metrics']) == {metric.name for metric in OURS}


@pytest.mark.parametrize('unit, value, expected', [('deg', 180, np.pi), ('rad', 1, 1)])
def test_values_are_converted_to_the_unit_of_the_package(tmp_path, unit, value, expected):
    data = copy.deepcopy(GOOD)
    metric = data['metrics']['rotation_error_median']
    metric['unit'], metric['entries'][0]['value'] = unit, value
    baselines = load_baselines(write(tmp_path, data))
    assert baselines.metrics['rotation_error_median'].entries[0].value == pytest.approx(expected)


def changed(field, value):
    """The good baselines file with one field of its entry (or its metric) changed."""
    data = copy.deepcopy(GOOD)
    metric = data['metrics']['rotation_error_median']
    (metric if field in metric else metric['entries'][0])[field] = value
    return data


@pytest.mark.parametrize('data, words', [
    (changed('unit', 'mm'), ['metrics.rotation_error_median.unit', 'rad or deg', "'mm'"]),
    (changed('direction', 'down'), ['direction', 'lower_is_better', "'down'"]),
    (changed('entries', {}), ['entries', 'a list']),
    (changed('kind', 'guess'), ['entries[0].kind', 'requirement', "'guess'"]),
    (changed('value', '5 degrees'), ['entries[0].value', 'a number', "'5 degrees'"]),
    (changed('value', float('nan')), ['entries[0].value', 'nan']),
    (changed('source', ''), ['entries[0].source', 'a text']),
    (changed('date', 'yesterday'), ['entries[0].date', '2026-11-23', "'yesterday'"]),
    (changed('fair', 'yes, quite'), ['entries[0].fair', 'true or false']),
    (changed('fair', False), ['entries[0].note', 'why the comparison is not fair', 'nothing']),
    ({**GOOD, 'metrics': {'accuracy': {}}}, ["'accuracy'", 'recall_1cm_5deg']),
    ({**GOOD, 'format': 'x'}, ['format', 'posegrasp.baselines/1', "'x'"]),
    ({**GOOD, 'metrics': []}, ['metrics', 'a mapping']),
    ('a: [', ['expected a YAML file that can be read']),
    ('- 1', ['format']),
])
def test_a_wrong_baselines_file_is_refused_in_one_line_that_names_the_field(tmp_path, data, words):
    path = write(tmp_path, data)
    with pytest.raises(BaselineError) as caught:
        load_baselines(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and '\n' not in message
    assert all(word in message for word in words), message


def test_a_missing_baselines_file_is_named(tmp_path):
    with pytest.raises(BaselineError, match='no such file'):
        load_baselines(tmp_path / 'none.yaml')


def test_a_measured_entry_replaces_the_older_one_of_its_name(tmp_path):
    baselines = load_baselines(write(tmp_path, GOOD))
    for value in (1.0, 0.5):
        baselines = baselines.with_entry('rotation_error_median', Entry('mean_pose', 'scripted', value, 'bag', ''))
    assert [entry.value for entry in baselines.metrics['rotation_error_median'].entries[1:]] == [0.5]
