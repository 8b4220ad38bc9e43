"""``compiled``: functions that numba compiles at their first use on a machine and keeps.

Numba takes a kept function for current as long as its own file is unchanged, also when one that it calls has
changed in another file. So what is kept lies in a folder that is named after all of our compiled sources.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numba


def _sources_hash() -> str:
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob('*.py'))]
    return hashlib.sha256(b''.join(source for source in sources if b'@compiled' in source)).hexdigest()[:12]


def _cache_folder() -> Path:
    """Under NUMBA_CACHE_DIR or the user's cache folder; where neither can be written, a temporary one."""
    chosen = os.environ.get('NUMBA_CACHE_DIR') or os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    folder = Path(chosen) / 'posegrasp_ros' / _sources_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass  # what is left is to compile for this process alone
    return Path(tempfile.mkdtemp(prefix='posegrasp_ros-'))


numba.config.CACHE_DIR = str(_cache_folder())
compiled = numba.njit(cache=True)
