# SPDX-License-Identifier: Apache-2.0
"""The decoder seam: a family of networks that another installed package adds by an entry point."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hand_made_bags import CAMERA, frames
from keypoint_models import write_keypoint_model

from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.estimation.decoders import registry
from posegrasp_ros.estimation.decoders.decoder import Decoder
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCardError, load_model_card
from posegrasp_ros.estimation.refinement.refiner import Refinement
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.runtime.entry_points import entry_points

EXAMPLES = Path(__file__).resolve().parent.parent / 'examples'
PLACE = np.array([[0.01, -0.02, 0.6]])


@pytest.fixture
def other_package(tmp_path) -> Path:
    """What pip leaves of a package with the entry point: a module and its metadata, in a folder on the path."""
    site = tmp_path / 'site'
    metadata = site / 'place_decoder-1.0.dist-info'
    metadata.mkdir(parents=True)
    shutil.copy(EXAMPLES / 'own_decoder.py', site / 'place_decoder.py')
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: place-decoder\nVersion: 1.0\n')
    (metadata / 'entry_points.txt').write_text('[posegrasp.decoders]\nplace = place_decoder:Place\n')
    return site


@pytest.fixture
def installed(other_package, monkeypatch):
    """The package, installed for this process."""
    monkeypatch.syspath_prepend(str(other_package))
    entry_points.cache_clear()
    yield
    entry_points.cache_clear()
    sys.modules.pop('place_decoder', None)


@pytest.fixture
def folder(tmp_path) -> Path:
    size = (CAMERA.width, CAMERA.height)
    return write_keypoint_model(tmp_path / 'model', PLACE, size, {'family': 'place'})


@pytest.mark.slow
def test_a_family_of_another_package_works_in_check_and_evaluate(other_package, folder, tmp_path):
    """In processes that know no more than their command line and path, as a user has them."""
    with BagWriter(tmp_path / 'bag') as writer:
        for frame in frames(3):
            writer.write(frame)
    path = os.pathsep.join([str(other_package), os.environ.get('PYTHONPATH', '')])
    environment = {**os.environ, 'PYTHONPATH': path}

    def posegrasp(*arguments) -> str:
        done = subprocess.run([sys.executable, '-m', 'posegrasp_ros.cli.main', *map(str, arguments)],
                              env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = json.loads(posegrasp('check', folder, '--json'))
    assert said['networks']['network']['family'] == 'place'
    assert said['networks']['network']['parameters'] == {'sigma_m': 0.01}
    posegrasp('evaluate', tmp_path / 'bag', '--model', folder, '--estimator', 'network', '--compare-with',
              '--out', tmp_path / 'run')
    summary = json.loads((tmp_path / 'run/summary.json').read_text())
    assert summary['stages']['perception']['answered'] == 3


def test_its_parameters_are_checked_like_ours(installed, folder):
    card = folder / 'model.yaml'
    card.write_text(card.read_text().replace('family: place', 'family: place\n    sigma_m: 3'))
    expected = r'network\.decoder\.sigma_m: expected a number between 0\.0001 and 0\.1'
    with pytest.raises(ModelCardError, match=expected):
        load_model_card(folder)


@pytest.mark.parametrize(('module', 'expected'), [
    ('import no_such_module', "cannot be imported: No module named 'no_such_module'"),
    ('class Place: pass', "expected a subclass of posegrasp_ros.estimation.decoders.decoder.Decoder with family")])
def test_a_package_that_cannot_be_used_is_named(installed, other_package, folder, module, expected):
    (other_package / 'place_decoder.py').write_text(module)
    with pytest.raises(registry.DecoderError, match='decoder family place: entry point place_decoder:Place of '
                                                    'place-decoder: ') as refused:
        load_model_card(folder)
    assert expected in str(refused.value)


def test_every_family_of_ours_says_what_it_is():
    for family in registry.OURS:
        found = registry.decoder_class(family)
        assert issubclass(found, Decoder) and found.family == family and 'confidence' in found.figures


class Nudge:
    """A refiner that shifts each pose by a centimetre."""

    figures_when_lost = {'nudged': 0.0}

    def refine(self, image, camera, camera_from_object, covariance, depth_m=None, seen=None) -> Refinement:
        pose = make_transform(translation=(0.01, 0, 0)) @ camera_from_object
        return Refinement(pose, covariance, 0.5, {'nudged': 1.0})


def test_the_estimator_takes_any_refiner_and_its_figures_make_the_score(installed, folder):
    card = folder / 'model.yaml'
    card.write_text(card.read_text() + 'score: {bias: 0.0, confidence: 1.0, nudged: 2.0}\n')
    estimator = PoseEstimator(load_model_card(folder), threads=1, refiner=Nudge())
    frame, = frames(1)
    pose, = estimator.estimate(frame.image, frame.camera).poses
    assert pose.camera_from_object[:3, 3] == pytest.approx(PLACE[0] + (0.01, 0, 0))
    assert pose.score == pytest.approx(1 / (1 + np.exp(-2.9)))
    with pytest.raises(ModelCardError, match=r'score\.nudged: expected one of confidence, correlation, evidence'):
        PoseEstimator(load_model_card(folder), threads=1)
