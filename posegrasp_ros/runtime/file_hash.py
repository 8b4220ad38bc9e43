# SPDX-License-Identifier: Apache-2.0
"""SHA-256 hashes of files, as ``sha256sum`` prints them."""

from __future__ import annotations

import hashlib
from pathlib import Path

BLOCK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Hash of a file of any size, lower-case hex."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_several(hashes: dict[str, str]) -> str:
    """One hash for several files: of the ``sha256sum`` lines (hash and name), sorted by name.

    :param hashes: {name: hash}
    """
    lines = ''.join(f'{hashes[name]}  {name}\n' for name in sorted(hashes))
    return hashlib.sha256(lines.encode(errors='surrogateescape')).hexdigest()
