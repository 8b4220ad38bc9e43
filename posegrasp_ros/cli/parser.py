# SPDX-License-Identifier: Apache-2.0
"""The command line of ``posegrasp`` as a whole, and how it speaks."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from cyclopts import App, Group, Parameter

from posegrasp_ros import __version__
from posegrasp_ros.cli import (
    baseline,
    board,
    compare,
    evaluate,
    feasibility,
    grasps,
    handeye,
    inject,
    merge,
    mine,
    models,
    picks,
    query,
    report,
    simulate,
    status,
    train,
    trend,
    watch,
)
from posegrasp_ros.cli.options import unwrapped
from posegrasp_ros.runtime.errors import escaped

EPILOG = """Examples:
  posegrasp demo                                           a first look
  posegrasp train my_mesh.obj --out models/my_object       an object of your own

Exit codes: 0 done, 1 some of it failed and is named, 2 bad input (the last line says what is wrong), 3 a gate did
not hold, 4 a demo node failed, 130 after Ctrl-C, 143 after SIGTERM."""
COMMANDS: dict[str, list[tuple[Callable[..., int], str]]] = {
    'Start': [(simulate.demo, simulate.DEMO_EXAMPLES), (models.check, models.CHECK_EXAMPLES),
              (watch.watch, watch.EXAMPLES)],
    'Measure': [(evaluate.evaluate, evaluate.EXAMPLES), (compare.compare, compare.EXAMPLES),
                (trend.trend, trend.EXAMPLES), (merge.merge, merge.EXAMPLES), (query.query, query.EXAMPLES),
                (mine.mine, mine.MINE_EXAMPLES), (mine.pack, mine.PACK_EXAMPLES),
                (report.report, report.EXAMPLES),
                (baseline.baseline, baseline.EXAMPLES), (simulate.record, simulate.RECORD_EXAMPLES),
                (inject.inject, inject.EXAMPLES),
                (board.board, board.BOARD_EXAMPLES), (board.truth, board.TRUTH_EXAMPLES),
                (handeye.handeye, handeye.EXAMPLES),
                (picks.picks, picks.EXAMPLES), (models.bench, models.BENCH_EXAMPLES)],
    'Models and grasps': [(train.train, train.TRAIN_EXAMPLES), (train.calibrate, train.CALIBRATE_EXAMPLES),
                          (grasps.grasps, grasps.EXAMPLES)],
    'Projects': [(feasibility.feasibility, feasibility.EXAMPLES), (status.status, status.EXAMPLES)],
}
"""Heading of the help -> commands below it, each with its examples."""


def _shown_default(value: Any) -> str | None:
    """A default as the help shows it; None for what says nothing."""
    if value is None or value is False or value == ():
        return None
    return f'{value:g}' if isinstance(value, float) else str(value)


# No option has a second name such as --no-gate; the last one counts; a path may begin with a bracket.
PARAMETERS = Parameter(negative=(), show_default=_shown_default, allow_repeating=True, json_dict=False,
                       json_list=False)


def command_line() -> App:
    """All commands."""
    app = App(name='posegrasp', help='From a camera image to a grasp, measured.', version=__version__,
              help_format='plaintext', help_epilogue=_paragraphs(EPILOG), default_parameter=PARAMETERS,
              group_parameters=Group('Options', sort_key=0), print_error=False, exit_on_error=False, verbose=False,
              suppress_keyboard_interrupt=False)
    for place, (heading, commands) in enumerate(COMMANDS.items()):
        group = Group(heading, sort_key=place)
        for row, (run, examples) in enumerate(commands):
            run.__doc__ = unwrapped(run.__doc__)
            app.command(run, group=group, sort_key=row, help_epilogue=_paragraphs(examples))
    others = Group('Others', sort_key=len(COMMANDS))
    app.register_install_completion_command(
        group=others, help='Set up completion of commands and options in bash, zsh or fish: writes a completion '
                           'file that the shell loads at startup.')
    for flag in ('--help', '--version'):
        app[flag].group = others
    return app


def _paragraphs(text: str) -> str:
    """Each paragraph in one line, which the help wraps to the terminal; indented lines stay as they are."""
    return re.sub(r'(?<=\S)\n(?=\S)', ' ', text)


def log_in_lines() -> None:
    """Have warnings written to stderr, each in one line: what they quote may hold line breaks."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine('posegrasp: %(message)s'))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _OneLine(logging.Formatter):
    """A message in one line; the traceback of a bug, below it, in its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escaped(super().formatMessage(record))
