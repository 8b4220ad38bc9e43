"""A model folder that is wrong is refused with the file, the field, what was found and what was expected."""

import shutil

import numpy as np
import pytest
import yaml

from posegrasp_ros.errors import BadInput
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCardError, load_model_card, sha256_of, write_card
from posegrasp_ros.geometry import transform_points
from posegrasp_ros.resources import resource_path


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
    assert card.symmetries.shape == (1, 4, 4)


@pytest.mark.parametrize('keys, value, expected', [
    (('format',), 'posegrasp.model/9', 'format: expected posegrasp.model/1, got'),
    (('name',), '', 'name: expected a name'),
    (('object', 'diameter_m'), 141.5,
     'object.diameter_m: expected a length in metres between 0.005 and 2, got 141.5'),
    (('object', 'diameter_m'), 0.2, 'object.diameter_m: expected the diameter of mesh.obj, 0.1415, got 0.2'),
    (('object', 'mesh'), 'gone.obj', 'object.mesh: expected a file in'),
    (('network', 'input', 'colour'), 'grey', 'network.input.colour: expected rgb or bgr'),
    (('network', 'input', 'size'), [128], 'network.input.size: expected 2 numbers'),
    (('network', 'input', 'std'), [0, 1, 1], 'network.input.std: expected 3 numbers'),
    (('network', 'decoder', 'family'), 'magic', 'network.decoder.family: expected object_coordinates'),
    (('network', 'sha256'), '0' * 64, 'which model.onnx hashes to'),
    (('network', 'decoder', 'margin'), None, 'network.decoder.margin: expected a number between 1 and 4'),
    (('detector', 'decoder', 'stride'), 'eight', 'detector.decoder.stride: expected a number'),
    (('object', 'symmetries_discrete'), 'none', 'object.symmetries_discrete: expected a list'),
    (('object', 'symmetries_discrete'), [[1, 2]], 'object.symmetries_discrete: expected rigid 4x4'),
    (('object', 'symmetries_discrete'), [[1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]], 'rigid 4x4'),
    (('score',), {'bias': 1.0}, 'score.heat: expected a number'),
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
    with pytest.raises(ModelCardError, match='hashes to'):
        load_model_card(folder)
    change(folder, 'network', 'sha256', to=sha256_of(folder / 'model.onnx'))
    with pytest.raises(ModelCardError, match=r'model\.onnx: cannot be loaded as an ONNX network'):
        PoseEstimator(load_model_card(folder))


def test_a_card_of_another_input_size_is_refused(folder):
    change(folder, 'network', 'input', 'size', to=[96, 96])
    with pytest.raises(ModelCardError, match=r'the network takes \[1, 3, 128, 128\], the card says'):
        PoseEstimator(load_model_card(folder))


def test_a_network_of_another_output_is_refused(folder):
    card = yaml.safe_load((folder / 'model.yaml').read_text())
    card['network'].update(file=card['detector']['file'], sha256=card['detector']['sha256'])
    card['network']['input'] = card['detector']['input']
    write_card(folder, card)
    with pytest.raises(ModelCardError, match=r'object_coordinates reads an output of \[1, 5, h, w\]'):
        PoseEstimator(load_model_card(folder))


def test_every_refusal_is_bad_input():
    assert issubclass(ModelCardError, BadInput)


def test_a_continuous_symmetry_keeps_its_axis_in_place(folder):
    change(folder, 'object', 'symmetries_continuous', to=[{'axis': [0, 0, 1], 'offset': [0.01, 0, 0]}])
    symmetries = load_model_card(folder).symmetries
    on_axis = np.array([[0.01, 0, 0.3]])
    np.testing.assert_allclose([transform_points(s, on_axis)[0] for s in symmetries],
                               np.repeat(on_axis, len(symmetries), axis=0), atol=1e-9)
    np.testing.assert_array_equal(symmetries[0], np.eye(4))
