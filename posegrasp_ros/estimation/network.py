# SPDX-License-Identifier: Apache-2.0
"""Network: onnxruntime session of an ONNX file, checked against its model card."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import onnxruntime

from posegrasp_ros.estimation.model_card import ModelCardError
from posegrasp_ros.estimation.network_card import NetworkCard
from posegrasp_ros.runtime.cpu import usable_cpus

LOG_ERRORS_ONLY = 3
# onnxruntime reports usage to its vendor by default.
onnxruntime.disable_telemetry_events()
# Supported input types: onnxruntime's name -> numpy's.
INPUT_TYPES = {'tensor(float)': 'f4', 'tensor(float16)': 'f2', 'tensor(double)': 'f8'}
OUTPUT_TYPES = {*INPUT_TYPES, 'tensor(bool)', *(f'tensor({sign}int{bits})' for sign in ('', 'u')
                                                for bits in (8, 16, 32, 64))}
PROVIDERS = ('CUDAExecutionProvider', 'CPUExecutionProvider')


def providers() -> list[str]:
    """Execution providers: CUDA where available, and the CPU.

    Other providers of onnxruntime first convert a network, which takes minutes and changes the rounding, so they
    are not used by default.
    """
    return [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]


class Network:
    """Runs one ONNX file on images.

    :param card: network section of the model card
    :param channels: of the output that its decoder reads, [1, channels, h, w]; None when the decoder checks the
        shape
    :param threads: number of CPU threads; None for all cores that this process may use
    :raises ModelCardError: when the file is not an ONNX network, or input or output differ from the card
    """

    def __init__(self, card: NetworkCard, channels: int | None, threads: int | None = None):
        self.card = card
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cpus()
        options.inter_op_num_threads = 1
        options.log_severity_level = LOG_ERRORS_ONLY
        # spinning threads would occupy the cores between images
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self._session = onnxruntime.InferenceSession(
                str(card.path), options, providers=providers())
        except Exception as error:  # onnxruntime's classes have no other common base
            reason = ' '.join(str(error).split())[:200]
            raise ModelCardError(f'{card.path}: cannot be loaded as an ONNX network: {reason}') from error
        self._input_type = self._check_input()
        self._check_output_types()
        self._channels = channels
        self._check_output(next(iter(self.output_shapes.values())))

    def _check_input(self) -> np.dtype:
        """Check the input and return its number type."""
        inputs = {entry.name: entry for entry in self._session.get_inputs()}
        width, height = self.card.size
        if self.card.input_name not in inputs:
            raise ModelCardError(f'{self.card.path}: input.name: expected one of {", ".join(inputs)}, '
                                 f'the card states {self.card.input_name!r}')
        if len(inputs) > 1:
            raise ModelCardError(f'{self.card.path}: expected a network with the image as its only input, '
                                 f'found {", ".join(inputs)}: export it with the others fixed')
        found = inputs[self.card.input_name]
        if found.type not in INPUT_TYPES:
            raise ModelCardError(f'{self.card.path}: input: expected numbers of {" or ".join(INPUT_TYPES)}, the '
                                 f'network takes {found.type}: export it with a floating-point input')
        lengths = zip(found.shape, (1, 3, height, width))
        if len(found.shape) != 4 or any(isinstance(length, int) and length != expected
                                        for length, expected in lengths):
            raise ModelCardError(f'{self.card.path}: input.size: the network takes {found.shape}, the card states '
                                 f'[1, 3, {height}, {width}]')
        return np.dtype(INPUT_TYPES[found.type])

    def _check_output_types(self) -> None:
        for entry in self._session.get_outputs():
            if entry.type not in OUTPUT_TYPES:
                raise ModelCardError(f'{self.card.path}: output {entry.name}: expected a tensor of numbers, the '
                                     f'network gives {entry.type}')

    def _check_output(self, shape: Sequence[int | str | None]) -> None:
        """Check the shape of the decoder's output, as declared (lengths may be open) and as computed."""
        if self._channels is None and 0 not in shape:
            return
        if len(shape) != 4 or 0 in shape or (isinstance(shape[1], int) and shape[1] != self._channels):
            expected = 'an output' if self._channels is None else f'an output of [1, {self._channels}, h, w]'
            raise ModelCardError(f'{self.card.path}: decoder.family: {self.card.family} reads {expected}, the '
                                 f'network gives {list(shape)}')

    def tensor(self, image: np.ndarray) -> np.ndarray:
        """Input tensor (1, 3, H, W) float32 for an image (H, W, 3) uint8 blue green red of the card's size."""
        (height, width), mean = image.shape[:2], (255 * self.card.mean).tolist()
        tensor: np.ndarray = cv2.dnn.blobFromImage(image, 1 / 255, (width, height), mean,
                                                   swapRB=self.card.colour == 'rgb')
        tensor /= self.card.std.reshape(1, 3, 1, 1)
        return tensor

    def run(self, tensor: np.ndarray) -> np.ndarray:
        """The first output, without its batch dimension."""
        return next(iter(self.run_all(tensor).values()))[0]

    def run_all(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Every output by its name, in the graph's order, float32, with batch dimension.

        :raises ModelCardError: when it cannot be run, or its output has another shape than declared
        """
        try:
            outputs = self._session.run(None, {self.card.input_name: tensor.astype(self._input_type, copy=False)})
        except Exception as error:  # as above
            reason = ' '.join(str(error).split())[:200]
            raise ModelCardError(f'{self.card.path}: expected a network that can be run: {reason}') from error
        self._check_output(outputs[0].shape)
        return {name: np.asarray(output, np.float32) for name, output in zip(self.output_shapes, outputs)}

    @property
    def output_shapes(self) -> dict[str, list[int | str | None]]:
        """Declared shapes of the outputs, in the graph's order; a name or None where a length is open."""
        return {entry.name: entry.shape for entry in self._session.get_outputs()}
