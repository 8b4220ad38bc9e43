# SPDX-License-Identifier: Apache-2.0
"""Entry point of the process for a network's trial run; it imports little because each check starts one."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np

MOST_BYTES = 1_000_000_000
"""Memory limit in addition to what the process uses before it loads the network."""
NOT_LOADED = 3
_TYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(double)': np.float64}


def main(path: str, input_name: str, width: str, height: str) -> int:
    """Load the network and run it once; returns 0, or :data:`NOT_LOADED`."""
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
    except Exception as error:  # onnxruntime's classes have no other common base
        if 'bad_alloc' in str(error):  # some versions compute constants while loading
            raise
        print(' '.join(str(error).split()), file=sys.stderr)
        return NOT_LOADED
    inputs = {entry.name: entry for entry in session.get_inputs()}
    # Other errors of the input are reported by Network.
    if list(inputs) == [input_name] and inputs[input_name].type in _TYPES:
        image = np.zeros((1, 3, int(height), int(width)), _TYPES[inputs[input_name].type])
        session.run(None, {input_name: image})
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
