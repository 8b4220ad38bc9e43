# SPDX-License-Identifier: Apache-2.0
"""Which files a recording consists of, in their order; packed ones are unpacked to a temporary folder."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path, PurePath

import zstandard

from posegrasp_ros.datasets.storage.mcap_file import McapFile
from posegrasp_ros.datasets.storage.recorded_file import ZSTD_MAGIC, BagError, RecordedFile, Warn
from posegrasp_ros.datasets.storage.ros1_file import Ros1File
from posegrasp_ros.datasets.storage.sqlite_file import SqliteFile
from posegrasp_ros.runtime.data_files import read_yaml

READERS: dict[str, Callable[[Path, Warn], RecordedFile]] = {
    '.mcap': McapFile, '.db3': SqliteFile, '.bag': Ros1File}
PACKED_SUFFIXES = ('.zstd', '.zst')
EXPECTED = 'a rosbag2 folder, or an .mcap, .db3 (also .zstd) or .bag file'
METADATA_NAME = 'metadata.yaml'
_BLOCK_BYTES = 1 << 20
# What unpacks to more than so many bytes, and to so many times its own, is no recording.
UNSUSPICIOUS_BYTES, MOST_TIMES = 1 << 30, 100


def open_files(path: Path, warn: Warn) -> list[RecordedFile]:
    """The files of a recording; one that is damaged beyond reading is left out, aloud, where there are others.

    :param warn: called with one line for each problem found
    :raises BagError: when there is none, or none can be read
    """
    if not path.exists():
        raise BagError(f'{path}: no such bag; expected {EXPECTED}')
    files = _of_folder(path, warn) if path.is_dir() else [path]
    opened, errors = [], []
    for file in files:
        try:
            opened.append(_open(file, warn))
        except BagError as error:
            errors.append(error)
    if not opened:
        raise errors[0]
    for left_out in errors:
        warn(f'{left_out}; it is left out')
    return opened


def _open(path: Path, warn: Warn) -> RecordedFile:
    suffix = Path(path.stem).suffix if path.suffix in PACKED_SUFFIXES else path.suffix
    if suffix not in READERS or not path.is_file():
        raise BagError(f'{path}: not a bag; expected {EXPECTED}')
    if path.suffix not in PACKED_SUFFIXES:
        return READERS[suffix](path, warn)
    folder = tempfile.TemporaryDirectory(prefix='posegrasp-')
    unpacked = Path(folder.name) / path.stem
    _unpack(path, unpacked)
    try:
        reader = READERS[suffix](unpacked, lambda line: warn(line.replace(str(unpacked), str(path))))
    except BagError as error:
        raise BagError(str(error).replace(str(unpacked), str(path))) from error
    weakref.finalize(reader, folder.cleanup)  # the folder lasts as long as its reader
    return reader


def _unpack(path: Path, unpacked: Path) -> None:
    """Unpack a file; one that is cut off up to its cut.

    :raises BagError: when it is not packed, or larger than what is free on the disk
    """
    most = shutil.disk_usage(unpacked.parent).free // 2
    with path.open('rb') as file, unpacked.open('wb') as out:
        start = file.read(len(ZSTD_MAGIC))
        if start != ZSTD_MAGIC:
            raise BagError(f'{path}: not a bag: expected a file packed by zstd, got one that begins with '
                           f'{start.hex(" ") or "nothing"}')
        file.seek(0)
        with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
            try:
                while block := stream.read(_BLOCK_BYTES):
                    if out.tell() > max(UNSUSPICIOUS_BYTES, MOST_TIMES * file.tell()):
                        raise BagError(f'{path}: not a bag: expected a packed recording, got what unpacks to more '
                                       f'than {MOST_TIMES} times its size')
                    if out.tell() + len(block) > most:
                        raise BagError(f'{path}: expected at most {most / 1e6:.0f} MB once it is unpacked, half '
                                       f'of what is free in {unpacked.parent.parent}, got more; set TMPDIR')
                    out.write(block)
            except zstandard.ZstdError:
                pass  # damaged; the reader of what was unpacked says so


def _of_folder(path: Path, warn: Warn) -> list[Path]:
    """The files of a folder: those that its metadata names, else all; ``_2`` comes before ``_10``."""
    there = sorted((file for file in path.iterdir()
                    if file.suffix in READERS or (file.suffix in PACKED_SUFFIXES
                                                  and Path(file.stem).suffix in READERS)), key=_natural)
    if not there:
        raise BagError(f'{path}: not a bag; expected {EXPECTED}, found a folder without any such file')
    named = _named_in_metadata(path / METADATA_NAME, warn)
    if not named:
        return there
    files = [path / name for name in named if path / name in there]
    if missing := [name for name in named if path / name not in there]:
        warn(f'{path}: {METADATA_NAME}: lists {", ".join(missing[:5])}{" ..." * (len(missing) > 5)}, not found; '
             'the others are read')
    return files or there


def _named_in_metadata(path: Path, warn: Warn) -> list[str]:
    """Names of the files that rosbag2's metadata lists; what else it says, the files themselves say better."""
    if not path.is_file():
        warn(f'{path}: no such file: the recording was cut off; the folder\'s files are read as they are')
        return []
    try:
        names = read_yaml(path, BagError)['rosbag2_bagfile_information']['relative_file_paths']
        return [PurePath(name).name for name in names]
    except (BagError, LookupError, TypeError) as error:
        reason = str(error) if isinstance(error, BagError) else 'expected the field relative_file_paths'
        warn(f'{path}: the folder\'s files are read as they are, for it cannot be read: '
             f'{reason.removeprefix(f"{path}: ")}')
        return []


def _natural(file: Path) -> list[tuple[int, str]]:
    return [(int(part[:18]), '') if part.isascii() and part.isdigit() else (-1, part)
            for part in re.split(r'(\d+)', file.name)]
