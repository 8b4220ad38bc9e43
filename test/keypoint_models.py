# SPDX-License-Identifier: Apache-2.0
"""Model folders with a network that gives the same output whatever it sees."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from posegrasp_ros.runtime.resources import resource_path

onnx = pytest.importorskip('onnx', reason='networks of one constant are made with onnx')
BOX_CARD = {
    'format': 'posegrasp.model/1', 'name': 'box',
    'object': {'mesh': 'mesh.obj', 'diameter_m': 0.1415, 'symmetries_discrete': [], 'symmetries_continuous': []},
    'mean_pose': {'position_m': [0.0, 0.0, 0.6], 'quaternion_xyzw': [0.0, 0.0, 0.0, 1.0]},
}


def write_constant_network(path: Path, output: np.ndarray | Sequence[np.ndarray], size: tuple[int, int],
                           open_shape: bool = False, input_type: str = 'FLOAT', other_input: bool = False,
                           as_text: bool = False) -> None:
    """An ONNX file that answers (1, 3, height, width) with ``output``, or with several.

    :param open_shape: leave the output's lengths unsaid
    :param input_type: as onnx.TensorProto names it
    :param other_input: have it ask for a second input
    :param as_text: answer with strings
    """
    from onnx import TensorProto, helper, numpy_helper

    outputs = [output] if isinstance(output, np.ndarray) else list(output)
    names = [f'output_{index}' for index in range(len(outputs))]
    inputs = [helper.make_tensor_value_info('image', getattr(TensorProto, input_type), [1, 3, size[1], size[0]])]
    if other_input:
        inputs.append(helper.make_tensor_value_info('scale', TensorProto.FLOAT, [1]))
    output_type = TensorProto.STRING if as_text else TensorProto.FLOAT
    outputs = [each.astype(str).astype(object) if as_text else each.astype(np.float32) for each in outputs]
    graph = helper.make_graph(
        [helper.make_node('Constant', [], [name], value=numpy_helper.from_array(each))
         for name, each in zip(names, outputs)], 'constant', inputs,
        [helper.make_tensor_value_info(name, output_type, [None] * each.ndim if open_shape else each.shape)
         for name, each in zip(names, outputs)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def write_keypoint_model(folder: Path, output: np.ndarray | Sequence[np.ndarray], size: tuple[int, int],
                         decoder: dict, open_shape: bool = False, **sections) -> Path:
    """The shipped box with a hand-written card for such a network; returns the folder."""
    folder.mkdir(exist_ok=True)
    for name in ('mesh.obj', 'mesh.mtl', 'texture.png'):
        shutil.copy(resource_path('models/box') / name, folder / name)
    write_constant_network(folder / 'network.onnx', output, size, open_shape)
    network = {'file': 'network.onnx', 'input': {'name': 'image', 'size': list(size)}, 'decoder': decoder}
    (folder / 'model.yaml').write_text(yaml.safe_dump({**BOX_CARD, 'network': network, **sections}))
    return folder
