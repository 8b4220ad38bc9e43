# SPDX-License-Identifier: Apache-2.0
"""Frames of a run as the rows of its report: when, how far off, passed or not, and why."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.coded_column import CodedColumn
from posegrasp_ros.metrics.diagnosis.failure_attribution import (
    NO_IMAGE_WORDS,
    NOT_TRIED,
    REASONS,
    SUCCESS,
    charge,
)
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED, relative_error
from posegrasp_ros.metrics.stage_report import STAGES

PASSED, NOT_COUNTED, UNCHECKED = 'passed', 'not_counted', 'unchecked'
"""Outcomes that are no failure; any other is a cause of failure."""
NEED_MM, NEED_DEG = (f'{formatting.shown_value(value, unit):g}' for value, unit in
                     ((STATED_NEED.position_m, 'm'), (STATED_NEED.rotation_rad, 'rad')))
CAUSES = {
    **{name: formatting.reason(name) for name in REASONS},
    'not_detected': 'no pose given',
    'position': f'position off by {NEED_MM} mm or more',
    'rotation': f'rotation off by {NEED_DEG}° or more',
    'both': f'off by {NEED_MM} mm and {NEED_DEG}° or more',
    'false_pose': 'pose given although the object is absent',
}
OUTCOMES = {PASSED: 'passed', NOT_COUNTED: 'not counted', UNCHECKED: 'answered, not checked', **CAUSES}
MOST_ROWS = 3000
"""Of a longer run the report lists the frames with pictures, then failures, the worst first, then others at even
distances."""


@dataclass(frozen=True)
class Recording:
    """A stretch of frames of one recording.

    :param first_ns: stamp of its first frame, as it was recorded
    :param shift_ns: added to its stamps in the run's metrics
    :param files: names of its images by their stamps as recorded, where each is a file of its own
    """

    name: str
    first_ns: int
    shift_ns: int = 0
    files: dict[int, str] = field(default_factory=dict)

    def place(self, recorded_ns: int) -> str:
        """The image file's name, or the recording's and the time since its first frame."""
        time_s = f'{(recorded_ns - self.first_ns) / 1e9:.2f} s'
        return self.files.get(recorded_ns) or ', '.join(filter(None, (self.name, time_s)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        files = {str(stamp): name for stamp, name in self.files.items()}
        return {'name': self.name, 'first_ns': self.first_ns, 'shift_ns': self.shift_ns,
                **({'files': files} if files else {})}

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> Recording:
        """Inverse of :meth:`to_dict`."""
        files = {int(stamp): str(name) for stamp, name in stated.get('files', {}).items()}
        return cls(str(stated['name']), int(stated['first_ns']), int(stated['shift_ns']), files)


@dataclass(frozen=True)
class FrameRow:
    """One object in one image; numbers that are not known are None.

    :param place: see :meth:`Recording.place`
    :param stamp_ns: as it was recorded
    :param outcome: a key of :data:`OUTCOMES`
    :param reason: what the first stage that failed reported; empty if none did
    :param error: the larger of position and rotation error, relative to the stated need; infinite without a pose
    :param picture: data URI; empty without a picture
    """

    recording: str
    place: str
    stamp_ns: int
    object: str
    outcome: str
    reason: str
    position_m: float | None
    rotation_rad: float | None
    error: float | None
    score: float | None
    visible_share: float | None
    latency_ms: float | None
    picture: str = ''

    @property
    def failed(self) -> bool:
        """Whether it counts as a failure."""
        return self.outcome in CAUSES

    @property
    def found(self) -> str:
        """What was found, for a caption: the errors, or why there is no pose."""
        if self.position_m is not None:
            return (f'{formatting.quantity(self.position_m, "m")}, '
                    f'{formatting.quantity(self.rotation_rad, "rad")} off')
        if self.outcome == UNCHECKED:
            return 'pose given' + (f', score {self.score:.2f}' if self.score is not None else '')
        return formatting.reason(self.reason) if self.reason else OUTCOMES[self.outcome]


@dataclass(frozen=True)
class FrameRows:
    """The frames of a run.

    :param rows: in order of time; of a long run a choice, see :data:`MOST_ROWS`
    :param counts: number of all frames by outcome
    :param median_error: of :attr:`FrameRow.error` over all frames with a pose; None where none is judged
    """

    rows: Sequence[FrameRow]
    counts: Mapping[str, int]
    median_error: float | None = None

    @property
    def total(self) -> int:
        """Number of all frames."""
        return sum(self.counts.values())

    @property
    def judged(self) -> int:
        """Number of frames that passed or failed."""
        return self.passed + self.failed

    @property
    def passed(self) -> int:
        """Number of frames that passed."""
        return self.counts.get(PASSED, 0)

    @property
    def failed(self) -> int:
        """Number of frames that failed."""
        return sum(self.counts.get(cause, 0) for cause in CAUSES)


def recordings_of(summary: Mapping[str, Any]) -> list[Recording]:
    """The recordings that a summary states; none of a live run."""
    return [Recording.from_dict(each) for each in summary.get('recordings') or ()]


def place_in(recordings: Sequence[Recording], name: str, recorded_ns: int) -> str:
    """Where in a recording a frame is: the image file's name, or the recording's and the time since its start.

    :param recorded_ns: stamp as it was recorded
    """
    own = [each for each in recordings if each.name == name and each.first_ns <= recorded_ns]
    if not own:
        return f'{name}, stamp {recorded_ns / 1e9:.3f} s'
    return own[-1].place(recorded_ns)


class RecordedPlaces:
    """Tells which recording a frame of a run is of.

    :param recordings: at least one
    """

    def __init__(self, recordings: Sequence[Recording]):
        self._ordered = sorted(recordings, key=_start_ns)
        self._starts_ns = [_start_ns(each) for each in self._ordered]

    def of(self, stamp_ns: int) -> tuple[Recording, int]:
        """The recording, and the stamp as it was recorded.

        :param stamp_ns: as in the run's metrics
        """
        recording = self._ordered[max(bisect_right(self._starts_ns, stamp_ns) - 1, 0)]
        return recording, stamp_ns - recording.shift_ns


def _start_ns(recording: Recording) -> int:
    return recording.first_ns + recording.shift_ns


def frame_rows(table: FrameTable, headline: str, recordings: Sequence[Recording] = (),
               pictures: Sequence[Mapping[str, Any]] = ()) -> FrameRows:
    """The frames of a run as rows.

    :param headline: name of the run's headline metric, which says what a frame has to pass
    :param recordings: of the frames, in their order; empty for a live run
    :param pictures: see :meth:`posegrasp_ros.report.frame_pictures.FramePictures.pictures`
    """
    outcome, error = outcomes(table, headline), relative_errors(table)
    counts, given = outcome.counts(), error[np.isfinite(error)]
    median_error = float(np.median(given)) if given.size else None
    drawn = {(each['stamp_ns'], each['object']): str(each['data_uri']) for each in pictures if 'stamp_ns' in each}
    places = RecordedPlaces(recordings or (Recording('', int(table.stamps_ns.min()) if len(table) else 0),))
    chosen = _chosen(table, outcome.is_in(CAUSES), error, {stamp for stamp, _ in drawn})
    table, outcome, error = table.chosen(chosen), outcome[chosen], error[chosen]
    reasons, names, words = _reasons(table), _words(table.objects), _words(outcome)
    rows = [_row(table, index, names[index], words[index], reasons[index], error[index], places, drawn)
            for index in np.argsort(table.stamps_ns, kind='stable').tolist()]
    return FrameRows(rows, {name: count for name, count in counts.items() if count}, median_error)


def outcomes(table: FrameTable, headline: str) -> CodedColumn:
    """(N,) outcome of each frame by what the headline counts: its passed frames are those of the headline."""
    codes = {name: code for code, name in enumerate(OUTCOMES)}
    counted = table.counts_for_recall
    charged = charge(table)
    causes = np.array([codes[name] for name in REASONS])
    by_charge = np.select([charged == NOT_TRIED, charged == SUCCESS], [codes[NOT_COUNTED], codes[PASSED]],
                          default=causes[np.clip(charged, 0, None)])
    if headline == 'grasp_success_rate':
        found = by_charge
    elif headline == 'false_poses':
        absent, posed = table.is_without_object, table.answered('perception')
        found = np.select([absent & posed, absent], [codes['false_pose'], codes[PASSED]], codes[NOT_COUNTED])
    elif not counted.any():
        found = np.where(by_charge == codes[PASSED], codes[UNCHECKED], by_charge)
    else:
        far, turned = (table.position_error_m >= STATED_NEED.position_m,
                       table.rotation_error_rad >= STATED_NEED.rotation_rad)
        found = np.select(
            [~counted, table.gave_reason('perception', NO_IMAGE_WORDS), ~np.isfinite(table.position_error_m),
             far & turned, far, turned],
            [codes[name] for name in (NOT_COUNTED, 'no_image', 'not_detected', 'both', 'position', 'rotation')],
            codes[PASSED])
    return CodedColumn(found.astype(np.int8), tuple(OUTCOMES))


def relative_errors(table: FrameTable) -> np.ndarray:
    """(N,) the larger of position and rotation error relative to the stated need; infinite where no pose was
    given, NaN where none is judged."""
    errors = relative_error(table.position_error_m, table.rotation_error_rad)
    return np.where(table.counts_for_recall, errors, math.nan)


def _chosen(table: FrameTable, failed: np.ndarray, error: np.ndarray, drawn: Collection[int]) -> np.ndarray:
    """(N,) which frames to list."""
    chosen = np.ones(len(table), dtype=bool)
    if len(table) <= MOST_ROWS:
        return chosen
    chosen = np.isin(table.stamps_ns, list(drawn))
    first, others = np.flatnonzero(failed & ~chosen), np.flatnonzero(~failed & ~chosen)
    left = max(MOST_ROWS - np.count_nonzero(chosen), 0)
    # The worst that have a pose, then those without one.
    worst_first = np.argsort(-np.nan_to_num(error[first], nan=-1.0, posinf=0.0), kind='stable')
    chosen[first[worst_first][:left]] = True
    left = min(max(left - len(first), 0), len(others))
    chosen[others[np.linspace(0, len(others) - 1, left).astype(int)]] = True
    return chosen


def _reasons(table: FrameTable) -> list[str]:
    """What the first stage that failed reported, for each frame."""
    found = [''] * len(table)
    for stage in reversed(STAGES):
        failed, silent = table.inputs(stage) & ~table.answered(stage), ~table.reported(stage)
        words = _words(table.reports[stage].reasons)
        for index in np.flatnonzero(failed).tolist():
            found[index] = f'{stage}_silent' if silent[index] else words[index] or f'{stage}_failed'
    return found


def _words(column: CodedColumn) -> list[str]:
    return [str(column.words[code]) for code in column.codes.tolist()]


def _row(table: FrameTable, index: int, name: str, outcome: str, reason: str, error: float,
         places: RecordedPlaces, drawn: Mapping[tuple[int, str], str]) -> FrameRow:
    stamp_ns = int(table.stamps_ns[index])
    recording, recorded_ns = places.of(stamp_ns)
    known = np.isfinite(table.position_error_m[index]) and table.counts_for_recall[index]
    return FrameRow(
        recording.name, recording.place(recorded_ns), recorded_ns, name, outcome, reason,
        float(table.position_error_m[index]) if known else None,
        float(table.rotation_error_rad[index]) if known else None,
        None if math.isnan(error) else float(error), _known(table.score[index]),
        _known(table.visible_share[index]), _known(table.latency_ms['perception'][index]),
        drawn.get((stamp_ns, name), ''))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
