# SPDX-License-Identifier: Apache-2.0
"""The public API: what a program imports, and the examples that show it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hand_made_bags import frames

import posegrasp_ros
from posegrasp_ros.estimation.create import create_estimator, estimator_names, unregister_estimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.pose_estimate import Estimation
from posegrasp_ros.metrics.catalogue import unregister_metric
from posegrasp_ros.runtime.entry_points import entry_points

EXAMPLES = Path(__file__).resolve().parent.parent / 'examples'


def test_every_name_of_the_api_is_there_and_documented():
    for name in posegrasp_ros.__all__:
        found = getattr(posegrasp_ros, name)
        assert found.__doc__ and found.__module__.startswith('posegrasp_ros.'), name
    assert set(posegrasp_ros.__all__) <= set(dir(posegrasp_ros))
    with pytest.raises(AttributeError, match='no_such_name'):
        _ = posegrasp_ros.no_such_name


def test_importing_the_package_imports_nothing_heavy():
    code = ('import sys, posegrasp_ros\n'
            'print([name for name in ("numpy", "cv2", "onnxruntime") if name in sys.modules])')
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout.strip() == '[]'


def test_a_model_estimates_and_plans():
    model = posegrasp_ros.load_model('box', estimator='mean_pose')
    frame, = frames(1)
    pose, = model.estimate(frame.image, frame.camera).poses
    assert pose.camera_from_object.shape == (4, 4)
    base_from_object = np.eye(4)
    base_from_object[:3, 3] = (0.4, 0.0, model.card.mesh.extents[2] / 2)
    plan = model.plan(base_from_object)
    assert len(plan.grasps) > 10
    blocked = posegrasp_ros.Scene(boxes=[posegrasp_ros.BoxObstacle(base_from_object, np.full(3, 0.2))])
    assert model.plan(base_from_object, scene=blocked).grasps == []


def example(monkeypatch, capsys, name: str, *arguments) -> str:
    """What an example prints."""
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name='__main__')
    return capsys.readouterr().out


def test_examples_are_short():
    licence_line = 1
    assert all(len(path.read_text().splitlines()) <= licence_line + 40 for path in EXAMPLES.glob('*.py'))
    assert len(list(EXAMPLES.glob('*.py'))) == 5


def test_example_pose_of_an_image(monkeypatch, capsys):
    said = example(monkeypatch, capsys, 'pose_of_an_image.py')
    assert '1 found; the best, score ' in said and said.count('[') == 5


@pytest.mark.parametrize(('name', 'expected'), [
    ('bag_to_report.py', 'image_to_pose_p50 '), ('own_metric.py', "'unit': '1'"),
    ('own_estimator.py', 'oracle: recall_1cm_5deg 1.0')])
def test_examples_on_a_bag(name, expected, bag, scripted_model, tmp_path, monkeypatch, capsys):
    estimator = [] if name == 'own_estimator.py' else ['--estimator', 'oracle']
    try:
        said = example(monkeypatch, capsys, name, bag, '--model', scripted_model, '--out', tmp_path / 'run',
                       *estimator)
    finally:
        if name == 'own_metric.py':
            unregister_metric('recall_5mm')
        if name == 'own_estimator.py':
            unregister_estimator('half_a_metre')
    assert expected in said and (tmp_path / 'run/report.html').is_file()


def test_an_estimator_of_another_package_is_found_by_its_entry_point(tmp_path, monkeypatch, scripted_model):
    metadata = tmp_path / 'mine-1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n')
    (metadata / 'entry_points.txt').write_text('[posegrasp.estimators]\nmine = mine_estimator:create\n')
    (tmp_path / 'mine_estimator.py').write_text(
        'from posegrasp_ros import Estimation\n'
        'class Mine:\n'
        '    def estimate(self, image, camera, truth=None, depth_m=None, stamp_ns=None):\n'
        '        return Estimation(reason="no_detection")\n'
        'def create(card, threads, min_score):\n'
        '    return Mine()\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    entry_points.cache_clear()
    try:
        assert estimator_names()[-1] == 'mine'
        answer = create_estimator('mine', load_model_card(scripted_model)).estimate(None, None)
    finally:
        entry_points.cache_clear()
    assert isinstance(answer, Estimation) and answer.reason == 'no_detection'
