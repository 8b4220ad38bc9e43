"""FinishedRun: a run folder read back, with what its chosen estimator said of every frame."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.runs.folder import RunFolderError, read_summary
from posegrasp_ros.runs.report_log import log_paths
from posegrasp_ros.runs.state import partial_because
from posegrasp_ros.runtime.data_files import check_is_file
from posegrasp_ros.runtime.errors import InvalidInputError


class FinishedRunError(InvalidInputError):
    """A folder that holds no run that can be read."""


class FrameKey(NamedTuple):
    """Which image: of what recording, and when."""

    bag: str
    stamp_ns: int


class LoggedAnswer(NamedTuple):
    """What perception said of an image; errors NaN where no truth is known or nothing was found.

    :param block: number of the stretch of time that it lies in, as the summary counts them; None where not told
    """

    is_posed: bool
    position_error_m: float
    rotation_error_rad: float
    latency_ms: float
    block: int | None = None

    @property
    def has_error(self) -> bool:
        """Whether the pose was held against a truth."""
        return not (math.isnan(self.position_error_m) or math.isnan(self.rotation_error_rad))


@dataclass(frozen=True)
class FinishedRun:
    """A run folder.

    :param name: short, for tables
    :param summary: of the form ``posegrasp.summary/1``
    :param partial: why its numbers are not those of a whole run; empty when they are
    """

    name: str
    folder: Path
    summary: dict
    partial: str = ''

    @classmethod
    def load(cls, folder: Path, name: str) -> FinishedRun:
        """Read and check a run's summary.

        :raises FinishedRunError: when there is none, or it is of another kind
        """
        try:
            summary = read_summary(folder, may_be_partial=True)
        except RunFolderError as error:
            raise FinishedRunError(str(error)) from error
        return cls(name, folder, summary, partial_because(folder, summary))

    @property
    def estimator(self) -> str | None:
        """The one that the summary is about; None where the run did not say."""
        return self.summary.get('estimator')

    @property
    def bags(self) -> dict[str, object]:
        """By name what tells a recording from others: its files with sizes, and hashes where they are known."""
        return {bag['name']: bag for bag in self.summary['provenance'].get('bags') or ()}

    @cached_property
    def answers(self) -> dict[FrameKey, LoggedAnswer]:
        """Of every image; the first word on it stands."""
        answers: dict[FrameKey, LoggedAnswer] = {}
        for key, report, block in self._reports('perception'):
            position, rotation, latency = (report.numbers.get(name, math.nan) for name in
                                           ('position_error_m', 'rotation_error_rad', 'latency_ms'))
            answers.setdefault(key, LoggedAnswer(report.ok, position, rotation, latency, block))
        return answers

    @cached_property
    def picks(self) -> dict[FrameKey, bool]:
        """Whether each pick lifted."""
        picks: dict[FrameKey, bool] = {}
        for key, report, _ in self._reports('execution'):
            picks.setdefault(key, report.ok)
        return picks

    def _reports(self, stage: str) -> Iterator[tuple[FrameKey, StageReport, int | None]]:
        """A stage's reports; lines that are none, as a killed run may leave, are passed over."""
        for path in log_paths(self.folder):
            check_is_file(path, FinishedRunError)
            with path.open(encoding='utf-8', errors='replace') as file:
                for line in file:
                    try:
                        fields = json.loads(line)
                        report = StageReport.from_dict(fields)
                    except (ValueError, RecursionError):
                        continue
                    if report.stage == stage and fields.get('estimator', self.estimator) == self.estimator:
                        yield FrameKey(fields.get('bag', ''), report.stamp_ns), report, fields.get('block')


def load_runs(folders: list[Path]) -> list[FinishedRun]:
    """The runs of at least two folders, named as short as tells them apart.

    :raises FinishedRunError: when there are fewer, one is named twice, or one holds no run
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
