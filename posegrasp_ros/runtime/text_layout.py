# SPDX-License-Identifier: Apache-2.0
"""Layout of text for the terminal: its width, and lines that break between words only."""

from __future__ import annotations

import shutil
import sys
import textwrap

NARROWEST, WIDEST = 60, 200
TEXT_WIDTH = 110
"""Characters of a line of prose at most."""


def terminal_width() -> int:
    """Characters of a line of stdout; :data:`WIDEST` where it is a file or a pipe."""
    if not sys.stdout.isatty():
        return WIDEST
    return min(WIDEST, max(NARROWEST, shutil.get_terminal_size().columns))


def wrapped(text: str, first: str = '', later: str = '') -> list[str]:
    """Lines of prose.

    :param first: indent of the first line
    :param later: of the others
    """
    return textwrap.wrap(text, min(TEXT_WIDTH, terminal_width()), initial_indent=first, subsequent_indent=later,
                         break_long_words=False, break_on_hyphens=False)
