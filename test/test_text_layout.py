# SPDX-License-Identifier: Apache-2.0
"""Text in the terminal: lines break between words, tables fit from 60 columns on."""

from __future__ import annotations

import io
import os
import sys

import pytest

from posegrasp_ros.report.table import aligned
from posegrasp_ros.runtime.text_layout import TEXT_WIDTH, WIDEST, terminal_width, wrapped

ROWS = [['metric', *(f'column {index}' for index in range(8)), 'what it says'],
        ['Pose within 1 cm and 5°', *('12.34 [1.23, 23.45]' for _ in range(8)), 'some words on it that are many'],
        ['ADD', *('1' for _ in range(8)), '']]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def columns(monkeypatch):
    def have(count):
        monkeypatch.setattr(sys, 'stdout', Terminal())
        monkeypatch.setattr('shutil.get_terminal_size', lambda *_: os.terminal_size((count, 24)))
    return have


def test_a_pipe_is_wide():
    assert terminal_width() == WIDEST


@pytest.mark.parametrize(('count', 'width'), [(20, 60), (100, 100), (400, 200)])
def test_a_terminal_has_its_width_within_bounds(columns, count, width):
    columns(count)
    assert terminal_width() == width


def test_prose_breaks_between_words_only(columns):
    text = 'options such as --pose-topic and held-out words ' * 10
    assert max(map(len, wrapped(text))) <= TEXT_WIDTH
    columns(60)
    lines = wrapped(text, 'note ', '     ')
    assert max(map(len, lines)) <= 60 and ' '.join(' '.join(lines).split()) == f'note {text.strip()}'


@pytest.mark.parametrize('width', [60, 80, 120, 200])
def test_a_table_fits_and_loses_nothing(width):
    lines = aligned(ROWS, left=(0, 9), width=width)
    assert max(map(len, lines)) <= width
    said = ' '.join(lines)
    assert said.count('12.34 [1.23, 23.45]') == 8 and all(f'column {index}' in said for index in range(8))
    assert all(word in said for word in ROWS[1][-1].split())
    assert all(part.lstrip().startswith('metric') for part in '\n'.join(lines).split('\n\n'))


def test_a_table_that_fits_is_one_line_a_row():
    assert aligned([['a', 'b'], ['1', '22']]) == ['a   b', '-  --', '1  22']
