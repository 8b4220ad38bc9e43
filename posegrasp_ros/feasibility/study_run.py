# SPDX-License-Identifier: Apache-2.0
"""Runs a feasibility study and writes its run folder and its requirements."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from posegrasp_ros.estimation.model_set import ONLY
from posegrasp_ros.feasibility.break_even import BreakEven
from posegrasp_ros.feasibility.cell import Cell
from posegrasp_ros.feasibility.derived_entries import KIND, NAME, derived_entries
from posegrasp_ros.feasibility.pictures import study_pictures
from posegrasp_ros.feasibility.study import Effort, Study, study
from posegrasp_ros.feasibility.timing import Timing
from posegrasp_ros.metrics.baselines.baselines_file import replace_entries
from posegrasp_ros.report.feasibility_report import render_study
from posegrasp_ros.runs.folder import RunFolder
from posegrasp_ros.runs.provenance import describe_run


def measure_study(cell: Cell, timing: Timing, effort: Effort, break_even: BreakEven | None, no_grasp_reason: str,
                  out: Path) -> dict:
    """Study a cell and write summary.json and report.html; on Ctrl-C the previous ones are kept.

    :param no_grasp_reason: why the gripper has no grasp; empty where it has some
    :return: the summary
    """
    with RunFolder(out) as folder:
        found = study(cell, timing, effort, break_even, no_grasp_reason)
        summary = {**found.to_dict(), 'provenance': _provenance(found, effort)}
        folder.write_summary(summary, partial(render_study, pictures=study_pictures(found)))
    return summary


def write_requirements(path: Path, summary: dict, out: Path) -> None:
    """Write the derived requirements to a baselines file, replacing those of an earlier study.

    :raises BaselineError: when the baselines file cannot be used
    """
    width, height = summary['camera']['size']
    near_m, far_m = summary['camera']['distances_m']
    setup = (f'run {out.name}; {summary["object"]["name"]}, {summary["gripper"]["name"]}, camera {width}x{height} '
             f'at {near_m:g} to {far_m:g} m; success {summary["wanted"]:g}')
    replace_entries(path, derived_entries(summary['requirements'], setup, summary['provenance']['time'][:10]),
                    KIND, NAME)


def _provenance(found: Study, effort: Effort) -> dict:
    cell = found.cell
    configuration = {'picks an axis': effort.picks, 'views': effort.views,
                     'views of a change': effort.views_of_changes}
    cards = {ONLY: cell.named.card} if cell.named.card else None
    return describe_run(cards, seed=effort.seed, configuration=configuration)
