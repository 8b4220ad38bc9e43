# SPDX-License-Identifier: Apache-2.0
"""Summary and report of a run made again from its metrics.jsonl, also of a run that was killed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.report.clips import Clip
from posegrasp_ros.report.run_report import page_of
from posegrasp_ros.runs.folder import SUMMARY_NAME, RunFolder
from posegrasp_ros.runs.report_log import NAME
from posegrasp_ros.runs.run_log import RunLog, RunLogError, read_run_log
from posegrasp_ros.runs.run_summary import UNNAMED, summary_of
from posegrasp_ros.runtime.data_files import read_json


@dataclass(frozen=True)
class Rebuilt:
    """A run made again.

    :param summary: schema ``posegrasp.summary/1``
    :param table: frames of the estimator that the summary is about
    :param pictures: of the report, see :meth:`posegrasp_ros.report.frame_pictures.FramePictures.pictures`
    :param clips: of picks
    :param warnings: what was left out, one line each
    """

    summary: dict[str, Any]
    table: FrameTable
    pictures: list[dict[str, Any]]
    clips: list[Clip]
    warnings: list[str]

    def write(self, folder: Path) -> None:
        """Write summary.json and report.html.

        :raises RunFolderError: when another process is writing the folder, or it cannot be written
        """
        with RunFolder(folder) as run:
            run.write_summary(self.summary, page_of(self.table, self.pictures, clips=self.clips))


def rebuild(folder: Path, baselines: Baselines | None = None) -> Rebuilt:
    """Make the summary of a run from its metrics.jsonl.

    Of a finished run it equals the one that the run wrote, unless metrics were added since.

    :param baselines: to compare with; None for those that the run was compared with
    :raises RunLogError: when the file is missing, or does not hold all frames of the summary
    """
    log = read_run_log(folder)
    if log.inputs is None:
        raise RunLogError(f'{folder / NAME}: expected a run of evaluate, demo or the monitor, of version 0.2.0 or '
                          'later: no line says what its summary depends on')
    inputs = log.inputs if baselines is None else replace(log.inputs, baselines=baselines)
    if not log.is_finished:
        provenance = {**inputs.about.get('provenance', {}), 'complete': False}
        inputs = replace(inputs, about={**inputs.about, 'provenance': provenance})
    try:
        tables = log.tables()
        summary = summary_of(tables, inputs)
    except ValueError as error:
        raise RunLogError(f'{folder / NAME}: {error}') from error
    _check_is_whole(folder, log, summary)
    return Rebuilt(summary, tables[inputs.estimator or UNNAMED], log.pictures, log.clips, log.warnings)


def _check_is_whole(folder: Path, log: RunLog, summary: dict[str, Any]) -> None:
    """Refuse to replace the summary of more frames: the oldest parts of a size-limited log are deleted."""
    path = folder / SUMMARY_NAME
    if not log.is_finished or not path.exists():
        return
    written = read_json(path, RunLogError)
    try:
        seen, found = written['frames']['seen'], summary['frames']['seen']
    except (KeyError, TypeError) as error:
        raise RunLogError(f'{path}: expected the summary of a run: {error!r}') from error
    if found < seen:
        raise RunLogError(f'{folder / NAME}: expected the {seen} frames of {SUMMARY_NAME}, found {found}: the '
                          'oldest were deleted to keep to the size limit (most_megabytes)')
