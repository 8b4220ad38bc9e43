"""The hash of a file, as ``sha256sum`` prints it."""

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
    """One hash of many files: that of their hashes and names, sorted by name, as ``sha256sum`` prints them.

    :param hashes: {name: hash}
    """
    lines = ''.join(f'{hashes[name]}  {name}\n' for name in sorted(hashes))
    return hashlib.sha256(lines.encode(errors='surrogateescape')).hexdigest()
