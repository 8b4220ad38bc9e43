"""The first run of a network that nobody knows yet, in a process of its own with limits on time and memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

from posegrasp_ros.estimation.model_card import ModelCardError, NetworkCard

TIME_LIMIT_S = 15.0
MOST_BYTES = 1_000_000_000
"""Beyond what the process takes before it loads the network."""
NOT_LOADED = 3
_TYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(double)': np.float64}


def try_network(card: NetworkCard, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Load a network and run it once on nothing.

    A graph may hold loops without an end and tensors of any size, and nothing but running it tells.

    :raises ModelCardError: when it does not answer in time or within :data:`MOST_BYTES`, or ends the process
    """
    width, height = card.size
    command = [sys.executable, '-m', __name__, str(card.path), card.input_name, str(width), str(height)]
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


def main(path: str, input_name: str, width: str, height: str) -> int:
    """In the child: load, run once; the exit code says whether that went well."""
    import onnxruntime

    with Path('/proc/self/status').open(encoding='ascii') as status:
        used = next(int(line.split()[1]) * 1024 for line in status if line.startswith('VmData'))
    resource.setrlimit(resource.RLIMIT_DATA, (used + MOST_BYTES, used + MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # onnxruntime's own classes share no base but Exception
        print(' '.join(str(error).split()), file=sys.stderr)
        return NOT_LOADED
    inputs = {entry.name: entry for entry in session.get_inputs()}
    # What else may be wrong with the input, the network's own check tells.
    if list(inputs) == [input_name] and inputs[input_name].type in _TYPES:
        image = np.zeros((1, 3, int(height), int(width)), _TYPES[inputs[input_name].type])
        session.run(None, {input_name: image})
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
