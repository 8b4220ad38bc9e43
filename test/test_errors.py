# SPDX-License-Identifier: Apache-2.0
"""What others name things is told in one line, short and without control characters, wherever it is told."""

from __future__ import annotations

import logging

import pytest

from posegrasp_ros.cli.main import main
from posegrasp_ros.cli.parser import log_in_lines
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.report.table import aligned
from posegrasp_ros.runtime.errors import (
    LONGEST_LINE,
    InvalidInputError,
    PipelineFailed,
    escaped_lines,
    one_line,
    quoted,
)

FORGED = 'a\nposegrasp: error: forged\x1b[2J\r\u202e\u2028b'
SPELT_OUT = 'a\\nposegrasp: error: forged\\x1b[2J\\r\\u202e\\u2028b'


@pytest.mark.parametrize('kind', [InvalidInputError, PipelineFailed])
def test_an_error_is_one_line_whatever_it_quotes(kind):
    assert str(kind(f'{FORGED}: no such file')) == f'{SPELT_OUT}: no such file'


def test_of_a_quotation_the_first_characters_are_told():
    assert quoted('short') == "'short'" and quoted([0, 0, 1, 0, 0, 0, 1]) == '[0, 0, 1, 0, 0, 0, 1]'
    assert quoted('x' * 5000) == "'" + 79 * 'x' + '…'
    assert one_line(f"field: expected a name, got '{'x' * 5000}': choose one") == (
        f"field: expected a name, got '{'x' * 80}…': choose one")
    assert len(one_line('x' * 10**6)) == LONGEST_LINE + 1


def test_what_has_no_end_is_quoted_at_once():
    endless = ['bomb']
    for _ in range(40):
        endless = [endless] * 9
    assert len(quoted(endless)) <= 81 and len(quoted(10**4000)) <= 81
    assert quoted(10**6000) == 'a very large int'


def test_a_traceback_keeps_its_lines():
    assert escaped_lines('one\n\x1btwo') == 'one\n\\x1btwo'


def test_a_baselines_file_that_is_none_is_not_quoted_whole(tmp_path):
    path = tmp_path / 'bag.yaml'
    path.write_text('secret ' * 10_000)
    with pytest.raises(InvalidInputError) as refused:
        load_baselines(path)
    assert str(refused.value).count('secret') < 15


def test_no_file_name_can_forge_a_line_of_ours(tmp_path, capsys):
    for arguments in (['check', str(tmp_path / FORGED)], ['evaluate', str(tmp_path / FORGED)],
                      ['demo', '--picks', FORGED], ['status', '.', FORGED]):
        code = main(arguments)
        said = capsys.readouterr().err
        assert code == 2 and '\x1b' not in said
        assert [line for line in said.splitlines() if line.startswith('posegrasp: error: forged')] == []


def test_a_warning_is_one_line(monkeypatch, capsys):
    root = logging.RootLogger(logging.WARNING)
    monkeypatch.setattr(logging, 'root', root)
    monkeypatch.setattr(logging.Logger, 'root', root)
    log_in_lines()
    root.warning('%s: left out', FORGED)
    assert capsys.readouterr().err == f'posegrasp: {SPELT_OUT}: left out\n'


def test_a_table_keeps_its_rows():
    assert aligned([['name', 'value'], [FORGED, '1']])[2] == f'{SPELT_OUT}      1'
