# SPDX-License-Identifier: Apache-2.0
"""A model folder that is wrong is refused with the file, the field, what was found and what was expected."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCardError, load_model_card, sha256_of, write_card
from posegrasp_ros.geometry.transforms import transform_points
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path


@pytest.fixture
def folder(tmp_path):
    """A copy of the shipped model, free to be damaged."""
    return shutil.copytree(resource_path('models/box'), tmp_path / 'box')


def change(folder, *keys, to):
    """Set a field of the card; ``None`` removes it."""
    card = yaml.safe_load((folder / 'model.yaml').read_text())
    section = card
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = to
    write_card(folder, card)


def test_the_shipped_card_is_good():
    card = load_model_card(resource_path('models/box'))
    np.testing.assert_allclose(card.mesh.extents, (0.12, 0.06, 0.045), atol=1e-6)
    assert card.symmetry.transforms().shape == (1, 4, 4)


@pytest.mark.parametrize('keys, value, expected', [
    (('format',), 'posegrasp.model/9', 'format: expected posegrasp.model/1, got'),
    (('name',), '', 'name: expected a name'),
    (('name',), 'red\x1b[31m\nposegrasp: error: forged', 'name: expected a name in one line'),
    (('name',), 'x' * 10_000, 'name: expected a name in one line'),
    (('object', 'symmetries_discrete'), [[10**400] * 16], 'object.symmetries_discrete: expected rigid 4x4'),
    (('object', 'symmetries_continuous'), [{'axis': [0, 0, 1]}] * 101, 'expected at most 100 entries, got 101'),
    (('object', 'diameter_m'), 141.5,
     'object.diameter_m: expected a length in metres between 0.005 and 2, got 141.5'),
    (('object', 'diameter_m'), 0.2, 'object.diameter_m: expected the diameter of mesh.obj, 0.1415, got 0.2'),
    (('object', 'mesh'), 'gone.obj', 'object.mesh: expected a file in'),
    (('network', 'input', 'colour'), 'grey', 'network.input.colour: expected rgb or bgr'),
    (('network', 'input', 'size'), [128], 'network.input.size: expected 2 numbers'),
    (('network', 'input', 'std'), [0, 1, 1], 'network.input.std: expected 3 numbers'),
    (('network', 'decoder', 'family'), 'magic', 'network.decoder.family: expected object_coordinates'),
    (('network', 'sha256'), '0' * 64, 'the hash of model.onnx'),
    (('network', 'decoder', 'margin'), None, 'network.decoder.margin: expected a number between 1 and 4'),
    (('detector', 'decoder', 'stride'), 'eight', 'detector.decoder.stride: expected a number'),
    (('object', 'symmetries_discrete'), 'none', 'object.symmetries_discrete: expected a list'),
    (('object', 'symmetries_discrete'), [[1, 2]], 'object.symmetries_discrete: expected rigid 4x4'),
    (('object', 'symmetries_discrete'), [[1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]], 'rigid 4x4'),
    (('score',), {'bias': 1.0}, 'score: expected bias and the coefficients of figures, got bias alone'),
    (('score',), {'confidence': 1.0, 'evidence': 2.0}, 'score.bias: expected a number'),
    (('covariance_scale', 'rotation'), -1, 'covariance_scale.rotation: expected a number'),
    (('detector',), None, 'detector: expected a mapping'),
    (('mean_pose', 'quaternion_xyzw'), [0, 0, 0, 0], 'mean_pose.quaternion_xyzw: expected a quaternion of'),
    (('object', 'symmetries_continuous'), [{'axis': [0, 0, 0]}], 'object.symmetries_continuous[0].axis: expected'),
])
def test_a_wrong_field_is_named(folder, keys, value, expected):
    change(folder, *keys, to=value)
    with pytest.raises(ModelCardError) as error:
        load_model_card(folder)
    assert expected in str(error.value) and 'model.yaml' in str(error.value)
    assert '\n' not in str(error.value)


def test_a_folder_without_a_card_is_refused(tmp_path):
    with pytest.raises(ModelCardError, match=r'model\.yaml: no such file'):
        load_model_card(tmp_path)


def test_a_card_that_is_not_yaml_is_refused(folder):
    (folder / 'model.yaml').write_text('a: [')
    with pytest.raises(ModelCardError, match='expected a YAML file that can be read'):
        load_model_card(folder)


def test_a_missing_network_is_refused(folder):
    (folder / 'model.onnx').unlink()
    with pytest.raises(ModelCardError, match=r'network\.file: expected a file in .* got .model\.onnx'):
        load_model_card(folder)


def test_a_damaged_network_is_refused(folder):
    (folder / 'model.onnx').write_bytes(b'\0' * 1000)
    with pytest.raises(ModelCardError, match='the hash of'):
        load_model_card(folder)
    change(folder, 'network', 'sha256', to=sha256_of(folder / 'model.onnx'))
    with pytest.raises(ModelCardError, match=r'model\.onnx: cannot be loaded as an ONNX network'):
        PoseEstimator(load_model_card(folder))


def test_a_card_of_another_input_size_is_refused(folder):
    change(folder, 'network', 'input', 'size', to=[96, 96])
    with pytest.raises(ModelCardError, match=r'the network takes \[1, 3, 128, 128\], the card states'):
        PoseEstimator(load_model_card(folder))


def test_a_network_of_another_output_is_refused(folder):
    card = yaml.safe_load((folder / 'model.yaml').read_text())
    card['network'].update(file=card['detector']['file'], sha256=card['detector']['sha256'])
    card['network']['input'] = card['detector']['input']
    write_card(folder, card)
    with pytest.raises(ModelCardError, match=r'object_coordinates reads an output of \[1, 5, h, w\]'):
        PoseEstimator(load_model_card(folder))


DOCUMENTED = Path(__file__).parent.parent / 'docs/how-to/models_you_have.md'
DOCUMENTED_CARDS = [card for card in re.findall('```yaml\n(.*?)```', DOCUMENTED.read_text(encoding='utf-8'),
                                                re.DOTALL) if 'decoder:' in card]


@pytest.fixture
def written_by_hand(tmp_path):
    """Writes a card of the documentation, with a decoder's fields changed, into a folder with the shipped box."""
    def write(family: str, **decoder) -> Path:
        folder = shutil.copytree(resource_path('models/box'), tmp_path / family)
        [text] = [text for text in DOCUMENTED_CARDS if f'family: {family}' in text]
        card = yaml.safe_load(text)
        (folder / card['network']['file']).write_bytes(b'not looked at')
        card['network']['decoder'].update(decoder)
        write_card(folder, card)
        return folder
    return write


