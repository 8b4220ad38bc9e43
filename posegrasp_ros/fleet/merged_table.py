# SPDX-License-Identifier: Apache-2.0
"""The frames of many results as one FrameTable, in bounded memory: one estimator at a time, columns alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from posegrasp_ros.fleet.frame_schema import ERRORS, INSTANCES
from posegrasp_ros.fleet.stored_result import StoredResult
from posegrasp_ros.metrics.coded_column import CodedColumn, compacted
from posegrasp_ros.metrics.frame_columns import UNKNOWN_COVARIANCE, RunFacts
from posegrasp_ros.metrics.frame_record import FLAGS, NUMBERS
from posegrasp_ros.metrics.frame_table import NO_REPORT, FrameTable, Reported
from posegrasp_ros.metrics.pose.pose_errors import NOT_FOUND
from posegrasp_ros.metrics.stage_report import STAGES
from posegrasp_ros.metrics.truth_spread import spread_of

if TYPE_CHECKING:
    import pyarrow as pa

READ = ('object', 'stamp_ns', 'state', *FLAGS, *NUMBERS,
        *(f'{stage}_{what}' for stage in STAGES for what in ('ok', 'reason', 'latency_ms', 'lost')),
        *(name for name in ERRORS if name != 'adi_m'), *(f'instances_{name}' for name in INSTANCES), 'taken_for',
        'stray_poses', 'truth_covariance')
SMALL = {'fits_grasp': np.float16}
"""Of 0, 1 and NaN alone."""
CODED_COLUMNS = ('taken_for', 'states', *(f'{stage}_reason' for stage in STAGES))


class MergedTables(Mapping[str, FrameTable]):
    """Tables by estimator, read again on each access, so that only one at a time is in memory.

    :param facts: of each estimator's frames
    :param where: SQL condition on the rows; empty for all
    """

    def __init__(self, results: Sequence[StoredResult], facts: Mapping[str, RunFacts], where: str = ''):
        self._results, self._facts, self._where = results, facts, where

    def __getitem__(self, estimator: str) -> FrameTable:
        import pyarrow as pa

        counts: Counter[str] = Counter()
        for result in self._results:
            counts.update(result.counts(estimator, self._where))
        first = self._results[0]
        builder = _Builder(self._facts[estimator], counts, first.document['first_ns'] + first.shift_ns)
        for result in self._results:
            builder.add(result.rows(estimator, READ, self._where), result.shift_ns)
        pa.default_memory_pool().release_unused()
        return builder.table()

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


class _Column:
    """A column of a known length that is filled part by part: without memory as long as it repeats one value."""

    def __init__(self, length: int):
        self._length, self._filled = length, 0
        self._value: np.ndarray | None = None
        self._array: np.ndarray | None = None

    def fill(self, first: int, part: np.ndarray) -> None:
        """Rows from ``first`` on."""
        if not len(part):
            return
        if self._array is None:
            small = compacted(part)
            value = part[:1].copy()
            is_nan_alike = value.dtype.kind == 'f'
            if (len(part) == 1 or small.strides[0] == 0) and (
                    self._value is None or np.array_equal(value, self._value, equal_nan=is_nan_alike)):
                self._value = value
                return
            self._array = np.empty((self._length, *part.shape[1:]), dtype=part.dtype)
            if self._value is not None:
                self._array[:] = self._value
        self._array[first:first + len(part)] = part

    def array(self) -> np.ndarray:
        """All rows."""
        if self._array is not None:
            return self._array
        value = self._value
        assert value is not None
        return np.broadcast_to(value[0], (self._length, *value.shape[1:]))


class _Builder:
    """Fills columns, object by object, recording by recording.

    :param counts: number of rows of each object
    :param first_ns: before all stamps: blocks are counted from there, as small numbers
    """

    def __init__(self, facts: RunFacts, counts: Mapping[str, int], first_ns: int):
        self._facts, self._first_block = facts, first_ns // facts.block_ns
        self._counts = {name: counts.get(name, 0) for name in facts.objects}
        self._length = sum(self._counts.values())
        ends = np.cumsum(list(self._counts.values()))
        self._next = {name: int(end) - self._counts[name] for name, end in zip(self._counts, ends)}
        self._filled: dict[str, _Column] = {}
        self._words: dict[str, dict[Hashable, int]] = {name: {} for name in CODED_COLUMNS}

    def add(self, rows: pa.Table, shift_ns: int) -> None:
        """Add rows of one recording, which are ordered by object and stamp."""
        if not rows.num_rows:
            return
        rows = rows.combine_chunks()
        columns, objects = self._columns(rows, shift_ns), rows['object'].combine_chunks()
        for name in self._facts.objects:
            mask = _coded(objects, name.__eq__)
            if not mask.any():
                continue
            first, last = int(np.argmax(mask)), len(mask) - int(np.argmax(mask[::-1]))
            for column, values in columns.items():
                self._filled.setdefault(column, _Column(self._length)).fill(self._next[name], values[first:last])
            self._next[name] += last - first

    def table(self) -> FrameTable:
        """All rows, object by object."""
        names, repeats = list(self._counts), list(self._counts.values())
        sizes = [self._facts.objects[name] for name in names]
        joined = {column: self._filled[column].array() if self._length else EMPTY[column] for column in EMPTY}

        def constant(values: Sequence[Any], kind: type) -> np.ndarray:
            if len(set(values)) == 1:
                return np.broadcast_to(np.array(values[0], dtype=kind), self._length)
            return np.repeat(np.array(values, dtype=kind), repeats)

        def coded(column: str) -> CodedColumn:
            return CodedColumn(joined.pop(column), tuple(self._words[column]))

        return FrameTable(
            objects=CodedColumn(constant(range(len(names)), np.int8), names), block_s=self._facts.block_ns / 1e9,
            lost={stage: joined.pop(f'{stage}_lost') for stage in STAGES},
            reports={stage: Reported(joined.pop(f'{stage}_ok'), coded(f'{stage}_reason')) for stage in STAGES},
            latency_ms={stage: joined.pop(f'{stage}_latency_ms') for stage in STAGES},
            taken_for=coded('taken_for'), states=coded('states'),
            measures_poses=constant([size.measures_poses for size in sizes], bool),
            diameter_m=constant([np.nan if size.diameter_m is None else size.diameter_m for size in sizes], float),
            tolerance_m=constant([size.tolerance.position_m for size in sizes], float),
            tolerance_rad=constant([size.tolerance.rotation_rad for size in sizes], float),
            repeats=self._facts.repeats, **joined)

    def _columns(self, rows: pa.Table, shift_ns: int) -> dict[str, np.ndarray]:
        """The columns of a FrameTable that differ from row to row."""
        flags = {name: _flags(rows[name]) for name in FLAGS}
        lost = {f'{stage}_lost': _flags(rows[f'{stage}_lost']) for stage in STAGES}
        ok = {f'{stage}_ok': _array(rows[f'{stage}_ok'].cast('int8'), NO_REPORT) for stage in STAGES}
        has_truth = flags['has_truth']
        if self._facts.knows_images:
            has_truth = has_truth & (flags['has_image'] | (ok['perception_ok'] != NO_REPORT))
        stamps = _array(rows['stamp_ns'], 0) + shift_ns
        said_found = ok['perception_ok'] == 1
        return {
            'stamps_ns': stamps, 'has_image': flags['has_image'], 'has_truth': has_truth,
            'blocks': (stamps // self._facts.block_ns - self._first_block).astype(np.int32),
            'is_without_object': flags['is_without_object'], **lost, **ok,
            'has_lost_pose': has_truth & ~flags['has_estimate'] & (said_found | lost['perception_lost']),
            **{f'{stage}_latency_ms': _numbers(rows[f'{stage}_latency_ms']) for stage in STAGES},
            **{f'{stage}_reason': self._codes(f'{stage}_reason', rows[f'{stage}_reason']) for stage in STAGES},
            **{column: _array(rows[name], getattr(NOT_FOUND, name)) for column, name in (
                ('position_error_m', 'position_m'), ('rotation_error_rad', 'rotation_rad'),
                ('add_error_m', 'add_m'), ('mssd_m', 'mssd_m'), ('mspd_px', 'mspd_px'),
                ('projection_error_px', 'projection_px'))},
            **{name: _numbers(rows[name]).astype(SMALL.get(name, float), copy=False) for name in NUMBERS},
            'instances': np.stack([_array(rows[f'instances_{name}'], 0) for name in INSTANCES], axis=1),
            'taken_for': self._taken(rows['taken_for'].combine_chunks()),
            'stray_poses': _array(rows['stray_poses'], 0), 'states': self._codes('states', rows['state']),
            'truth_spreads': _spreads(rows['truth_covariance'].combine_chunks())}

    def _codes(self, column: str, words: pa.ChunkedArray) -> np.ndarray:
        known = self._words[column]
        return _coded(words.combine_chunks(), lambda word: known.setdefault(word, len(known)), np.int16)

    def _taken(self, lists: pa.Array) -> np.ndarray:
        """Codes of lists, most of which hold one word or none."""
        known = self._words['taken_for']
        codes: np.ndarray = np.full(len(lists), known.setdefault((), len(known)), dtype=np.int16)
        lengths = np.diff(lists.offsets.to_numpy())
        if lengths.any():
            for place in np.flatnonzero(lengths > 1).tolist():
                codes[place] = known.setdefault(tuple(lists[place].as_py()), len(known))
            single = lengths == 1
            words = lists.values.take(lists.offsets.filter(np.append(single, False))).dictionary_encode()
            codes[single] = _coded(words, lambda word: known.setdefault((word,), len(known)), np.int16)
        return codes


def _coded(words: pa.Array, code: Any, kind: type = bool) -> np.ndarray:
    """(N,) a code for each word of a dictionary array."""
    import pyarrow as pa

    if not pa.types.is_dictionary(words.type):
        words = words.dictionary_encode()
    codes: np.ndarray = np.array([code(word) for word in words.dictionary.to_pylist()], dtype=kind)
    return codes[words.indices.to_numpy(zero_copy_only=False)]


def _array(column: pa.ChunkedArray, unknown: Any) -> np.ndarray:
    import pyarrow.compute as pc

    if column.null_count:
        column = pc.fill_null(column, unknown)
    return column.to_numpy()


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    if column.null_count == len(column):
        return np.broadcast_to(np.nan, len(column))
    return _array(column, np.nan)


def _flags(column: pa.ChunkedArray) -> np.ndarray:
    return _array(column, False)


def _spreads(triangles: pa.Array) -> np.ndarray:
    """(N, 4) of covariances that are stated by their upper triangles."""
    known = triangles.is_valid().to_numpy(zero_copy_only=False)
    spreads = np.full((len(triangles), 4), np.nan)
    if known.any():
        upper = triangles.drop_null().flatten().to_numpy().reshape(-1, 21)
        matrices = np.zeros((len(upper), 6, 6))
        rows, columns = np.triu_indices(6)
        matrices[:, rows, columns] = matrices[:, columns, rows] = upper
        spreads[known] = spread_of(matrices)
    return compacted(spreads)


def _empty() -> dict[str, np.ndarray]:
    """Of a table without rows."""
    integers = {'stamps_ns': np.int64, 'blocks': np.int32, 'stray_poses': np.int32,
                **{f'{stage}_ok': np.int8 for stage in STAGES}, **dict.fromkeys(CODED_COLUMNS, np.int16)}
    numbers = [*NUMBERS, 'position_error_m', 'rotation_error_rad', 'add_error_m', 'mssd_m', 'mspd_px',
               'projection_error_px', *(f'{stage}_latency_ms' for stage in STAGES)]
    flags = ['has_image', 'has_truth', 'is_without_object', 'has_lost_pose',
             *(f'{stage}_lost' for stage in STAGES)]
    return {**{name: np.zeros(0, dtype=kind) for name, kind in integers.items()},
            **{name: np.zeros(0, dtype=SMALL.get(name, float)) for name in numbers},
            **{name: np.zeros(0, dtype=bool) for name in flags},
            'instances': np.zeros((0, 3), dtype=np.int32),
            'truth_spreads': spread_of(UNKNOWN_COVARIANCE[None])[:0]}


EMPTY = _empty()
