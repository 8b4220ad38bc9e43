# SPDX-License-Identifier: Apache-2.0
"""What a network takes is what it is given, and its hash covers every file that it loads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from keypoint_models import onnx, write_constant_network

from posegrasp_ros.estimation.model_card import ModelCardError, load_model_card
from posegrasp_ros.estimation.network import Network
from posegrasp_ros.estimation.network_card import NetworkCard
from posegrasp_ros.estimation.network_trial import try_network
from posegrasp_ros.estimation.onnx_files import OnnxFileError, network_files, network_sha256
from posegrasp_ros.runtime.file_hash import sha256_of
from posegrasp_ros.runtime.resources import resource_path

SIZE = (64, 48)


def network(path, **options) -> Network:
    write_constant_network(path, np.ones((1, 4, 2, 2)), SIZE, **options)
    card = NetworkCard(path, '', 'image', SIZE, 'rgb', np.zeros(3), np.ones(3), 'dope')
    return Network(card, None, threads=1)


@pytest.mark.parametrize('input_type', ['FLOAT', 'FLOAT16', 'DOUBLE'])
def test_floating_point_inputs_of_any_width_are_fed(tmp_path, input_type):
    made = network(tmp_path / 'n.onnx', input_type=input_type)
    output = made.run(made.tensor(np.zeros((48, 64, 3), np.uint8)))
    assert output.dtype == np.float32 and output.shape == (4, 2, 2)


@pytest.mark.parametrize(('options', 'message'), [
    ({'input_type': 'UINT8'}, r'takes tensor\(uint8\): export it with a floating-point input'),
    ({'other_input': True}, 'found image, scale: export it with the others fixed'),
    ({'as_text': True}, r'output output_0: expected a tensor of numbers, the network gives tensor\(string\)'),
])
def test_other_inputs_and_outputs_are_refused_in_one_line(tmp_path, options, message):
    with pytest.raises(ModelCardError, match=message) as refusal:
        network(tmp_path / 'n.onnx', **options)
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize('shape', [(1, 4, 0, 2), (1, 3, 2, 2)])
def test_an_output_that_its_decoder_cannot_read_is_refused(tmp_path, shape):
    """Where the graph leaves its lengths open, only running it tells."""
    write_constant_network(tmp_path / 'n.onnx', np.ones(shape), SIZE, open_shape=True)
    card = NetworkCard(tmp_path / 'n.onnx', '', 'image', SIZE, 'rgb', np.zeros(3), np.ones(3), 'x')
    with pytest.raises(ModelCardError, match=r'reads an output of \[1, 4, h, w\], the network gives'):
        made = Network(card, 4, threads=1)
        made.run(made.tensor(np.zeros((48, 64, 3), np.uint8)))


@pytest.fixture
def parted(tmp_path):
    """The shipped box whose network keeps its weights in two other files, one of them of a nested graph."""
    folder = shutil.copytree(resource_path('models/box'), tmp_path / 'box')
    path = folder / 'model.onnx'
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location='model.onnx.data', size_threshold=0)
    return path


def card_with_hash(folder, found: str) -> None:
    card = (folder / 'model.yaml').read_text()
    (folder / 'model.yaml').write_text(card.replace(sha256_of(resource_path('models/box/model.onnx')), found))


def test_weights_in_another_file_count_in_the_hash(parted):
    assert list(network_files(parted)) == ['model.onnx', 'model.onnx.data']
    card_with_hash(parted.parent, network_sha256(parted))
    load_model_card(parted.parent)
    data = parted.with_name('model.onnx.data')
    content = bytearray(data.read_bytes())
    content[1000] ^= 1
    data.write_bytes(content)
    with pytest.raises(ModelCardError, match='was one changed'):
        load_model_card(parted.parent)


def test_a_single_file_hashes_as_sha256sum_has_it():
    path = resource_path('models/box/model.onnx')
    assert network_sha256(path) == sha256_of(path)


def test_weights_that_are_missing_or_lie_elsewhere_are_refused(parted):
    data = parted.with_name('model.onnx.data')
    elsewhere = data.rename(parted.parent.parent / 'weights')
    with pytest.raises(OnnxFileError, match='no such file'):
        network_files(parted)
    data.symlink_to(elsewhere)
    with pytest.raises(OnnxFileError, match='expected a file in the folder of the network'):
        network_files(parted)


def test_weights_of_nested_graphs_are_found(tmp_path):
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.ones(4, np.float32), 'w')
    onnx.external_data_helper.set_external_data(weights, 'nested.bin')
    inner = helper.make_graph([helper.make_node('Constant', [], ['y'], value=weights)], 'inner', [],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, [4])])
    chosen = helper.make_node('If', ['c'], ['z'], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([chosen], 'outer', [helper.make_tensor_value_info('c', TensorProto.BOOL, [])],
                              [helper.make_tensor_value_info('z', TensorProto.FLOAT, [4])])
    (tmp_path / 'n.onnx').write_bytes(helper.make_model(graph).SerializeToString())
    (tmp_path / 'nested.bin').write_bytes(b'')
    assert list(network_files(tmp_path / 'n.onnx')) == ['n.onnx', 'nested.bin']


def test_a_card_does_not_reach_out_of_its_folder(tmp_path):
    folder = shutil.copytree(resource_path('models/box'), tmp_path / 'box')
    (folder / 'mesh.obj').rename(tmp_path / 'mesh.obj')
    (folder / 'mesh.obj').symlink_to(tmp_path / 'mesh.obj')
    with pytest.raises(ModelCardError, match=r'object\.mesh: expected a file in'):
        load_model_card(folder)
    card = folder / 'model.yaml'
    card.write_text(card.read_text().replace('mesh: mesh.obj', 'mesh: ../mesh.obj'))
    with pytest.raises(ModelCardError, match=r'object\.mesh: expected a file in'):
        load_model_card(folder)


def test_a_folder_of_links_as_colcon_installs_it_is_a_good_one(tmp_path):
    linked = tmp_path / 'share' / 'box'
    linked.mkdir(parents=True)
    for file in resource_path('models/box').iterdir():
        (linked / file.name).symlink_to(file)
    assert load_model_card(linked).name == 'box'


def write_hostile(path, node, outputs: list) -> None:
    from onnx import TensorProto, helper

    graph = helper.make_graph([*node], 'hostile',
                              [helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3, 48, 64])], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def endless(path) -> None:
    """A loop of 2^62 rounds."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name, value):
        return helper.make_node('Constant', [], [name], value=numpy_helper.from_array(np.array(value)))

    body = helper.make_graph(
        [helper.make_node('Identity', ['go_in'], ['go_out']),
         helper.make_node('Add', ['x_in', 'x_in'], ['x_out'])],
        'body', [helper.make_tensor_value_info('i', TensorProto.INT64, []),
                 helper.make_tensor_value_info('go_in', TensorProto.BOOL, []),
                 helper.make_tensor_value_info('x_in', TensorProto.FLOAT, [1, 3, 48, 64])],
        [helper.make_tensor_value_info('go_out', TensorProto.BOOL, []),
         helper.make_tensor_value_info('x_out', TensorProto.FLOAT, [1, 3, 48, 64])])
    write_hostile(path, [constant('n', np.int64(2**62)), constant('go', True),
                         helper.make_node('Loop', ['n', 'go', 'image'], ['out'], body=body)],
                  [helper.make_tensor_value_info('out', TensorProto.FLOAT, None)])


