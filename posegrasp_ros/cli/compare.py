# SPDX-License-Identifier: Apache-2.0
"""``posegrasp compare``: compares finished runs."""

from __future__ import annotations

import json
from pathlib import Path

from posegrasp_ros.cli.options import Folder
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE

EXAMPLES = """Examples:
  posegrasp compare runs/before runs/after
  posegrasp compare runs/a runs/b runs/c --out runs/abc

The first run is the reference. Runs are folders written by evaluate, the demo or the monitor. Where two of them
used the same recordings, they are compared frame by frame, which reveals small differences that two intervals
hide."""
DEFAULT_OUT = Path('runs/compare')


def compare(runs: list[Path], /, *, out: Folder = DEFAULT_OUT) -> int:
    """Compare runs, and state which is better.

    :param runs: run folders, at least two
    :param out: folder for comparison.json and report.html
    """
    from posegrasp_ros.evaluation.run_comparison import change_pictures, compare_runs
    from posegrasp_ros.report.compare_report import format_comparison, render_comparison
    from posegrasp_ros.runtime.atomic_file import write_whole

    if any(out.resolve() == run.resolve() for run in runs):
        raise InvalidInputError(f'--out: expected another folder than those of the runs, whose reports would be '
                                f'lost, got {out}')
    comparison = compare_runs(runs)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / 'comparison.json', json.dumps(comparison, indent=2, allow_nan=False) + '\n')
    write_whole(out / 'report.html', render_comparison(comparison, change_pictures(runs, comparison)))
    show(f'{format_comparison(comparison)}\n\nreport: {out / "report.html"}')
    return DONE
