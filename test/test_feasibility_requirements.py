# SPDX-License-Identifier: Apache-2.0
"""The derived requirements: their figures, and how the baselines file takes them."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
import pytest

from posegrasp_ros.feasibility.derived_entries import KIND, NAME, derived_entries, derived_requirements
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.baselines.baselines_file import add_entries, replace_entries

EXACT = np.zeros((6, 6))


def test_what_the_calibration_takes_is_taken_off():
    calibration = np.diag([0.0018, 0.0018, 0.0018, 0.03, 0.03, 0.03])**2
    whole, left = (derived_requirements((0.003, 0.05), taken, 0.95, 100) for taken in (EXACT, calibration))
    assert left['position_error_median'] == pytest.approx(0.8 * whole['position_error_median'])
    assert left['rotation_error_median'] == pytest.approx(0.8 * whole['rotation_error_median'])
    assert 'position_error_median' not in derived_requirements((0.0015, 0.05), calibration, 0.95, 100)


def test_medians_are_those_of_such_errors():
    requirements = derived_requirements((0.003, 0.05), EXACT, wanted=0.95, allowed_ms=100)
    lengths = np.linalg.norm(np.random.default_rng(1).normal(0, 0.003, (100_000, 3)), axis=1)
    assert requirements['position_error_median'] == pytest.approx(np.median(lengths), rel=0.01)
    ratio = requirements['rotation_error_median'] / requirements['position_error_median']
    assert ratio == pytest.approx(0.05 / 0.003)
    assert (requirements['grasp_success_rate'], requirements['image_to_pose_p50']) == (0.95, 100)


def test_turns_about_an_axis_of_symmetry_are_no_errors():
    needed = derived_requirements((0.003, 0.05), EXACT, 0.95, 100, spins=True)['rotation_error_median']
    angles = np.linalg.norm(np.random.default_rng(1).normal(0, 0.05, (100_000, 2)), axis=1)
    assert needed == pytest.approx(np.median(angles), rel=0.01)


def test_where_no_error_is_small_enough_no_accuracy_is_required():
    assert set(derived_requirements((0.0, 0.0), EXACT, 0.95, 100)) == {'grasp_success_rate', 'image_to_pose_p50'}


def test_the_baselines_file_keeps_what_it_has_and_a_new_study_replaces_the_old(tmp_path):
    path = tmp_path / 'baselines.yaml'
    for position_m in (0.004, 0.003):
        requirements = derived_requirements((position_m, 0.05), EXACT, 0.95, 100)
        add_entries(path, derived_entries(requirements, 'box, franka_hand', '2026-11-24'))
    entries = load_baselines(path).metrics['position_error_median'].entries
    derived, = [entry for entry in entries if entry.source.startswith('derived')]
    assert derived.kind == 'requirement' and 'box, franka_hand' in derived.source
    assert derived.value == pytest.approx(requirements['position_error_median'], rel=1e-5)
    shipped = load_baselines().metrics['position_error_median'].entries
    assert [entry for entry in entries if entry is not derived and entry.source != derived.source] == list(shipped)
    rotation, = [entry for entry in load_baselines(path).metrics['rotation_error_median'].entries
                 if entry.source.startswith('derived')]
    assert rotation.value == pytest.approx(requirements['rotation_error_median'], rel=1e-5)


def test_what_a_new_study_does_not_require_is_taken_out(tmp_path):
    path = tmp_path / 'baselines.yaml'
    for isotropic, date in (((0.004, 0.05), '2026-11-24'), ((0.0, 0.0), '2026-11-25')):
        entries = derived_entries(derived_requirements(isotropic, EXACT, 0.95, 100), 'box', date)
        replace_entries(path, entries, KIND, NAME)
    baselines, shipped = load_baselines(path), load_baselines()
    for metric in ('position_error_median', 'rotation_error_median'):
        assert baselines.metrics[metric].entries == shipped.metrics[metric].entries
    dates = [entry.date for entry in baselines.metrics['grasp_success_rate'].entries if entry.name == NAME]
    assert dates == ['2026-11-25']


def test_a_metric_may_lose_its_only_entry(tmp_path):
    path = tmp_path / 'baselines.yaml'
    path.write_text(dedent('''\
        # ours
        format: posegrasp.baselines/1
        metrics:
          position_error_median:
            unit: mm
            direction: lower_is_better
            entries:
              - {name: derived need, kind: requirement, value: 3, source: derived, date: 2026-11-24, fair: true}
          recall_1cm_5deg:  # kept
            unit: "1"
            direction: higher_is_better
            entries: []
        '''))
    replace_entries(path, {}, KIND, NAME)
    assert load_baselines(path).metrics['position_error_median'].entries == ()
    assert '# ours' in path.read_text() and '# kept' in path.read_text()
