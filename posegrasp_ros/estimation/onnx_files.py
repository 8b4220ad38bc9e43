# SPDX-License-Identifier: Apache-2.0
"""Files of an ONNX network: the model and its external weight files.

Large exports store tensors next to the model, in ``model.onnx.data``. Other weights make another network, so the
hash in a model card covers them too. The protocol buffer is parsed directly to avoid a dependency on the package
``onnx``; the field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.file_hash import sha256_of, sha256_of_several

# Message -> {field: submessage}, for all submessages that can contain tensors.
_FIELDS: dict[str, dict[int, str]] = {
    'model': {7: 'graph', 20: 'training', 25: 'function'},
    'training': {1: 'graph', 2: 'graph'},
    'function': {7: 'node', 11: 'attribute'},
    'graph': {1: 'node', 5: 'tensor', 15: 'sparse'},
    'node': {5: 'attribute'},
    'attribute': {5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse'},
    'sparse': {1: 'tensor', 2: 'tensor'},
    'tensor': {13: 'entry'},
}
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
MOST_DEPTH = 60


class OnnxFileError(InvalidInputError):
    """A network with missing or misplaced weight files."""


def is_beside(known: Path, path: Path) -> bool:
    """Whether a path is in the folder of a known file, or in the folder of the file that this one links to.

    The latter is needed for ``colcon build --symlink-install``, which installs a link for each file of a folder.
    """
    folders = known.parent.resolve(), known.resolve().parent
    return any(path.resolve().is_relative_to(folder) for folder in folders)


def network_files(path: Path) -> dict[str, Path]:
    """The model and its external weight files, by name; all of them must be in the model's folder.

    :raises OnnxFileError: when one is missing, or in another folder
    """
    try:
        names = sorted(set(_locations(memoryview(path.read_bytes()), 'model')))
    except (IndexError, ValueError):
        names = []  # not a network: onnxruntime refuses it and loads no other file
    files = {path.name: path}
    for name in names:
        if not is_beside(path, path.parent / name):
            raise OnnxFileError(f'{path}: external weights {name!r}: expected a file in the folder of the network')
        files[name] = path.parent / name
        if not files[name].is_file():
            raise OnnxFileError(f'{path}: external weights {name!r}: no such file')
    return files


def network_sha256(path: Path) -> str:
    """Hash of all files that a network loads, lower-case hex: of the single file, else one of them all.

    :raises OnnxFileError: see :func:`network_files`
    """
    hashes = {name: sha256_of(file) for name, file in network_files(path).items()}
    return hashes[path.name] if len(hashes) == 1 else sha256_of_several(hashes)


def _locations(data: memoryview, message: str, depth: int = 0) -> Iterator[str]:
    """File names of all external tensors in a message."""
    if depth > MOST_DEPTH:
        raise ValueError('nested too deep')
    inner = _FIELDS[message]
    for number, content in _submessages(data):
        kind = inner.get(number)
        if kind == 'entry':
            entry = {key: bytes(value) for key, value in _submessages(content)}
            if entry.get(_KEY) == b'location':
                yield entry.get(_VALUE, b'').decode()
        elif kind:
            yield from _locations(content, kind, depth + 1)


def _submessages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The length-delimited fields of a message: (number, content)."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == _BYTES:
            length, place = _varint(data, place)
            if place + length > len(data):
                raise ValueError('a field is longer than its message')
            yield number, data[place:place + length]
            place += length
        elif wire == _VARINT:
            _, place = _varint(data, place)
        elif wire in (_FIXED64, _FIXED32):
            place += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f'no such wire type: {wire}')


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """Decode a varint; returns it with the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        value, place = value | (byte & 0x7F) << shift, place + 1
        if byte < 0x80:
            return value, place
    raise ValueError('a varint is too long')
