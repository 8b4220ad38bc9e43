"""Where a project stands: ``status``."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from posegrasp_ros.cli.options import DONE, GATE_FAILED, command
from posegrasp_ros.runtime.console import show, show_json

ABOUT = """Reads the model folders, the runs and the baselines file (baselines.yaml) below a folder, and tells of
each object which gates have passed, from planning to deployment, by which run (its hash, date and figure), where a
missed one leads back to, and what to do next. Nothing is kept anywhere else, and nothing can be set by hand.

Example: posegrasp status . --gate"""
NARROWEST, WIDEST = 80, 120  # characters


def add_status(commands) -> None:
    """``posegrasp status``."""
    parser = command(commands, 'status', _status, 'how far a project has come, and which run proves it', ABOUT)
    parser.add_argument('folder', nargs='?', type=Path, metavar='DIR', default=Path('.'), help='of the project')
    parser.add_argument('--baselines', type=Path, metavar='FILE',
                        help='baselines file (default: the baselines.yaml nearest to the top of the folder)')
    parser.add_argument('--json', action='store_true', help='print it for a program')
    parser.add_argument('--gate', action='store_true', help='exit with 3 unless every gate has passed')


def _status(options: argparse.Namespace) -> int:
    from posegrasp_ros.project_status.project_files import read_project
    from posegrasp_ros.project_status.project_gates import statuses, to_dict
    from posegrasp_ros.project_status.status_text import format_statuses

    project = read_project(options.folder, options.baselines)
    found = statuses(project)
    if options.json:
        show_json(to_dict(project, found), indent=2)
    else:
        width = min(WIDEST, max(NARROWEST, shutil.get_terminal_size((WIDEST, 1)).columns))
        show(format_statuses(project, found, width))
    has_passed = all(gate.has_passed for status in found for gate in status.gates)
    return DONE if has_passed or not options.gate else GATE_FAILED
