# SPDX-License-Identifier: Apache-2.0
"""Provenance of a run as rows for a reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Names that say nothing by themselves, in words.
TITLES = {'bags': 'recording', 'sha256': 'SHA-256', 'card_sha256': 'SHA-256 of the card', 'cpus': 'processors',
          'tolerance_ms': 'tolerance (ms)', 'support_height_m': 'support height (m)',
          'no_object': 'without the object'}


def provenance_rows(provenance: Mapping[str, Any], schema: str) -> list[dict[str, str]]:
    """Rows {name, value}; what is not known is left out."""
    rows = []
    for key, value in provenance.items():
        if isinstance(value, Mapping):
            rows += [(f'{_title(key)}: {_words(name)}', item) for name, item in value.items()]
        elif isinstance(value, (list, tuple)):
            rows += [(_title(key), _recording(item) if key == 'bags' else item) for item in value]
        else:
            rows.append((_title(key), value))
    rows.append(('Format', schema))
    return [{'name': name, 'value': text} for name, value in rows if (text := in_words(value))]


def _recording(bag: Mapping[str, Any]) -> str:
    files = ', '.join(f'{name} ({size:,} bytes)' for name, size in (bag.get('files') or {}).items())
    return f'{bag["name"]}: {files}' if files else str(bag['name'])


def _title(key: str) -> str:
    words = _words(key)
    return words[0].upper() + words[1:]


def _words(key: str) -> str:
    return TITLES.get(key, str(key).replace('_', ' '))


def in_words(value: Any) -> str:
    """A plain value as text; empty where it is not known."""
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, Mapping):
        known = {name: text for name, item in value.items() if (text := in_words(item))}
        return ', '.join(f'{_words(name)} {text}' for name, text in known.items())
    if isinstance(value, (list, tuple)):
        return '; '.join(filter(None, map(in_words, value)))
    return '' if value is None else str(value)
