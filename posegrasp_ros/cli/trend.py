# SPDX-License-Identifier: Apache-2.0
"""``posegrasp trend``: which metrics changed over many runs, and since when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import Folder, option
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.exit_codes import DONE

EXAMPLES = """Examples:
  posegrasp trend runs/nightly-*
  posegrasp trend runs/* --out trends
  posegrasp trend s3://bucket/results

Runs are folders written by evaluate, the demo or the monitor, in any order: their summaries say when they began.
Every metric is steady, or better or worse since a date. It may be run every day: if nothing changes, the
probability that it ever says otherwise about any metric stays below --level.
In a fleet's results each date is a run, kept in the folder days below --out."""
DEFAULT_OUT, DAYS = Path('runs/trend'), 'days'


def trend(runs: list[str], /, *,
          level: Annotated[float, option('P', option_types.share_inside)] = 0.05,
          out: Folder = DEFAULT_OUT) -> int:
    """Find when metrics changed, over many runs.

    :param runs: run folders, at least two; other folders are skipped with a remark; or folders or URLs of results
        of `posegrasp evaluate --shard`
    :param level: probability of ever raising a false alarm for any metric
    :param out: folder for trend.json and trend.html
    """
    from posegrasp_ros.evaluation.run_trends import trends_of
    from posegrasp_ros.report.trend_report import format_trends, render_trends
    from posegrasp_ros.runtime.atomic_file import write_whole

    folders = [folder for each in runs for folder in (_days(each, out) if _holds_results(each) else [Path(each)])]
    trends = trends_of(folders, level)
    for line in (*(f'left out: {each}' for each in trends['left_out']), *trends['warnings']):
        remark(f'posegrasp: {line}')
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / 'trend.json', json.dumps(trends, indent=2, allow_nan=False) + '\n')
    write_whole(out / 'trend.html', render_trends(trends))
    show(f'{format_trends(trends)}\n\nreport: {out / "trend.html"}')
    return DONE


def _holds_results(place: str) -> bool:
    from posegrasp_ros.fleet.locations import is_url
    from posegrasp_ros.runs.folder import holds_run

    if is_url(place):
        return True
    return Path(place).is_dir() and not holds_run(Path(place)) and any(Path(place).rglob('*.parquet'))


def _days(results: str, out: Path) -> Iterator[Path]:
    """A run of each date of a fleet's results."""
    from posegrasp_ros.fleet.merged_run import merged_parts
    from posegrasp_ros.fleet.partition_values import DATE
    from posegrasp_ros.metrics.baselines.baselines import load_baselines
    from posegrasp_ros.report.run_report import render_html

    for part in merged_parts(results, load_baselines(), (DATE,), has_whole=False):
        replace(part, page=render_html).write(out / DAYS)  # without pictures, for which recordings are read again
        yield out / DAYS / part.folder
