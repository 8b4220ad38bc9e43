# SPDX-License-Identifier: Apache-2.0
"""``posegrasp report``: rebuilds summary and report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from posegrasp_ros.cli.options import File, Folder
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.exit_codes import DONE

EXAMPLES = """Examples:
  posegrasp report runs/demo
  posegrasp report runs/demo --baselines my_baselines.yaml --out runs/demo-rejudged

Needs only metrics.jsonl: no recordings, no model. For a run that was killed it makes the summary that was never
written; a finished run can be compared with other baselines, or measured with metrics that were added since."""


def report(run: Path, /, *, baselines: File | None = None, out: Folder | None = None,
           verbose: Annotated[bool, Parameter(alias='-v')] = False) -> int:
    """Rebuild a run's summary and report from its metrics.jsonl.

    :param run: run folder of evaluate, demo or the monitor
    :param baselines: baselines file to compare with; default: what the run was compared with
    :param out: folder for summary.json and report.html; default: the run folder itself
    :param verbose: also print all tables of the report
    """
    from posegrasp_ros.metrics.baselines.baselines import load_baselines
    from posegrasp_ros.report.run_report import format_brief, format_table
    from posegrasp_ros.runs.folder import REPORT_NAME
    from posegrasp_ros.runs.rebuild import rebuild

    rebuilt = rebuild(run, load_baselines(baselines) if baselines else None)
    for warning in rebuilt.warnings:
        remark(f'posegrasp: {warning}')
    rebuilt.write(out or run)
    text = (format_table if verbose else format_brief)(rebuilt.summary)
    show(f'{text}\n\nreport: {(out or run) / REPORT_NAME}')
    return DONE
