# SPDX-License-Identifier: Apache-2.0
"""Values that a path states, such as ``robot=r7/day=2026-01-31``: columns of frames, and folders of results."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

MODEL, DATE = 'model', 'date'
DATES = ('date', 'day')
"""Names whose value in a recording's path is its date."""
_PAIR = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)=(.*)')


def partition_values(url: str) -> dict[str, str]:
    """{name: value} of the folders ``name=value`` in a path; the innermost counts."""
    pairs = (_PAIR.fullmatch(part) for part in url.split('/')[:-1])
    return {pair[1].lower(): unquote(pair[2]) for pair in pairs if pair}


def date_of(values: Mapping[str, str], first_ns: int | None) -> str:
    """Date of a recording: what its path states, else that of its first stamp, UTC."""
    stated = next((values[name] for name in DATES if name in values), None)
    if stated is not None:
        return stated
    seconds = max(0, first_ns or 0) / 1e9
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date().isoformat()


def partition_folder(**values: str) -> str:
    """Folder of results with these values, as Hive names it."""
    return '/'.join(f'{name}={quote(value, safe=" -_.+")}' for name, value in values.items())
