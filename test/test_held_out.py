# SPDX-License-Identifier: Apache-2.0
"""What a model reached in simulation is called what it is, by training and by check."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import write_card

from posegrasp_ros.estimation.held_out import next_command, reached
from posegrasp_ros.estimation.model_card import load_model_card


def card_of(scripted_model, tmp_path, measured):
    folder = Path(shutil.copytree(scripted_model, tmp_path / 'model'))
    write_card(folder, measured=measured)
    return load_model_card(folder)


@pytest.mark.parametrize(('clean', 'rough', 'scenes', 'said', 'next_said'), [
    (0.0, 0.0, 200, 'of no use: within 10.0 mm and 5.00° in none of 200', 'train longer: posegrasp train'),
    (0.5, 0.1, 200, 'not good enough in simulation: within 10.0 mm and 5.00° in 50.0 % of 200 clean and 10.0 % of '
     '200 rough held-out scenes, at least 80.0 % is needed', 'train longer: posegrasp train'),
    (0.95, 0.4, 200, 'good enough in simulation, not good enough in rough scenes: ', 'posegrasp evaluate'),
    (0.95, 0.82, 200, 'good enough in simulation, not decided in rough scenes: ', 'posegrasp evaluate'),
    (0.95, 0.9, 200, 'good enough in simulation: ', 'posegrasp evaluate'),
    (1.0, 1.0, 10, 'not decided in simulation: ', 'posegrasp evaluate'),
])
def test_a_model_is_called_what_it_is(scripted_model, tmp_path, clean, rough, scenes, said, next_said):
    data = f'{scenes} held-out simulated scenes'
    measured = {'data': data, 'recall': clean, 'rough': {'data': data, 'recall': rough}}
    card = card_of(scripted_model, tmp_path, measured)
    assert reached(card).startswith(said) and next_said in next_command(card, Path('models/mine'))


@pytest.mark.parametrize('measured', [{}, {'recall': 0.9}, {'data': '9 scenes', 'recall': 'unknown'},
                                      {'data': 'many', 'recall': 0.9},
                                      {'data': '', 'recall': 0.9}, {'rough': {'data': '9 scenes', 'recall': 0.9}}])
def test_what_was_not_measured_is_not_judged(scripted_model, tmp_path, measured):
    assert reached(card_of(scripted_model, tmp_path, measured)) == ''
