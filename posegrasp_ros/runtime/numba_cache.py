# SPDX-License-Identifier: Apache-2.0
"""``compiled``: decorator for functions that numba compiles on first use, with a persistent on-disk cache.

Numba's own cache is not used: its index of a function's signatures is shared by all processes without a lock (of
two processes that compile at once, one may load the other's code under its own signature), it is keyed by file
time stamps (every install recompiles), and a damaged file or a full disk ends the program. Here each signature has
its own file, written atomically and with a checksum, in a folder named after a hash of all dependencies of the
code. Files that cannot be read are compiled again; if a file cannot be written, the code is not cached.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from numba.core.base import BaseContext
from numba.core.caching import NullCache
from numba.core.codegen import Codegen
from numba.core.compiler import CompileResult
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

LOGGER = logging.getLogger(__name__)
CHECKSUM_BYTES = hashlib.sha256().digest_size


def compiled(function: Callable) -> Callable:
    """Compile a function at its first call with new argument types, unless it is cached already."""
    dispatcher = numba.njit(function)
    if isinstance(dispatcher, Dispatcher):  # NUMBA_DISABLE_JIT leaves the function as it is
        dispatcher._cache = _KeptFunction(function)
    return dispatcher


class KeptCode:
    """Cached compiled signatures of one function, one file each.

    :param folder: cache folder; None disables the cache
    :param name: of the function
    :cvar has_warned: whether it was logged that nothing can be cached; logged once for all functions
    """

    has_warned = False

    def __init__(self, folder: Path | None, name: str):
        self._folder, self._name = folder, name

    def load(self, key: tuple) -> tuple | None:
        """The code saved under a key; None if there is none or its file is damaged."""
        if self._folder is None:
            return None
        path = self._folder / self._file_name(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        checksum, pickled = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
        if hashlib.sha256(pickled).digest() != checksum:
            LOGGER.warning('%s: the file is damaged: compiling again', path)
            return None
        kept_key, code = pickle.loads(pickled)
        return code if kept_key == key else None

    def save(self, key: tuple, code: tuple) -> None:
        """Save compiled code; if that is impossible, warn once and continue."""
        if self._folder is None:
            self._warn('no writable cache folder')
            return
        pickled = dumps((key, code))
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix='.', suffix='.part', delete=False) as file:
                try:
                    file.write(hashlib.sha256(pickled).digest() + pickled)
                    file.close()
                    os.replace(file.name, self._folder / self._file_name(key))
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            self._warn(f'{self._folder}: {error.strerror}')

    def flush(self) -> None:
        """Delete all saved code; numba calls it when a function is recompiled on demand."""
        for path in self._folder.glob(f'{self._name}-*') if self._folder else ():
            path.unlink(missing_ok=True)

    def _file_name(self, key: tuple) -> str:
        return f'{self._name}-{hashlib.sha256(str(key).encode()).hexdigest()[:16]}'

    @classmethod
    def _warn(cls, why: str) -> None:
        if not KeptCode.has_warned:
            KeptCode.has_warned = True
            LOGGER.warning('compiled code is not cached (%s): every start compiles it again, which takes about '
                           'half a minute; expected a writable folder that you own, in HOME or named in '
                           'NUMBA_CACHE_DIR', why)


def cache_folder(environment: dict[str, str] | os._Environ = os.environ) -> Path | None:
    """Folder of the compiled code: below NUMBA_CACHE_DIR, else XDG_CACHE_HOME, else the user's .cache.

    The folder must belong to the current user and be writable by no one else, since code in it is executed.
    Nothing is created in the home of another user, as would happen under sudo.

    :return: None when there is no such folder and none can be created
    """
    stated = environment.get('NUMBA_CACHE_DIR')
    try:
        chosen = Path(stated or environment.get('XDG_CACHE_HOME') or Path('~/.cache').expanduser()).absolute()
        nearest = next(folder for folder in (chosen, *chosen.parents) if folder.exists())
        if not stated and nearest.stat().st_uid != os.geteuid():
            return None
        folder = chosen / 'posegrasp_ros' / _dependencies_hash()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid() or not os.access(folder, os.W_OK | os.X_OK):
            return None
        if stat.S_IMODE(folder.stat().st_mode) & 0o022:
            folder.chmod(0o700)
        return folder
    except (OSError, RuntimeError):  # RuntimeError: neither HOME nor an entry in the user database
        return None


def _dependencies_hash() -> str:
    """Hash of all sources with compiled functions (they call each other across files) and compiler versions."""
    sources = [path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob('*.py'))]
    versions = f'{numba.__version__} {np.__version__} {sys.implementation.cache_tag}'.encode()
    ours = b''.join(source for source in sources if b'@compiled' in source)
    return hashlib.sha256(versions + ours).hexdigest()[:12]


class _KeptFunction(NullCache):
    """Numba's cache interface for one function."""

    def __init__(self, function: Callable):
        self._bytecode = function.__code__.co_code
        self._kept = KeptCode(FOLDER, f'{function.__module__}.{function.__qualname__}')

    def load_overload(self, sig: tuple, target_context: BaseContext) -> CompileResult | None:
        target_context.refresh()
        code = self._kept.load(self._key(sig, target_context.codegen()))
        return None if code is None else CompileResult._rebuild(target_context, *code)

    def save_overload(self, sig: tuple, cres: CompileResult) -> None:
        if not (cres.lifted or cres.library.has_dynamic_globals):
            self._kept.save(self._key(sig, cres.codegen), cres._reduce())

    def flush(self) -> None:
        self._kept.flush()

    def _key(self, sig: tuple, codegen: Codegen) -> tuple:
        """Key from argument types, processor and bytecode."""
        return sig, codegen.magic_tuple(), self._bytecode


FOLDER = cache_folder()
