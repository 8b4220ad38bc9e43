# SPDX-License-Identifier: Apache-2.0
"""Compiled code is kept, shared and thrown away; it is never a reason to stop."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from posegrasp_ros.runtime import numba_cache as module
from posegrasp_ros.runtime.numba_cache import KeptCode, cache_folder, compiled


def twice(number):
    return 2 * number


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder for compiled code."""
    monkeypatch.setattr(KeptCode, 'has_warned', False)
    monkeypatch.setattr(module, 'FOLDER', tmp_path)
    return tmp_path


def is_from_cache() -> bool:
    """Whether the function, decorated anew, is loaded; its value must be right anyhow."""
    function = compiled(twice)
    assert function(21) == 42
    return bool(function.stats.cache_hits)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk does to whoever writes, for a moment."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_compiled_is_loaded_the_next_time(folder):
    assert [is_from_cache(), is_from_cache()] == [False, True]


@pytest.mark.parametrize('damage', [
    lambda content: b'', lambda content: content[:-1], lambda content: content[:len(content) // 2],
    lambda content: content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
], ids=['empty', 'short', 'half', 'bit'])
def test_a_damaged_file_is_compiled_again_and_replaced(folder, damage):
    is_from_cache()
    [path] = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert [is_from_cache(), is_from_cache()] == [False, True]
    assert len(path.read_bytes()) == len(whole)


def test_a_full_disk_is_said_once_and_leaves_nothing(folder, caplog):
    with files_no_larger_than(100):
        assert not is_from_cache() and not is_from_cache()
    assert [record.getMessage() for record in caplog.records] == [
        f'compiled code is not cached ({folder}: File too large): every start compiles it again, which takes '
        'about half a minute; expected a writable folder that you own, in HOME or named in NUMBA_CACHE_DIR']
    assert list(folder.iterdir()) == []


def test_without_a_folder_nothing_is_kept_anywhere(folder, monkeypatch, caplog):
    monkeypatch.setattr(module, 'FOLDER', None)
    monkeypatch.setattr(tempfile, 'tempdir', str(folder))
    assert not is_from_cache() and not is_from_cache()
    assert 'no writable cache folder' in caplog.text
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_two_processes_that_compile_at_once_keep_both_signatures(tmp_path):
    (tmp_path / 'ours.py').write_text('from posegrasp_ros.runtime.numba_cache import compiled\n\n\n'
                                      '@compiled\ndef half(number):\n    return number / 2\n')
    code = 'import sys, ours; print(ours.half(eval(sys.argv[1])), sum(ours.half.stats.cache_hits.values()))'

    def start(argument: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, '-c', code, argument], stdout=subprocess.PIPE, text=True,
                                env={**os.environ, 'NUMBA_CACHE_DIR': str(tmp_path / 'cache'),
                                     'PYTHONPATH': f'{tmp_path}:{os.environ.get("PYTHONPATH", "")}'})

    for loaded in (0, 1):
        processes = [start(argument) for argument in ('3', '3.5')]
        assert [process.communicate()[0].split() for process in processes] == [
            ['1.5', str(loaded)], ['1.75', str(loaded)]]


def test_the_folder_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.delenv('NUMBA_CACHE_DIR', raising=False)
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setattr(os, 'geteuid', lambda: tmp_path.stat().st_uid + 1)
    assert cache_folder() is None and list(tmp_path.iterdir()) == [], 'nothing is made in the home of another user'
    monkeypatch.undo()
    monkeypatch.setenv('HOME', str(tmp_path))
    own = cache_folder({})
    assert own.parent == tmp_path / '.cache/posegrasp_ros'
    own.chmod(0o777)
    assert cache_folder({}) == own and own.stat().st_mode & 0o022 == 0


def test_a_stated_folder_that_cannot_be_is_none(tmp_path):
    (tmp_path / 'file').write_text('in the way')
    assert cache_folder({'NUMBA_CACHE_DIR': str(tmp_path / 'file')}) is None


def test_a_user_without_a_home_has_no_folder(monkeypatch):
    monkeypatch.delenv('HOME')
    monkeypatch.setattr('pwd.getpwuid', lambda uid: (_ for _ in ()).throw(KeyError(uid)))
    assert cache_folder({}) is None
