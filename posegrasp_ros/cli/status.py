# SPDX-License-Identifier: Apache-2.0
"""``posegrasp status``: how far a project has come."""

from __future__ import annotations

from pathlib import Path

from posegrasp_ros.cli.options import File
from posegrasp_ros.runtime.console import show, show_json
from posegrasp_ros.runtime.exit_codes import DONE, GATE_FAILED
from posegrasp_ros.runtime.text_layout import terminal_width

EXAMPLES = """Reads the model folders, the runs and the baselines file (baselines.yaml) below a folder, and reports
for each object which gates have passed, from planning to deployment, by which run (its hash, date and figure),
which phase a failed gate leads back to, and what to do next. Nothing is stored elsewhere, and nothing can be set
by hand.

Example: posegrasp status . --gate"""
WIDEST = 120  # characters
HERE = Path('.')


def status(folder: Path = HERE, /, *, baselines: File | None = None, json: bool = False,
           gate: bool = False) -> int:
    """Show how far a project has come, and which run proves it.

    :param folder: folder of the project
    :param baselines: baselines file; default: the baselines.yaml nearest to the top of the folder
    :param json: print JSON
    :param gate: exit with 3 unless every gate has passed
    """
    from posegrasp_ros.project_status.project_files import read_project
    from posegrasp_ros.project_status.project_gates import statuses, to_dict
    from posegrasp_ros.project_status.status_text import format_statuses

    project = read_project(folder, baselines)
    found = statuses(project)
    if json:
        show_json(to_dict(project, found), indent=2)
    else:
        show(format_statuses(project, found, min(WIDEST, terminal_width())))
    has_passed = all(each.has_passed for object_status in found for each in object_status.gates)
    return DONE if has_passed or not gate else GATE_FAILED
