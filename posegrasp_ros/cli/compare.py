"""Of finished runs: ``compare``."""

from __future__ import annotations

import argparse
from pathlib import Path

from posegrasp_ros.cli.options import DONE, command
from posegrasp_ros.runtime.console import show

EXAMPLES = """Examples:
  posegrasp compare runs/before runs/after                 the first is the reference
  posegrasp compare runs/a runs/b runs/c --out runs/abc

Runs are folders that evaluate, the demo or the monitor wrote. Where two of them saw the same recordings, they are
compared frame by frame, which shows small differences that two intervals hide."""


def add_compare(commands) -> None:
    """``posegrasp compare``."""
    parser = command(commands, 'compare', _compare, 'lay runs side by side, and say which is better', EXAMPLES)
    parser.add_argument('runs', nargs='+', type=Path, metavar='RUN', help='run folder, at least two')
    parser.add_argument('--out', type=Path, metavar='DIR', default=Path('runs/compare'),
                        help='folder for comparison.json and report.html')


def _compare(options: argparse.Namespace) -> int:
    import json

    from posegrasp_ros.evaluation.run_comparison import compare_runs
    from posegrasp_ros.report.compare_report import format_comparison, render_comparison
    from posegrasp_ros.runtime.atomic_file import write_whole

    comparison = compare_runs(options.runs)
    options.out.mkdir(parents=True, exist_ok=True)
    write_whole(options.out / 'comparison.json', json.dumps(comparison, indent=2, allow_nan=False) + '\n')
    write_whole(options.out / 'report.html', render_comparison(comparison))
    show(f'{format_comparison(comparison)}\n\nreport: {options.out / "report.html"}')
    return DONE
