"""What the package raises when the world hands it something it cannot use, and how text of others is shown."""

from __future__ import annotations

import re
import reprlib
from typing import Any

LONGEST_QUOTATION, LONGEST_LINE = 80, 1000
# What moves the cursor, begins a line or turns the direction of writing, as Unicode has it.
_CONTROL = re.compile('[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_LONG_QUOTATION = re.compile(f'''(['"])([^'"]{{{LONGEST_QUOTATION}}})[^'"]+\\1''')
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 20
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 3 * LONGEST_QUOTATION


class InvalidInputError(ValueError):
    """A file, message or option that cannot be used.

    The message is one line that names the thing, what was found and what was expected. The command line
    prints it and exits with code 2; a node logs it and fails the transition. Whatever it quotes, it stays one
    line, see :func:`one_line`.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class PipelineFailed(RuntimeError):
    """Programs that were started with good input did not do their part; the command line exits with code 4."""

    def __str__(self) -> str:
        return one_line(super().__str__())


def quoted(value: Any) -> str:
    """A value as it is told in an error: its first characters in one line, however large and deep it is."""
    try:
        shown = _SHORT.repr(value)
    except ValueError:  # Python writes no whole number of more than some thousand digits
        shown = f'a very large {type(value).__name__}'
    return escaped(_cut(shown, LONGEST_QUOTATION))


def one_line(text: str) -> str:
    """Text for a terminal or a log: control characters escaped, long quotations cut, and itself cut where it has
    no end.

    Names of files, topics and frames are chosen by others, and may hold line breaks and escape sequences.
    """
    shorter = _LONG_QUOTATION.sub(r'\1\2…\1', text[:10 * LONGEST_LINE])
    return escaped(_cut(shorter, LONGEST_LINE))


def escaped(text: str) -> str:
    """The text with its control characters spelt out, such as ``\\x1b``."""
    return _CONTROL.sub(lambda found: found.group().encode('unicode_escape').decode(), text)


def escaped_lines(text: str) -> str:
    """Text of several lines, such as a traceback, each of them escaped."""
    return '\n'.join(map(escaped, text.split('\n')))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f'{text[:length]}…'
