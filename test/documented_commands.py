# SPDX-License-Identifier: Apache-2.0
"""The commands that the documentation tells people to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r'^```(?:bash|console)\n(.*?)^```', re.MULTILINE | re.DOTALL)
ENDS = {'&&', ';', '|', '||'}
# What a shell, a scheduler or xargs would put in.
FILLED_IN = {'{}': '1', '$SLURM_ARRAY_TASK_ID': '1'}


class Documented(NamedTuple):
    """A command on a page.

    :param page: its path in the checkout
    """

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f'{self.page}: {self.text}'

    @property
    def text(self) -> str:
        """Its words, without quotes."""
        return ' '.join(self.words)

    @property
    def posegrasp(self) -> list[str] | None:
        """The arguments of ``posegrasp``, also where another program starts it; None where it is not one."""
        for place, word in enumerate(self.words):
            if word.rsplit('/', 1)[-1] == 'posegrasp':
                return list(self.words[place + 1:])
            if word.startswith('posegrasp '):
                return shlex.split(word)[1:]
        return None


def documented_commands(root: Path) -> list[Documented]:
    """All commands in fenced blocks of README, docs and examples, page by page, in their order."""
    pages = [root / 'README.md', root / 'CONTRIBUTING.md', *sorted((root / 'docs').rglob('*.md')),
             *sorted((root / 'examples').rglob('*.md'))]
    return [Documented(page.relative_to(root).as_posix(), words) for page in pages
            for block in BLOCK.findall(page.read_text(encoding='utf-8')) for line in _lines(block)
            for words in _commands(line)]


def _lines(block: str) -> Iterator[str]:
    """Lines as the shell takes them: continued ones, and those within quotes, are one."""
    line = ''
    for part in block.splitlines():
        line += part + '\n'
        if part.endswith('\\'):
            continue
        try:
            shlex.split(line, comments=True)
        except ValueError:  # a quotation goes on
            continue
        yield line.replace('\\\n', ' ')
        line = ''
    assert not line, f'a quotation is not closed: {line}'


def _commands(line: str) -> Iterator[tuple[str, ...]]:
    """The commands of a line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=';&|')
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ';']:
        if word not in ENDS:
            for placeholder, value in FILLED_IN.items():
                word = word.replace(placeholder, value)
            words.append(word)
        elif words:
            yield tuple(words)
            words = []
