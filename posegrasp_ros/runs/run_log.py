# SPDX-License-Identifier: Apache-2.0
"""Lines of metrics.jsonl besides the stage reports, and the run that all lines make up.

A line is a stage report, or has one of these fields:

``frame``
    what the metrics need of one object in one image, see :meth:`FrameRecord.to_row`; the last one counts
``forgotten``
    stamps and objects of frames that later summaries leave out
``summary``
    what else a summary depends on, see :class:`SummaryInputs`; the last one belongs to summary.json
``pictures``, ``clips``
    those of the report
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posegrasp_ros.metrics.frame_columns import table_of
from posegrasp_ros.metrics.frame_record import FrameRecord, RecordKey
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.report.clips import Clip, clips_from
from posegrasp_ros.runs.report_log import NAME, log_paths, read_lines
from posegrasp_ros.runs.run_summary import UNNAMED, SummaryInputs
from posegrasp_ros.runtime.errors import InvalidInputError

FRAME, FORGOTTEN, SUMMARY, PICTURES, CLIPS = 'frame', 'forgotten', 'summary', 'pictures', 'clips'
OTHER_THAN_REPORTS = frozenset({FRAME, FORGOTTEN, SUMMARY, PICTURES, CLIPS})


class RunLogError(InvalidInputError):
    """A metrics.jsonl that cannot be read."""


def frame_line(key: RecordKey, row: dict[str, Any], **context: str) -> dict[str, Any]:
    """Line of a frame's row.

    :param context: further fields, such as the estimator's name
    """
    return {**context, 'stamp_ns': key.stamp_ns, **({'object': key.object} if key.object else {}), FRAME: row}


def forgotten_line(keys: Iterable[RecordKey]) -> dict[str, Any]:
    """Line of frames that are left out from here on."""
    return {FORGOTTEN: [list(key) for key in keys]}


@dataclass
class RunLog:
    """The run in a metrics.jsonl.

    :param frames: by estimator
    :param inputs: of the last summary; None where there was none
    :param is_finished: whether nothing came after the last summary
    :param warnings: lines that are none, one text each
    """

    frames: dict[str, dict[RecordKey, FrameRecord]] = field(default_factory=lambda: defaultdict(dict))
    inputs: SummaryInputs | None = None
    pictures: list[dict[str, Any]] = field(default_factory=list)
    clips: list[Clip] = field(default_factory=list)
    is_finished: bool = False
    warnings: list[str] = field(default_factory=list)

    def tables(self) -> dict[str, FrameTable]:
        """The frames as columns, by estimator.

        :raises RunLogError: when frames of an estimator or object are missing
        """
        if self.inputs is None:
            raise RunLogError('expected what the summary depends on, found none')
        tables = {}
        for estimator, facts in self.inputs.facts.items():
            places = {name: place for place, name in enumerate(facts.objects)}
            records = self.frames.get(estimator, {})
            if strange := {key.object for key in records} - set(places):
                raise RunLogError(f'expected frames of {", ".join(places)}, found {", ".join(sorted(strange))}')
            keys = sorted(records, key=lambda key: (places[key.object], key.stamp_ns))
            tables[estimator] = table_of({key: records[key] for key in keys}, facts)
        return tables


def read_run_log(folder: Path) -> RunLog:
    """Read all lines of a run.

    Of a run that was killed, images with reports and without a row are made of their reports.

    :raises RunLogError: when there are none
    """
    paths = log_paths(folder)
    if not paths:
        raise RunLogError(f'{folder / NAME}: no such file; expected a run folder written by evaluate, '
                          'demo or the monitor')
    log = RunLog()
    reported: dict[RecordKey, FrameRecord] = {}
    for place, fields in read_lines(paths, log.warnings, RunLogError):
        try:
            _take(log, reported, fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warnings.append(f'{place}: left out: {error}')
    if not log.is_finished:
        log.frames[UNNAMED] |= reported
    return log


def _take(log: RunLog, reported: dict[RecordKey, FrameRecord], fields: dict[str, Any]) -> None:
    """Take one line.

    :param reported: frames of which there are only reports so far
    """
    if SUMMARY in fields:
        log.inputs, log.is_finished = SummaryInputs.from_dict(fields[SUMMARY]), True
    elif PICTURES in fields:
        log.pictures = list(fields[PICTURES])
    elif CLIPS in fields:
        log.clips = clips_from(fields[CLIPS])
    elif FRAME in fields:
        key = RecordKey(int(fields['stamp_ns']), str(fields.get('object', '')))
        log.frames[str(fields.get('estimator', UNNAMED))][key] = FrameRecord.from_row(fields[FRAME])
        reported.pop(key, None)
        log.is_finished = False
    elif FORGOTTEN in fields:
        for stamp_ns, name in fields[FORGOTTEN]:
            log.frames[UNNAMED].pop(RecordKey(stamp_ns, name), None)
    elif 'estimator' not in fields and 'bag' not in fields and log.inputs is not None:
        report, names = StageReport.from_dict(fields), tuple(log.inputs.facts[UNNAMED].objects)
        key = RecordKey(report.stamp_ns, names[0] if len(names) == 1 else report.object)
        if key.object in names and key not in log.frames[UNNAMED]:
            reported.setdefault(key, FrameRecord()).take_report(report)
