# SPDX-License-Identifier: Apache-2.0
"""Reading of untrusted YAML and JSON files: bounded cost, and a one-line error for any invalid content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.limits import TEXT_MEGABYTES, most_text_bytes, most_yaml_bytes

# libyaml reads a set of 400 grasps in a tenth of the time; PyYAML may have been built without it.
_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


def read_yaml(path: str | Path, error_class: type[InvalidInputError]) -> Any:
    """Return the first document of a YAML file.

    Aliases are refused: a few lines of nested aliases can expand to more values than fit in memory.

    :raises InvalidInputError: ``error_class``, naming the file and what is wrong with it
    """
    return _parsed(Path(path), error_class, 'YAML', _parse_yaml, most_yaml_bytes())


def read_mapping(path: str | Path, error_class: type[InvalidInputError]) -> dict[Any, Any]:
    """Read the mapping of a YAML file.

    :raises InvalidInputError: ``error_class``, when the file cannot be read or has other content
    """
    values = read_yaml(path, error_class)
    if not isinstance(values, dict):
        raise error_class(f'{path}: expected a mapping of fields, got {type(values).__name__}')
    return values


def read_json(path: str | Path, error_class: type[InvalidInputError]) -> Any:
    """Return the content of a JSON file.

    :raises InvalidInputError: ``error_class``, naming the file and what is wrong with it
    """
    return _parsed(Path(path), error_class, 'JSON', json.loads, most_text_bytes())


def check_is_file(path: Path, error_class: type[InvalidInputError]) -> None:
    """Refuse anything but a regular file: reading a pipe or a device may never end.

    :raises InvalidInputError: ``error_class``, naming the file and what is there instead
    """
    try:
        if not path.exists():
            raise error_class(f'{path}: no such file')
        if not path.is_file():
            found = 'folder' if path.is_dir() else 'pipe or device'
            raise error_class(f'{path}: expected a file, found a {found}')
    except OSError as error:  # name too long, or no permission for the folder
        raise error_class(f'{path}: expected a file that can be read: {error.strerror or error}') from error


def read_text(path: Path, error_class: type[InvalidInputError], most_bytes: int | None = None) -> str:
    """Return the text of a regular file of limited size.

    :param most_bytes: by default :func:`posegrasp_ros.runtime.limits.most_text_bytes`
    :raises InvalidInputError: ``error_class``, naming the file and what is wrong with it
    """
    check_is_file(path, error_class)
    try:
        size = path.stat().st_size
        most_bytes = most_text_bytes() if most_bytes is None else most_bytes
        if size > most_bytes:
            raise error_class(f'{path}: expected at most {most_bytes / 1e6:g} MB, got {size / 1e6:g}; the '
                              f'environment variable {TEXT_MEGABYTES} sets the limit')
        return path.read_text(encoding='utf-8')
    except OSError as error:
        raise error_class(f'{path}: expected a file that can be read: {error.strerror or error}') from error
    except UnicodeDecodeError as error:
        raise error_class(f'{path}: expected text in UTF-8: {error}') from error


def _parsed(path: Path, error_class: type[InvalidInputError], kind: str, parse: Callable[[str], Any],
            most_bytes: int) -> Any:
    text = read_text(path, error_class, most_bytes)
    # The parsers raise many types: ValueError for a month 13 or a number of 5,000 digits, IndexError and
    # AttributeError for empty tagged values, RecursionError for deep nesting.
    try:
        return parse(text)
    except Exception as error:
        reason = ' '.join(str(error).split())[:300] or type(error).__name__
        raise error_class(f'{path}: expected a {kind} file that can be read: {reason}') from error


def _parse_yaml(text: str) -> Any:
    if '*' in text:  # no aliases without it; scanning for them takes as long as loading
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.AliasEvent):
                where = f'line {event.start_mark.line + 1}: ' if event.start_mark else ''
                raise ValueError(f'{where}the alias {quoted(event.anchor)} is not supported: write the value out')
    return next(yaml.load_all(text, Loader=_LOADER), None)
