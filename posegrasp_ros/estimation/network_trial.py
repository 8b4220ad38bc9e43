"""The first run of a network that nobody knows yet, in a process of its own with limits on time and memory."""

from __future__ import annotations

import subprocess
import sys

from posegrasp_ros.estimation import first_run
from posegrasp_ros.estimation.first_run import MOST_BYTES, NOT_LOADED
from posegrasp_ros.estimation.model_card import ModelCardError, NetworkCard

TIME_LIMIT_S = 15.0


def try_network(card: NetworkCard, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Load a network and run it once on nothing.

    A graph may hold loops without an end and tensors of any size, and nothing but running it tells.

    :raises ModelCardError: when it does not answer in time or within :data:`MOST_BYTES`, or ends the process
    """
    width, height = card.size
    command = [sys.executable, '-m', first_run.__name__, str(card.path), card.input_name, str(width), str(height)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=time_limit_s,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise ModelCardError(f'{card.path}: expected an answer within {time_limit_s:g} s, got none: the network '
                             'may never end; a slow one is given more time with --time-limit') from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f'it ended with {done.returncode}']
        what = 'cannot be loaded as an ONNX network' if done.returncode == NOT_LOADED else (
            f'expected a network that runs within {MOST_BYTES / 1e9:g} GB of memory')
        raise ModelCardError(f'{card.path}: {what}: {lines[-1][:200]}')
