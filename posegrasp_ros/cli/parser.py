"""The command line of ``posegrasp`` as a whole, and how it speaks."""

from __future__ import annotations

import argparse
import logging
from typing import NoReturn

from posegrasp_ros import __version__
from posegrasp_ros.cli.baseline import add_baseline
from posegrasp_ros.cli.compare import add_compare
from posegrasp_ros.cli.evaluate import add_evaluate
from posegrasp_ros.cli.feasibility import add_feasibility
from posegrasp_ros.cli.grasps import add_grasps
from posegrasp_ros.cli.models import add_bench, add_check
from posegrasp_ros.cli.picks import add_picks
from posegrasp_ros.cli.simulate import add_demo, add_record
from posegrasp_ros.cli.status import add_status
from posegrasp_ros.cli.train import add_calibrate, add_train
from posegrasp_ros.runtime.errors import escaped, one_line

EPILOG = """A first look: posegrasp demo. An own object: posegrasp train my_mesh.obj --out models/my_object.
Exit codes: 0 done, 2 bad input (the last line says what is wrong), 3 a gate did not hold, 4 a node of the demo
failed, 130 after Ctrl-C, 143 after SIGTERM."""


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, whatever it is given."""

    def error(self, message: str) -> NoReturn:
        super().error(one_line(message))


def command_line() -> argparse.ArgumentParser:
    """The parser of all commands; what it parses has ``run``, to be called with it."""
    parser = _Parser(prog='posegrasp', description='From a camera image to a grasp, measured.', epilog=EPILOG)
    parser.add_argument('--version', action='version', version=__version__)
    commands = parser.add_subparsers(title='commands', required=True, metavar='COMMAND')
    for add in (add_demo, add_picks, add_record, add_evaluate, add_compare, add_baseline, add_train, add_calibrate,
                add_grasps, add_bench, add_check, add_feasibility, add_status):
        add(commands)
    return parser


def log_in_lines() -> None:
    """Have warnings written to stderr, each in one line: what they quote may hold line breaks."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine('posegrasp: %(message)s'))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _OneLine(logging.Formatter):
    """A message in one line; the traceback of a bug, below it, in its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escaped(super().formatMessage(record))
