# SPDX-License-Identifier: Apache-2.0
"""Detection of damaged STL and OBJ files that trimesh would misread or report with a misleading error."""

from __future__ import annotations

import re
from pathlib import Path

STL_HEADER_BYTES, STL_TRIANGLE_BYTES = 84, 50
FACES = re.compile(rb'^[ \t]*f[ \t]([^#\r\n]*)', re.MULTILINE)
WHOLE_NUMBER = re.compile(rb'-?[0-9]{1,40}')
# What the indices of an OBJ face corner such as 7/3/1 refer to, in this order; normals are not used.
NUMBERED = {'vertex': b'v', 'texture coordinate': b'vt'}


def check_undamaged(path: Path, content: bytes) -> None:
    """Check the format's own consistency: lengths in STL, indices in OBJ.

    :raises ValueError: naming what was found and what was expected
    """
    suffix = path.suffix.lower()
    if suffix == '.stl' and is_no_binary_stl(content) and b'facet' not in content.lower():
        _refuse_stl(content)
    if suffix == '.obj':
        _check_obj(content)


def is_no_binary_stl(content: bytes) -> bool:
    """Whether the length differs from the one that a binary STL header states."""
    return len(content) != STL_HEADER_BYTES + STL_TRIANGLE_BYTES * _stl_triangles(content)


def _stl_triangles(content: bytes) -> int:
    return int.from_bytes(content[80:84], 'little')


def _refuse_stl(content: bytes) -> None:
    if len(content) < STL_HEADER_BYTES:
        raise ValueError(f'expected an STL file, of text or with a binary header of {STL_HEADER_BYTES} bytes, '
                         f'found {len(content)} bytes')
    triangles = _stl_triangles(content)
    raise ValueError(f'expected {STL_HEADER_BYTES + STL_TRIANGLE_BYTES * triangles} bytes for the {triangles} '
                     f'triangles that its binary header states, found {len(content)}; export it again')


def _check_obj(content: bytes) -> None:
    """Check that faces refer to existing elements, numbered from 1, or from -1 backwards."""
    counts = [len(re.findall(rb'^[ \t]*%s[ \t]' % keyword, content, re.MULTILINE))
              for keyword in NUMBERED.values()]
    for corner in set(b' '.join(FACES.findall(content)).split()):
        for what, count, text in zip(NUMBERED, counts, corner.split(b'/')):
            if WHOLE_NUMBER.fullmatch(text) and not 1 <= abs(int(text)) <= count:
                start = next(face.start() for face in FACES.finditer(content) if corner in face[1].split())
                line = content.count(b'\n', 0, start) + 1
                raise ValueError(f'line {line}: a face names {what} {int(text)}; expected 1 to {count}, as many '
                                 'as the file has')
