# SPDX-License-Identifier: Apache-2.0
"""CoACD in a process of its own, for meshes on which it crashes, takes all memory or does not end.

    python -m posegrasp_ros.simulation.coacd_process OPTIONS CPU_SECONDS MEMORY_BYTES < MESH > PIECES

OPTIONS are JSON; MESH is an .npz of ``vertices`` and ``faces``, PIECES one of the vertices of each piece.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys

import numpy as np


def main(options: str, cpu_s: str, memory_bytes: str) -> None:
    """Decompose the mesh on standard input."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s), int(cpu_s) + 5))  # a signal of its own, then SIGKILL
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(sys.stdout.fileno()), 'wb') as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # CoACD prints
        import coacd

        coacd.set_log_level('error')
        with np.load(io.BytesIO(sys.stdin.buffer.read())) as mesh:
            found = coacd.run_coacd(coacd.Mesh(mesh['vertices'], mesh['faces']), **json.loads(options))
        np.savez(answer, **{f'piece_{index:03d}': vertices for index, (vertices, _) in enumerate(found)})


if __name__ == '__main__':
    main(*sys.argv[1:])
