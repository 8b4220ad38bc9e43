# SPDX-License-Identifier: Apache-2.0
"""Trial run of an unknown network in a separate process with limits on time and memory."""

from __future__ import annotations

import subprocess
import sys

from posegrasp_ros.estimation import first_run
from posegrasp_ros.estimation.first_run import MOST_BYTES, NOT_LOADED
from posegrasp_ros.estimation.model_card import ModelCardError
from posegrasp_ros.estimation.network_card import NetworkCard

TIME_LIMIT_S = 15.0


def try_network(card: NetworkCard, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Load a network and run it once on a black image.

    A graph may contain endless loops and tensors of any size, which only shows when it runs.

    :raises ModelCardError: when it exceeds the time limit or :data:`MOST_BYTES`, or ends the process
    """
    width, height = card.size
    command = [sys.executable, '-m', first_run.__name__, str(card.path), card.input_name, str(width), str(height)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=time_limit_s,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise ModelCardError(f'{card.path}: expected a result within {time_limit_s:g} s, got none: the network '
                             'may never finish; for a slow one set a larger --time-limit') from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f'the process ended with exit code {done.returncode}']
        what = 'cannot be loaded as an ONNX network' if done.returncode == NOT_LOADED else (
            f'expected a network that runs within {MOST_BYTES / 1e9:g} GB of memory')
        raise ModelCardError(f'{card.path}: {what}: {lines[-1][:200]}')
