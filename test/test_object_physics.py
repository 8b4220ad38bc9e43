# SPDX-License-Identifier: Apache-2.0
"""Mass and friction of simulated objects: stated by the user, else by the model card, else the defaults."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.estimation.model_card import ModelCardError, load_model_card
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.metrics.pick_metrics import conditions_of
from posegrasp_ros.runtime.resources import model_folder
from posegrasp_ros.simulation.object_physics import ObjectPhysics
from posegrasp_ros.simulation.pick_objects import load_pick_object
from posegrasp_ros.simulation.picking import PickingRun
from posegrasp_ros.simulation.scene import sample_scene
from posegrasp_ros.simulation.world import World


@pytest.fixture
def heavy_box(tmp_path):
    """The shipped box with what its card says of a heavy, smooth one."""
    folder = tmp_path / 'heavy'
    shutil.copytree(model_folder('box'), folder)
    card = folder / 'model.yaml'
    card.write_text(card.read_text().replace('object:\n', 'object:\n  mass_kg: 3.0\n  friction: 0.2\n', 1))
    return folder


def test_what_is_stated_goes_before_the_card_and_the_card_before_the_defaults(heavy_box):
    assert ObjectPhysics.of_card(load_model_card(model_folder('box'))) == ObjectPhysics(None, 400.0, 0.6)
    stated = ObjectPhysics.of_card(load_model_card(heavy_box))
    assert (stated.mass_kg, stated.friction) == (3.0, 0.2)
    assert stated.stated(mass_kg=1.0) == replace(stated, mass_kg=1.0)
    assert stated.stated(density_kg_m3=1000.0).density_of(1e-3) == 1000.0
    assert stated.stated(friction=0.5).friction == 0.5 and stated.stated() == stated


def test_a_mass_is_that_of_the_body_and_its_inertia_grows_with_it():
    mesh = load_model_card(model_folder('box')).mesh
    scene = sample_scene(np.random.default_rng(1), mesh)
    bodies = []
    for physics in (ObjectPhysics(mass_kg=1.0), ObjectPhysics(mass_kg=2.0, friction=0.3)):
        world = World(mesh, load_gripper(), replace(scene, physics=physics))
        bodies.append((world._model.body('object').mass[0], world._model.body('object').inertia.copy()))
        friction = world._model.geom_friction[world._model.geom_contype > 0, 0].max()
        world.close()
        assert friction == physics.friction
    assert [mass for mass, _ in bodies] == pytest.approx([1.0, 2.0])
    assert bodies[1][1] == pytest.approx(2 * bodies[0][1])


@pytest.mark.slow
def test_a_heavy_smooth_object_slips_where_a_light_one_is_lifted(heavy_box):
    gripper, (truth,) = load_gripper(), conditions_of('truth', [], [])
    objects = [load_pick_object(str(folder), gripper) for folder in (model_folder('box'), heavy_box)]
    runs = [PickingRun([each], gripper, [truth], seed=5) for each in objects]
    assert [run.attempt(0, truth).result for run in runs] == ['lifted', 'slipped']


@pytest.mark.parametrize(('line', 'expected'), [
    ('mass_kg: -1', 'object.mass_kg: expected a number between 0.0001 and 1000, got -1'),
    ('friction: .nan', 'object.friction: expected a number between 0.01 and 5, got nan')])
def test_a_card_with_an_impossible_figure_is_refused(heavy_box, line, expected):
    card = heavy_box / 'model.yaml'
    name = line.split(':')[0]
    card.write_text(''.join(f'  {line}\n' if name in each else each for each in
                            card.read_text().splitlines(keepends=True)))
    with pytest.raises(ModelCardError) as refused:
        load_model_card(heavy_box)
    assert expected in str(refused.value)


@pytest.mark.slow
def test_the_command_states_them_in_the_run(tmp_path):
    assert main(['picks', 'box', '--count', '1', '--jobs', '1', '--mass', '0.5', '--friction', '0.4', '--out',
                 str(tmp_path)]) == 0
    stated = json.loads((tmp_path / 'summary.json').read_text())['provenance']['physics']
    assert stated['box'] == 'friction 0.4 between pads and object, mass 0.5 kg'
