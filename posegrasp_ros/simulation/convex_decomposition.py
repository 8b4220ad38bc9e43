# SPDX-License-Identifier: Apache-2.0
"""Convex pieces of a closed solid, by CoACD in a process of its own; kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import trimesh

LOGGER = logging.getLogger(__name__)
# Options of CoACD (Wei et al., "Approximate convex decomposition", SIGGRAPH 2022): a mug is at most places 1.3 mm
# too thick after 10 s; the default options take two minutes for the same result.
COACD_OPTIONS = {'threshold': 0.04, 'mcts_iterations': 20, 'mcts_nodes': 10, 'mcts_max_depth': 2,
                 'resolution': 500, 'decimate': True, 'max_ch_vertex': 64, 'seed': 1}
# A mug of 748 triangles takes 5 s, one of 12000 37 s. Processor time is limited, so that the result does not
# depend on what else runs; the limit on the other is for one that waits for ever.
CPU_S, WALL_S, MEMORY_BYTES = 120, 900, 6 << 30
CONVEX_SHARE = 0.999  # of its hull that a body fills which needs no decomposition
STAND_IN = 'stand_in_for'  # name in the cache file that says why the hull stands in


@lru_cache(maxsize=16)
def convex_parts(solid: trimesh.Trimesh) -> tuple[trimesh.Trimesh, ...]:
    """Convex pieces of a closed mesh, body by body; the hull of a body where CoACD fails, which is logged."""
    bodies = touchable_bodies(solid)
    return tuple(piece for body in bodies for piece in _pieces(body, may_be_convex=len(bodies) > 1))


def touchable_bodies(solid: trimesh.Trimesh) -> Sequence[trimesh.Trimesh]:
    """The separate bodies of a closed mesh without the hollows inside, which nothing touches."""
    if solid.body_count == 1:
        return [solid]
    return [body for body in solid.split(only_watertight=False) if body.volume > 0]


def _pieces(body: trimesh.Trimesh, may_be_convex: bool) -> list[trimesh.Trimesh]:
    if may_be_convex and body.volume > CONVEX_SHARE * body.convex_hull.volume:
        return [body.convex_hull]
    path = cache_path(body)
    if not path.is_file():
        LOGGER.warning('decomposing a hollow mesh with %d faces into convex pieces, once; cached in %s',
                       len(body.faces), path)
        arrays = _decompose(body)
        _keep(path, arrays)
    else:
        with np.load(path) as kept:
            arrays = dict(kept)
    problem = arrays.pop(STAND_IN, None)
    if problem is not None:
        hull = body.convex_hull
        size = ' x '.join(f'{1000 * side:.0f}' for side in body.extents)
        LOGGER.warning('contacts of a body of %s mm: its convex hull stands in for it, which has %.1f times its '
                       'volume: %s; remove %s to try again', size, hull.volume / body.volume, problem, path)
        return [hull]
    return [trimesh.convex.convex_hull(vertices) for vertices in arrays.values()]


def _decompose(body: trimesh.Trimesh) -> dict[str, np.ndarray]:
    """Vertices of the pieces, or why there are none.

    :raises ModuleNotFoundError: when CoACD is not installed
    """
    if importlib.util.find_spec('coacd') is None:
        raise ModuleNotFoundError("No module named 'coacd'", name='coacd')
    mesh = io.BytesIO()
    np.savez(mesh, vertices=np.asarray(body.vertices), faces=np.asarray(body.faces))
    # CoACD's own repair leaves a closed mesh as it is.
    command = [sys.executable, '-m', 'posegrasp_ros.simulation.coacd_process',
               json.dumps({'preprocess_mode': 'auto', **COACD_OPTIONS}), str(CPU_S), str(MEMORY_BYTES)]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(command, input=mesh.getvalue(), capture_output=True, timeout=WALL_S, env=environment)
    except subprocess.TimeoutExpired:
        return {STAND_IN: np.array(f'CoACD did not end in {WALL_S} s')}
    if done.returncode:
        return {STAND_IN: np.array(_why(done.returncode, done.stderr.decode(errors='replace')))}
    with np.load(io.BytesIO(done.stdout)) as found:
        pieces = dict(found)
    return pieces or {STAND_IN: np.array('CoACD found no pieces')}


def _why(code: int, printed: str) -> str:
    """What ended the process, in words."""
    if code == -signal.SIGXCPU:
        return f'CoACD took more than {CPU_S} s of processor time'
    if any(sign in printed for sign in ('MemoryError', 'bad_alloc', 'failed to map segment')):
        return f'CoACD took more than {MEMORY_BYTES / 2**30:.0f} GiB of memory'
    if code < 0:
        return f'CoACD crashed ({signal.Signals(-code).name})'
    return f'CoACD failed: {(printed.strip().splitlines() or ["no message"])[-1]}'


def cache_path(solid: trimesh.Trimesh) -> Path:
    """Where the pieces of a mesh are kept."""
    content = hashlib.sha256(np.ascontiguousarray(solid.vertices, dtype='<f8').tobytes()
                             + np.ascontiguousarray(solid.faces, dtype='<i8').tobytes()
                             + repr(COACD_OPTIONS).encode())
    folder = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return folder / 'posegrasp_ros' / f'convex-{content.hexdigest()[:24]}.npz'


def _keep(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a temporary file, then rename it, so that concurrent processes never see a partial file."""
    partial = path.with_name(f'.{os.getpid()}-{path.name}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open('wb') as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        partial.replace(path)
    except OSError as error:
        LOGGER.warning('%s: cannot be written, the decomposition is not cached: %s', path, error)
