"""An ONNX network behind its card: session, input, output."""

from __future__ import annotations

import cv2
import numpy as np
import onnxruntime

from posegrasp_ros.estimation.model_card import ModelCardError, NetworkCard
from posegrasp_ros.processors import usable_cpus

LOG_ERRORS_ONLY = 3
PROVIDERS = ('CUDAExecutionProvider', 'CPUExecutionProvider')


def providers() -> list[str]:
    """What runs networks: CUDA where it is there, else the processor.

    onnxruntime knows others, which convert a network first, for minutes and with other rounding: none is taken
    unasked.
    """
    return [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]


class Network:
    """Runs one ONNX file on images.

    :param card: what the model card says of it
    :param channels: of the output that its decoder reads, [1, channels, h, w]; None when that checks the shape
    :param threads: processor threads; None takes every core that this process may use
    :raises ModelCardError: when the file is no ONNX network, or input or output are not what the card says
    """

    def __init__(self, card: NetworkCard, channels: int | None, threads: int | None = None):
        self.card = card
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cpus()
        options.inter_op_num_threads = 1
        options.log_severity_level = LOG_ERRORS_ONLY
        # threads that spin between images would take the cores from the rest of the robot
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self._session = onnxruntime.InferenceSession(
                str(card.path), options, providers=providers())
        except Exception as error:  # onnxruntime's own classes share no base but Exception
            reason = ' '.join(str(error).split())[:200]
            raise ModelCardError(f'{card.path}: cannot be loaded as an ONNX network: {reason}') from error
        self._check_input()
        if channels is not None:
            self._check_output(channels)

    def _check_input(self) -> None:
        inputs = {entry.name: entry.shape for entry in self._session.get_inputs()}
        width, height = self.card.size
        if self.card.input_name not in inputs:
            raise ModelCardError(f'{self.card.path}: input.name: expected one of {", ".join(inputs)}, '
                                 f'the card says {self.card.input_name!r}')
        for found, expected in zip(inputs[self.card.input_name], (1, 3, height, width)):
            if isinstance(found, int) and found != expected:
                raise ModelCardError(f'{self.card.path}: input.size: the network takes '
                                     f'{inputs[self.card.input_name]}, the card says [1, 3, {height}, {width}]')

    def _check_output(self, channels: int) -> None:
        shape = self._session.get_outputs()[0].shape
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != channels):
            raise ModelCardError(f'{self.card.path}: decoder.family: {self.card.family} reads an output of '
                                 f'[1, {channels}, h, w], the network gives {shape}')

    def tensor(self, image: np.ndarray) -> np.ndarray:
        """The input (1, 3, H, W) float32 for an image (H, W, 3) uint8 blue green red of the card's size."""
        tensor = cv2.dnn.blobFromImage(image, 1 / 255, image.shape[1::-1], 255 * self.card.mean,
                                       swapRB=self.card.colour == 'rgb')
        tensor /= self.card.std.reshape(1, 3, 1, 1)
        return tensor

    def run(self, tensor: np.ndarray) -> np.ndarray:
        """The first output, without its batch dimension."""
        return next(iter(self.run_all(tensor).values()))[0]

    def run_all(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Every output by its name, in the graph's order, batch dimensions and all."""
        return dict(zip(self.output_shapes, self._session.run(None, {self.card.input_name: tensor})))

    @property
    def output_shapes(self) -> dict[str, list[int | str | None]]:
        """What the graph says of its outputs, in its order; a name or None where a length is left open."""
        return {entry.name: entry.shape for entry in self._session.get_outputs()}
