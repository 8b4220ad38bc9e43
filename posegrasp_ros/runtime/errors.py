# SPDX-License-Identifier: Apache-2.0
"""Exceptions for invalid input and failed child processes, and escaping of quoted foreign text."""

from __future__ import annotations

import re
import reprlib
from typing import Any

LONGEST_QUOTATION, LONGEST_LINE = 80, 1000
# Unicode characters that move the cursor, start a line or change the writing direction, and lone surrogates.
_CONTROL = re.compile('[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_LONG_QUOTATION = re.compile(f'''(['"])([^'"]{{{LONGEST_QUOTATION}}})[^'"]+\\1''')
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 20
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 3 * LONGEST_QUOTATION


class InvalidInputError(ValueError):
    """A file, message or option that cannot be used.

    The message is one line that names the source, what was found and what was expected. The command line
    prints it and exits with code 2; a node logs it and fails the transition. Quoted text is escaped and cut so
    that the message stays one line, see :func:`one_line`.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class PipelineFailed(RuntimeError):
    """A started program failed although its input was valid; the command line exits with code 4."""

    def __str__(self) -> str:
        return one_line(super().__str__())


def quoted(value: Any) -> str:
    """A value for an error message: its first characters on one line, for any size and nesting depth."""
    try:
        shown = _SHORT.repr(value)
    except ValueError:  # Python does not convert integers of more than some thousand digits
        shown = f'a very large {type(value).__name__}'
    return escaped(_cut(shown, LONGEST_QUOTATION))


def one_line(text: str) -> str:
    """Text for a terminal or a log: control characters escaped, long quotations cut, total length limited.

    Names of files, topics and frames are foreign input and may contain line breaks and escape sequences.
    """
    shorter = _LONG_QUOTATION.sub(r'\1\2…\1', text[:10 * LONGEST_LINE])
    return escaped(_cut(shorter, LONGEST_LINE))


def escaped(text: str) -> str:
    """The text with its control characters escaped, such as ``\\x1b``."""
    return _CONTROL.sub(lambda found: found.group().encode('unicode_escape').decode(), text)


def escaped_lines(text: str) -> str:
    """Text of several lines, such as a traceback, with each line escaped."""
    return '\n'.join(map(escaped, text.split('\n')))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f'{text[:length]}…'
