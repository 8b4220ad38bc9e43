# SPDX-License-Identifier: Apache-2.0
"""NetworkCard: one network as the model card describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class NetworkCard:
    """One ONNX file and how to feed it.

    :param path: the file
    :param sha256: its hash, lower-case hex
    :param input_name: the graph's input
    :param size: (width, height) of the input, pixels
    :param colour: channel order the network was trained on, ``rgb`` or ``bgr``
    :param mean: (3,) subtracted after scaling to [0, 1], in the order of ``colour``
    :param std: (3,) divided by
    :param family: how the outputs are read
    :param parameters: the decoder family's own, of its class of :class:`DecoderParameters`
    :param is_pinned: whether the card states the hash, so that a changed file is noticed
    """

    path: Path
    sha256: str
    input_name: str
    size: tuple[int, int]
    colour: str
    mean: np.ndarray
    std: np.ndarray
    family: str
    parameters: Any = None
    is_pinned: bool = True
