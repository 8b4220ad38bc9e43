# SPDX-License-Identifier: Apache-2.0
"""What a model reached in simulation is called what it is, by training and by check."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import write_card

from posegrasp_ros.estimation.held_out import needed_recall, next_command, reached
from posegrasp_ros.estimation.model_card import load_model_card


def card_of(scripted_model, tmp_path, measured):
    folder = Path(shutil.copytree(scripted_model, tmp_path / 'model'))
    write_card(folder, measured=measured)
    return load_model_card(folder)


@pytest.mark.parametrize(('clean', 'rough', 'said', 'next_said'), [
    (0.0, 0.0, 'of no use: within 10.0 mm and 5.00° in none', 'train longer: posegrasp train'),
    (0.5, 0.1, 'not good enough in simulation: within 10.0 mm and 5.00° in 50.0 % of clean and 10.0 % of rough',
     'train longer: posegrasp train'),
    (0.95, 0.4, 'good enough in simulation, but not in rough scenes: ', 'posegrasp evaluate RECORDING'),
    (0.95, 0.9, 'good enough in simulation: ', 'posegrasp evaluate RECORDING'),
])
def test_a_model_is_called_what_it_is(scripted_model, tmp_path, clean, rough, said, next_said):
    card = card_of(scripted_model, tmp_path, {'recall': clean, 'rough': {'recall': rough}})
    assert reached(card).startswith(said) and next_said in next_command(card, Path('models/mine'))
    assert clean == 0 or f'at least {100 * needed_recall():.1f} % is needed' in reached(card)


@pytest.mark.parametrize('measured', [{}, {'recall': 'unknown'}, {'rough': {'recall': 0.9}}])
def test_what_was_not_measured_is_not_judged(scripted_model, tmp_path, measured):
    assert reached(card_of(scripted_model, tmp_path, measured)) == ''
