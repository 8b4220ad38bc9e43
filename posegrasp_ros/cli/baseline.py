# SPDX-License-Identifier: Apache-2.0
"""``posegrasp baseline``: adds a run to a baselines file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import File, option, options
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.exit_codes import DONE

EXAMPLES = """Examples:
  posegrasp evaluate scenes --out runs/v1
  posegrasp baseline add --from runs/v1 --baselines baselines.yaml
  posegrasp evaluate scenes --out runs/v2 --baselines baselines.yaml --gate

The last one exits with 3 when a requirement is missed or a metric is surely worse than in runs/v1. Adding a run
replaces the one before; with --name several are kept. All else in the file stays as it is. Times depend on the
machine: where another one measures next, choose --metrics."""
DEFAULT_FILE = Path('baselines.yaml')


def baseline(action: Literal['add'], /, *,
             run_folder: Annotated[Path, option('RUN', name='--from')],
             baselines: File = DEFAULT_FILE,
             name: Annotated[str, option('NAME')] = 'previous run',
             partial: bool = False,
             metrics: Annotated[tuple[str, ...], options('METRIC...', option_types.metric)] = ()) -> int:
    """Record the metrics of a run as a baseline for later runs.

    :param action: add: record a run as `previous`
    :param run_folder: run folder with a summary.json, as evaluate and the monitor write it
    :param baselines: baselines file to write to; a new one begins with the shipped entries
    :param name: of the entries; those of the same name are replaced
    :param partial: take a run that was interrupted, or is still written, as it is; the entries say so
    :param metrics: which to record; default: all that were measured
    """
    from posegrasp_ros.metrics.baselines.baselines_file import add_run
    from posegrasp_ros.runs.folder import read_summary
    from posegrasp_ros.runs.state import partial_because

    summary, run = read_summary(run_folder, partial), run_folder.resolve().name
    why_partial = partial_because(run_folder, summary)
    recorded = add_run(baselines, summary, f'{run} (partial: {why_partial})' if why_partial else run, name,
                       metrics or None)
    show(f'{baselines}: {len(recorded)} metrics of {run_folder} as {name!r}: {", ".join(recorded)}')
    return DONE
