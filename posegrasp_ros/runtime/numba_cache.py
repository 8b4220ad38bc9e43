"""``compiled``: functions that numba compiles at their first use on a machine, and that are kept.

Numba can keep them itself, but its index of a function's signatures is shared by all processes without a lock (of
two that compile at once, one may find the other's code under its own signature), goes by the time stamps of
files (every install compiles anew), and a damaged file or a full disk ends the program. Here each signature has a
file of its own, written whole or not at all, with a checksum, in a folder named after all that the code depends
on. What cannot be read is compiled again; what cannot be written is done without.
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
    """Compile a function at its first call with arguments of new types, unless that is kept already."""
    dispatcher = numba.njit(function)
    if isinstance(dispatcher, Dispatcher):  # NUMBA_DISABLE_JIT leaves the function as it is
        dispatcher._cache = _KeptFunction(function)
    return dispatcher


class KeptCode:
    """The compiled signatures of one function, a file each.

    :param folder: where they are kept; None keeps nothing
    :param name: of the function
    :cvar has_warned: that nothing can be kept; once is enough for all functions
    """

    has_warned = False

    def __init__(self, folder: Path | None, name: str):
        self._folder, self._name = folder, name

    def load(self, key: tuple) -> tuple | None:
        """What was saved under a key; None where nothing was, or where it is damaged."""
        if self._folder is None:
            return None
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        checksum, pickled = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
        if hashlib.sha256(pickled).digest() != checksum:
            LOGGER.warning('%s: damaged: compiled again', path)
            return None
        kept_key, code = pickle.loads(pickled)
        return code if kept_key == key else None

    def save(self, key: tuple, code: tuple) -> None:
        """Keep what was compiled; where that cannot be, say so once and go on."""
        if self._folder is None:
            self._warn('no folder for it can be written')
            return
        pickled = dumps((key, code))
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix='.', suffix='.part', delete=False) as file:
                try:
                    file.write(hashlib.sha256(pickled).digest() + pickled)
                    file.close()
                    os.replace(file.name, self._path(key))
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            self._warn(f'{self._folder}: {error.strerror}')

    def flush(self) -> None:
        """Forget all; numba calls it where a function is compiled again on demand."""
        for path in self._folder.glob(f'{self._name}-*') if self._folder else ():
            path.unlink(missing_ok=True)

    def _path(self, key: tuple) -> Path:
        return self._folder / f'{self._name}-{hashlib.sha256(str(key).encode()).hexdigest()[:16]}'

    @classmethod
    def _warn(cls, why: str) -> None:
        if not KeptCode.has_warned:
            KeptCode.has_warned = True
            LOGGER.warning('compiled code is not kept (%s): every start compiles it again, for about half a '
                           'minute; expected a folder of your own that can be written, in HOME or named in '
                           'NUMBA_CACHE_DIR', why)


def cache_folder(environment: dict[str, str] | os._Environ = os.environ) -> Path | None:
    """Where compiled code is kept: below NUMBA_CACHE_DIR, else XDG_CACHE_HOME, else the user's .cache.

    Code of a folder that others can write to would be theirs, run as us: it must be our own. Neither is anything
    made in another user's home, as sudo would do.

    :return: None when there is no such folder and none can be made
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
    """Of our compiled sources, for one calls the other across files, and of what compiles them."""
    sources = [path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob('*.py'))]
    versions = f'{numba.__version__} {np.__version__} {sys.implementation.cache_tag}'.encode()
    ours = b''.join(source for source in sources if b'@compiled' in source)
    return hashlib.sha256(versions + ours).hexdigest()[:12]


class _KeptFunction(NullCache):
    """What numba asks for the compiled signatures of one function."""

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
        """The types of the arguments, the processor, and what is compiled."""
        return sig, codegen.magic_tuple(), self._bytecode


FOLDER = cache_folder()
