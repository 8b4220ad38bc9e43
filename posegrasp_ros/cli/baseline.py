"""On the baselines file: ``baseline add``."""

from __future__ import annotations

import argparse
from pathlib import Path

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import DONE, command
from posegrasp_ros.runtime.console import show

EXAMPLES = """Examples:
  posegrasp evaluate scenes --out runs/v1
  posegrasp baseline add --from runs/v1 --baselines baselines.yaml
  posegrasp evaluate scenes --out runs/v2 --baselines baselines.yaml --gate

The last one exits with 3 when a requirement is missed or a metric is surely worse than in runs/v1. Adding a run
replaces the one before; with --name several are kept. All else in the file stays as it is. Times depend on the
machine: where another one measures next, choose --metrics."""


def add_baseline(commands) -> None:
    """``posegrasp baseline``."""
    parser = command(commands, 'baseline', _add, 'keep what a run measured as a baseline for the next', EXAMPLES)
    parser.add_argument('action', choices=['add'], help='add: record a run as `previous`')
    parser.add_argument('--from', dest='run_folder', type=Path, metavar='RUN', required=True,
                        help='run folder with a summary.json, as evaluate and the monitor write it')
    parser.add_argument('--baselines', type=Path, metavar='FILE', default=Path('baselines.yaml'),
                        help='baselines file to write to; a new one begins with the shipped entries')
    parser.add_argument('--name', metavar='NAME', default='previous run',
                        help='of the entries; those of the same name are replaced')
    parser.add_argument('--partial', action='store_true',
                        help='take a run that was interrupted, or is still written, as it is; the entries say so')
    parser.add_argument('--metrics', nargs='+', type=option_types.metric, metavar='METRIC',
                        help='which to record (default: all that were measured)')


def _add(options: argparse.Namespace) -> int:
    from posegrasp_ros.metrics.baselines.baselines_file import add_run
    from posegrasp_ros.runs.folder import read_summary
    from posegrasp_ros.runs.state import partial_because

    summary, run = read_summary(options.run_folder, options.partial), options.run_folder.resolve().name
    partial = partial_because(options.run_folder, summary)
    recorded = add_run(options.baselines, summary, f'{run} (partial: {partial})' if partial else run, options.name,
                       options.metrics)
    show(f'{options.baselines}: {len(recorded)} metrics of {options.run_folder} as {options.name!r}: '
         f'{", ".join(recorded)}')
    return DONE