def enormous(path) -> None:
    """An output of 40 GB."""
    from onnx import TensorProto, helper, numpy_helper

    shape = helper.make_node('Constant', [], ['shape'], value=numpy_helper.from_array(np.array([10**10])))
    write_hostile(path, [shape, helper.make_node('ConstantOfShape', ['shape'], ['out'])],
                  [helper.make_tensor_value_info('out', TensorProto.FLOAT, None)])


@pytest.mark.parametrize(('write', 'time_limit_s', 'message'), [
    (endless, 2.0, 'expected a result within 2 s, got none'),
    (enormous, 60.0, 'expected a network that runs within 1 GB')])
def test_a_network_without_an_end_or_beyond_memory_is_refused(tmp_path, write, time_limit_s, message):
    write(tmp_path / 'n.onnx')
    card = NetworkCard(tmp_path / 'n.onnx', '', 'image', SIZE, 'rgb', np.zeros(3), np.ones(3), 'dope')
    with pytest.raises(ModelCardError, match=message) as refusal:
        try_network(card, time_limit_s=time_limit_s)
    assert '\n' not in str(refusal.value)


def test_a_shipped_network_stands_its_trial():
    card = load_model_card(resource_path('models/box'))
    try_network(card.detector)


def test_onnxruntime_is_silent_where_there_is_no_home():
    told = subprocess.run([sys.executable, '-c', 'import posegrasp_ros.estimation.network'], capture_output=True,
                          text=True, env={**os.environ, 'HOME': '/dev/null', 'XDG_CACHE_HOME': '/dev/null'})
    assert (told.returncode, told.stdout + told.stderr) == (0, '')
