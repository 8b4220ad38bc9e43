# SPDX-License-Identifier: Apache-2.0
"""FinishedRun: reads a run folder, with the chosen estimator's answer for every frame."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.report.frame_rows import RecordedPlaces, recordings_of
from posegrasp_ros.runs.folder import RunFolderError, read_summary
from posegrasp_ros.runs.report_log import log_paths, read_lines
from posegrasp_ros.runs.run_log import OTHER_THAN_REPORTS, PICTURES
from posegrasp_ros.runs.state import partial_because
from posegrasp_ros.runtime.errors import InvalidInputError


class FinishedRunError(InvalidInputError):
    """A folder without a readable run."""


class FrameKey(NamedTuple):
    """Key of an image: recording and stamp, and the object where there are several."""

    bag: str
    stamp_ns: int
    object: str = ''


class LoggedAnswer(NamedTuple):
    """Answer of perception for an image; errors are NaN without ground truth or without a pose.

    :param block: index of its time block as in the summary; None where not recorded
    """

    is_posed: bool
    position_error_m: float
    rotation_error_rad: float
    latency_ms: float
    block: int | None = None

    @property
    def has_error(self) -> bool:
        """Whether the pose was compared with ground truth."""
        return not (math.isnan(self.position_error_m) or math.isnan(self.rotation_error_rad))


@dataclass(frozen=True)
class FinishedRun:
    """A run folder.

    :param name: short name for tables
    :param summary: schema ``posegrasp.summary/1``
    :param partial: why the run is not complete; empty if it is
    """

    name: str
    folder: Path
    summary: dict
    partial: str = ''

    @classmethod
    def load(cls, folder: Path, name: str) -> FinishedRun:
        """Read and validate a run's summary.

        :raises FinishedRunError: when there is none, or it has another schema
        """
        try:
            summary = read_summary(folder, may_be_partial=True)
        except RunFolderError as error:
            raise FinishedRunError(str(error)) from error
        return cls(name, folder, summary, partial_because(folder, summary))

    @property
    def estimator(self) -> str | None:
        """The estimator that the summary is about; None where it is not stated."""
        return self.summary.get('estimator')

    @property
    def bags(self) -> dict[str, object]:
        """Recordings by name, with what identifies them: files with sizes, and hashes where known."""
        return {bag['name']: bag for bag in self.summary['provenance'].get('bags') or ()}

    @cached_property
    def answers(self) -> dict[FrameKey, LoggedAnswer]:
        """Answer for every image; the first report on an image counts."""
        answers: dict[FrameKey, LoggedAnswer] = {}
        for key, report, block in self._reports('perception'):
            position, rotation, latency = (report.numbers.get(name, math.nan) for name in
                                           ('position_error_m', 'rotation_error_rad', 'latency_ms'))
            answers.setdefault(key, LoggedAnswer(report.ok, position, rotation, latency, block))
        return answers

    @cached_property
    def picks(self) -> dict[FrameKey, bool]:
        """Whether each pick lifted the object."""
        picks: dict[FrameKey, bool] = {}
        for key, report, _ in self._reports('execution'):
            picks.setdefault(key, report.ok)
        return picks

    @cached_property
    def pictures(self) -> dict[FrameKey, str]:
        """Data URIs of the pictures that the run kept."""
        recordings = recordings_of(self.summary)
        places = RecordedPlaces(recordings) if recordings else None
        found = {}
        for _, fields in read_lines(log_paths(self.folder), [], FinishedRunError):
            for each in fields.get(PICTURES) or ():
                if places is not None and 'stamp_ns' in each:
                    recording, stamp_ns = places.of(each['stamp_ns'])
                    found[FrameKey(recording.name, stamp_ns, each['object'])] = each['data_uri']
        return found

    def _reports(self, stage: str) -> Iterator[tuple[FrameKey, StageReport, int | None]]:
        """Reports of a stage; invalid lines, which a killed run may leave, are skipped."""
        for _, fields in read_lines(log_paths(self.folder), [], FinishedRunError):
            if OTHER_THAN_REPORTS & fields.keys():
                continue
            try:
                report = StageReport.from_dict(fields)
            except ValueError:
                continue
            if report.stage == stage and fields.get('estimator', self.estimator) == self.estimator:
                yield FrameKey(fields.get('bag', ''), report.stamp_ns, report.object), report, fields.get('block')


def load_runs(folders: list[Path]) -> list[FinishedRun]:
    """Load the runs of at least two folders, with the shortest path suffixes that are unique as names.

    :raises FinishedRunError: when there are fewer, one is given twice, or one holds no run
    """
    resolved = [Path(os.path.realpath(folder)) for folder in folders]
    if len(resolved) < 2 or len(set(resolved)) < len(resolved):
        raise FinishedRunError('compare: expected at least two different run folders, got '
                               + (', '.join(map(str, folders)) or 'none'))
    for depth in range(1, max(len(folder.parts) for folder in resolved) + 1):
        names = ['/'.join(folder.parts[-depth:]) for folder in resolved]
        if len(set(names)) == len(names):
            break
    return [FinishedRun.load(folder, name) for folder, name in zip(resolved, names)]
