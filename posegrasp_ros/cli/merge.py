# SPDX-License-Identifier: Apache-2.0
"""``posegrasp merge``: one run from a fleet's results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import File, Folder, option, options
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE, PARTIAL

EXAMPLES = """Examples:
  posegrasp merge s3://bucket/results --out runs/fleet
  posegrasp merge results --out runs/fleet --by robot site --where "date >= '2026-01-01'"

The run equals that of `posegrasp evaluate` over the same recordings, sorted by path; it has no metrics.jsonl,
and pictures only from recordings that are on this machine."""


def merge(results: str, /, *, out: Folder,
          by: Annotated[tuple[str, ...], options('COLUMN...', str)] = (),
          where: Annotated[str, option('SQL')] = '', baselines: File | None = None,
          require: Annotated[tuple[tuple[str, float], ...],
                             options('METRIC=VALUE...', option_types.requirement)] = ()) -> int:
    """Make one run from the results of `posegrasp evaluate --shard`.

    :param results: folder of results, a path or a URL
    :param out: run folder for summary.json and report.html
    :param by: also make a run for each value of these columns, below --out
    :param where: merge only the rows for which this holds, such as "site = 'north'"
    :param baselines: baselines file to compare with; default: that of the package
    :param require: requirements for this run in place of those of the baselines, such as recall_1cm_5deg=97%
    """
    from posegrasp_ros.fleet.locations import is_url
    from posegrasp_ros.fleet.merged_run import merged_parts
    from posegrasp_ros.metrics.baselines.baselines import load_baselines
    from posegrasp_ros.report.run_report import format_table

    if not is_url(results) and Path(results).resolve() in (out.resolve(), *out.resolve().parents):
        raise InvalidInputError(f'--out: {out}: expected a folder outside the results, {results}')
    ledger = load_baselines(baselines)
    for metric, value in require:
        ledger = ledger.with_requirement(metric, value)
    missing: list[str] = []
    for part in merged_parts(results, ledger, by, where):
        part.write(out)
        missing = missing or part.summary['provenance'].get('failed', [])
        show(f'{part.folder}\n{format_table(part.summary)}\n' if part.values else format_table(part.summary))
    show(f'\nreport: {out / "report.html"}' if (out / 'report.html').exists() else f'\nreports: {out}')
    for bag in missing:
        remark(f'posegrasp: missing: {bag}: its evaluation failed, see failed/ in {results}')
    return PARTIAL if missing else DONE