def test_the_cards_of_the_readme_are_good(written_by_hand):
    assert len(DOCUMENTED_CARDS) == 2
    dope, yolo = load_model_card(written_by_hand('dope')), load_model_card(written_by_hand('yolo_pose'))
    assert dope.detector is None and yolo.detector is None
    assert dope.network.parameters.corners == 'nvlabs' and dope.network.parameters.threshold == 0.1
    np.testing.assert_allclose(dope.network.mean, (0.485, 0.456, 0.406))
    assert yolo.network.parameters.keypoints_m.shape == (8, 3) and yolo.network.std.tolist() == [1, 1, 1]
    assert dope.score == {} and dope.covariance_scale == (1.0, 1.0)
    assert not dope.network.is_pinned and len(dope.network_sha256) == 64


SQUARE_M = [[0, 0, 0], [0.05, 0, 0], [0.05, 0.05, 0], [0, 0.05, 0]]


@pytest.mark.parametrize('family, changes, expected', [
    ('dope', {'corners': 'other'}, 'network.decoder.corners: expected nvlabs or isaac'),
    ('dope', {'corners': None}, 'network.decoder.corners: expected nvlabs or isaac, got None'),
    ('dope', {'dimensions_m': [120, 60, 45]}, 'decoder.dimensions_m: expected 3 numbers between 0.001 and 2'),
    ('dope', {'dimensions_m': [0.06, 0.12, 0.045]},
     'dimensions_m: expected the sides of mesh.obj along its x, y, z, [0.12, 0.06, 0.045] m'),
    ('dope', {'threshold': 2}, 'network.decoder.threshold: expected a number between 0 and 1, got 2'),
    ('dope', {'treshold': 0.3}, 'network.decoder.treshold: expected no field but family, corners, '),
    ('dope', {'fit': 'crop'}, 'network.decoder.fit: expected letterbox or stretch'),
    ('yolo_pose', {'keypoints_m': None}, 'network.decoder.keypoints_m: expected 4 to 64 points'),
    ('yolo_pose', {'keypoints_m': SQUARE_M[:3]}, 'network.decoder.keypoints_m: expected 4 to 64 points'),
    ('yolo_pose', {'keypoints_m': [[0, 0, 0.01 * i] for i in range(5)]}, 'not all on one line'),
    ('yolo_pose', {'keypoints_m': [[60, 0, 0], *SQUARE_M]}, 'expected 4 to 64 points [x, y, z] in metres'),
    ('yolo_pose', {'keypoints_m': [[0.6, 0, 0], *SQUARE_M]}, 'within a diameter, 0.1415 m, of the middle of mesh'),
    ('yolo_pose', {'class': 1.5}, 'network.decoder.class: expected a whole number'),
    ('yolo_pose', {'layout': 'columns'}, 'network.decoder.layout: expected auto or rows or end_to_end'),
])
def test_a_wrong_decoder_is_named(written_by_hand, family, changes, expected):
    folder = written_by_hand(family, **changes)
    with pytest.raises(ModelCardError) as error:
        load_model_card(folder)
    assert expected in str(error.value) and 'model.yaml' in str(error.value) and '\n' not in str(error.value)


def test_a_detector_beside_a_network_that_needs_none_is_refused(written_by_hand):
    folder = written_by_hand('dope')
    change(folder, 'detector', to={'file': 'detector.onnx'})
    with pytest.raises(ModelCardError, match='detector: expected no such section beside a network of'):
        load_model_card(folder)


def test_a_stated_hash_is_checked_for_a_network_of_old_too(written_by_hand):
    folder = written_by_hand('dope')
    change(folder, 'network', 'sha256', to='0' * 64)
    with pytest.raises(ModelCardError, match=r'the hash of dope\.onnx'):
        load_model_card(folder)


def test_every_refusal_is_bad_input():
    assert issubclass(ModelCardError, InvalidInputError)


def test_a_continuous_symmetry_keeps_its_axis_in_place(folder):
    change(folder, 'object', 'symmetries_continuous', to=[{'axis': [0, 0, 1], 'offset': [0.01, 0, 0]}])
    symmetries = load_model_card(folder).symmetry.transforms()
    on_axis = np.array([[0.01, 0, 0.3]])
    np.testing.assert_allclose([transform_points(s, on_axis)[0] for s in symmetries],
                               np.repeat(on_axis, len(symmetries), axis=0), atol=1e-9)
    np.testing.assert_array_equal(symmetries[0], np.eye(4))
