# SPDX-License-Identifier: Apache-2.0
"""Layout of text for the terminal: its width, and lines that break between words only."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

NARROWEST, WIDEST = 60, 200
TEXT_WIDTH = 110
"""Characters of a line of prose at most."""


def terminal_width() -> int:
    """Characters of a line of stdout; where it is a file or a pipe, the variable COLUMNS, else :data:`WIDEST`."""
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
    else:
        stated = os.environ.get('COLUMNS', '')
        columns = int(stated) if stated.isdecimal() else WIDEST
    return min(WIDEST, max(NARROWEST, columns))


def wrapped(text: str, first: str = '', later: str = '') -> list[str]:
    """Lines of prose.

    :param first: indent of the first line
    :param later: of the others
    """
    return textwrap.wrap(text, min(TEXT_WIDTH, terminal_width()), initial_indent=first, subsequent_indent=later,
                         break_long_words=False, break_on_hyphens=False)
