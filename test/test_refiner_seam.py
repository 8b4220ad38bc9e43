# SPDX-License-Identifier: Apache-2.0
"""The refiner seam: a refinement that another installed package adds by an entry point, chosen on the card."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hand_made_bags import frames
from test_decoder_seam import PLACE, folder, installed, other_package  # noqa: F401

from posegrasp_ros.estimation.card_calibration import Calibration
from posegrasp_ros.estimation.create import create_estimator
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCardError, load_model_card
from posegrasp_ros.estimation.refinement.mesh_refiner import MeshRefiner
from posegrasp_ros.estimation.refinement.refiner_registry import RefinerError, refiner_class, refiner_names
from posegrasp_ros.runtime.entry_points import entry_points
from posegrasp_ros.runtime.resources import model_folder

MODULE = '''
from posegrasp_ros.estimation.refinement.refiner import Refinement


class Nudge:
    figures_when_lost = {'nudged': 0.0}

    def __init__(self, mesh):
        self.shift_m = mesh.diameter / 10

    def refine(self, image, camera, camera_from_object, covariance, depth_m=None, seen=None):
        pose = camera_from_object.copy()
        pose[0, 3] += self.shift_m
        return Refinement(pose, covariance, 0.5, {'nudged': 1.0})
'''


@pytest.fixture
def nudged(installed, other_package, folder) -> Path:  # noqa: F811
    """A model whose card names the refiner of another package."""
    metadata = other_package / 'nudge-1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: nudge\nVersion: 1.0\n')
    (metadata / 'entry_points.txt').write_text('[posegrasp.refiners]\nnudge = nudge_refiner:Nudge\n')
    (other_package / 'nudge_refiner.py').write_text(MODULE)
    entry_points.cache_clear()
    card = folder / 'model.yaml'
    card.write_text(card.read_text() + 'refiner: nudge\n')
    yield folder
    sys.modules.pop('nudge_refiner', None)


def test_the_card_chooses_the_refiner_for_every_estimator(nudged):
    card, (frame,) = load_model_card(nudged), frames(1)
    assert refiner_names() == ('mesh', 'nudge')
    pose, = create_estimator('onnx', card).estimate(frame.image, frame.camera).poses
    assert pose.camera_from_object[:3, 3] == pytest.approx(PLACE[0] + (card.mesh.diameter / 10, 0, 0))
    alone, = create_estimator('network', card).estimate(frame.image, frame.camera).poses
    assert alone.camera_from_object[:3, 3] == pytest.approx(PLACE[0])


def test_the_score_is_made_of_the_figures_of_the_cards_refiner(nudged):
    card, (frame,) = load_model_card(nudged), frames(1)
    assert PoseEstimator(card).score_figures == ('confidence', 'nudged')
    scored = replace(card, calibration=Calibration({'bias': 0.0, 'confidence': 1.0, 'nudged': 2.0}))
    pose, = PoseEstimator(scored).estimate(frame.image, frame.camera).poses
    assert pose.score == pytest.approx(1 / (1 + np.exp(-2.9)))
    of_ours = replace(card, calibration=Calibration({'bias': 0.0, 'correlation': 1.0}))
    with pytest.raises(ModelCardError, match=r'correlation: expected one of confidence, nudged, .*calibrate'):
        PoseEstimator(of_ours)


def test_a_refiner_that_nobody_has_is_refused_with_those_that_there_are(nudged):
    card = nudged / 'model.yaml'
    card.write_text(card.read_text().replace('refiner: nudge', 'refiner: wiggle'))
    with pytest.raises(ModelCardError, match=r"model\.yaml: refiner: expected mesh or nudge, got 'wiggle'"):
        load_model_card(nudged)


def test_what_is_no_refiner_is_named(nudged, other_package):  # noqa: F811
    (other_package / 'nudge_refiner.py').write_text('class Nudge: pass')
    with pytest.raises(RefinerError, match='refiner nudge: entry point nudge_refiner:Nudge of nudge: expected'):
        PoseEstimator(load_model_card(nudged))


def test_a_card_that_names_none_has_ours():
    assert load_model_card(model_folder('box')).refiner == 'mesh' and refiner_class('mesh') is MeshRefiner
