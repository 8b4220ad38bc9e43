# SPDX-License-Identifier: Apache-2.0
"""Command output: results on stdout, remarks on stderr, with control characters escaped."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from posegrasp_ros.runtime.errors import InvalidInputError, escaped_lines, one_line


def show(text: str) -> None:
    """Print a result of one or more lines.

    A reader that closes the pipe early, such as ``head``, does not end the command.

    :raises InvalidInputError: when stdout cannot be written, such as on a full disk
    """
    _write(escaped_lines(text))


def show_and_see(text: str) -> bool:
    """As :func:`show`, for what has no end; False when the reader has just closed the pipe."""
    return _write(escaped_lines(text))


def show_json(value: Any, indent: int | None = None) -> None:
    """Print a result as JSON; raises as :func:`show`."""
    _write(json.dumps(value, indent=indent, default=str))


def remark(text: str) -> None:
    """Print one line on stderr."""
    print(one_line(text), file=sys.stderr)


def _write(text: str) -> bool:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _discard_output()
        return False
    except OSError as error:
        _discard_output()
        raise InvalidInputError(
            f'stdout: expected a file or pipe that can be written: {error.strerror}') from error
    return True


def _discard_output() -> None:
    """Redirect stdout to the null device; otherwise the interpreter fails again when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
