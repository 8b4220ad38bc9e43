"""The process in which a network runs for the first time; it imports little, for each check starts one."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np

MOST_BYTES = 1_000_000_000
"""Beyond what the process takes before it loads the network."""
NOT_LOADED = 3
_TYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16, 'tensor(double)': np.float64}


def main(path: str, input_name: str, width: str, height: str) -> int:
    """Load, run once; the exit code says whether that went well."""
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
        if 'bad_alloc' in str(error):  # versions that compute constants while they load
            raise
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
