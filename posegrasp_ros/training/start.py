# SPDX-License-Identifier: Apache-2.0
"""Transfer learning: initialise a network from one trained for another object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from posegrasp_ros.runtime.errors import InvalidInputError


def start_from(network: nn.Module, path: Path, sample: torch.Tensor) -> None:
    """Copy an exported network's convolutions, in place.

    The file contains convolutions with folded batch norms. Each norm is set so that it reproduces the output of
    the file's convolution on ``sample``: it normalises by the sample's statistics, then scales and shifts by them.

    :param path: ONNX file of the same architecture; additional layers keep their random initialisation
    :param sample: (N, 3, H, W) a typical batch of network inputs
    :raises InvalidInputError: when the file has another architecture
    """
    weights = _convolutions(path)
    order = _execution_order(network, sample[:1])
    folded: dict[nn.Module, torch.Tensor] = {}
    for number, ((weight, bias), (convolution, norm)) in enumerate(zip(weights, order)):
        if tuple(weight.shape) != tuple(convolution.weight.shape):
            raise InvalidInputError(
                f'{path}: convolution {number}: expected weights of {tuple(convolution.weight.shape)}, '
                           f'found {tuple(weight.shape)}: it was trained with another version; use --start none')
        convolution.weight.data.copy_(torch.from_numpy(weight.copy()))
        if norm is None:
            convolution.bias.data.copy_(torch.from_numpy(bias.copy()))
        else:
            folded[norm] = torch.from_numpy(bias.copy())
    _undo_folding(network, folded, sample)


def _convolutions(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of an ONNX file's convolutions, in execution order."""
    graph = onnx.load(str(path)).graph
    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type == 'Conv':
            weight = values[node.input[1]]
            bias = values[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight), np.float32)
            found.append((weight, bias))
    return found


def _execution_order(network: nn.Module, sample: torch.Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """The network's convolutions in execution order, each with the norm that follows it."""
    order: list[list] = []

    def on_call(module: nn.Module, *_: object) -> None:
        if isinstance(module, nn.Conv2d):
            order.append([module, None])
        elif isinstance(module, nn.BatchNorm2d):
            order[-1][1] = module

    hooks = [module.register_forward_hook(on_call) for module in network.modules()]
    with torch.no_grad():
        network.eval()(sample)
    for hook in hooks:
        hook.remove()
    return [tuple(entry) for entry in order]


def _undo_folding(network: nn.Module, folded: dict[nn.Module, torch.Tensor], sample: torch.Tensor) -> None:
    """Set each norm so that for ``sample`` it only adds its folded bias."""
    def before_norm(norm: nn.BatchNorm2d, arguments: tuple[torch.Tensor]) -> None:
        mean, variance = arguments[0].mean((0, 2, 3)), arguments[0].var((0, 2, 3), unbiased=False)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.data.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.data.copy_(mean + folded[norm])

    hooks = [norm.register_forward_pre_hook(before_norm) for norm in folded]
    with torch.no_grad():
        network.eval()(sample)
    for hook in hooks:
        hook.remove()
