# SPDX-License-Identifier: Apache-2.0
"""StoredResult: a result file as merging reads it, with what its recording is moved by behind those before it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from posegrasp_ros.datasets.frame_sources import shift_behind
from posegrasp_ros.fleet.locations import store_of, told
from posegrasp_ros.fleet.partition_values import DATE, MODEL, partition_values
from posegrasp_ros.fleet.result_file import ResultError, ResultFolder, check_complete, read_document
from posegrasp_ros.fleet.retries import tried
from posegrasp_ros.runtime.errors import quoted

if TYPE_CHECKING:
    import pyarrow as pa

ROW = 'posegrasp_place_of_row'
CODED = ('estimator', 'object', 'state', 'bag', 'perception_reason', 'planning_reason', 'execution_reason')


@dataclass(frozen=True)
class StoredResult:
    """The frames of one recording.

    :param url: of the Parquet file
    :param document: see :mod:`posegrasp_ros.fleet.frame_schema`
    :param shift_ns: added to its stamps, so that they lie behind those of the recordings before
    """

    url: str
    document: Mapping[str, Any]
    shift_ns: int = 0

    @property
    def columns(self) -> dict[str, str]:
        """What is the same in all its rows."""
        found = partition_values(self.url)
        return {'bag': self.document['bag'], MODEL: found.get(MODEL, self.document['model']),
                DATE: found.get(DATE, ''), **self.document['columns']}

    @property
    def block_ns(self) -> int:
        """Length of its time blocks."""
        return int(next(iter(self.document['facts'].values()))['block_ns'])

    def counts(self, estimator: str, where: str = '') -> dict[str, int]:
        """Number of an estimator's rows by object; see :meth:`rows`."""
        if not where and 'objects' in self.document:
            return self.document['objects'][estimator]
        words = self.rows(estimator, ('object',), where)['object'].value_counts()
        return {each['values']: each['counts'] for each in words.to_pylist()}

    def rows(self, estimator: str, columns: Collection[str], where: str = '') -> pa.Table:
        """Rows of an estimator, in their order.

        :param where: SQL condition on any columns; empty for all rows
        :raises ResultError: when the file cannot be read, or the condition
        """
        import pyarrow as pa

        place = list(self.document['rows']).index(estimator)
        with opened(self.url) as file:
            if not self.document['rows'][estimator]:
                return file.schema_arrow.empty_table().select(list(columns))
            table = file.read_row_group(place, columns=None if where else list(columns), use_threads=True)
        if where:
            own = {name: pa.array([value] * table.num_rows) for name, value in self.columns.items()
                   if name not in table.column_names}
            for name, column in own.items():
                table = table.append_column(name, column)
            table = table.take(pa.array(chosen_rows(table, where))).select(list(columns))
        return table


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """A Parquet file, as ``pyarrow.parquet.ParquetFile``.

    :raises ResultError: when it cannot be read
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if '://' not in url:
            with pq.ParquetFile(url, read_dictionary=list(CODED)) as file:
                yield file
            return
        store, path = store_of(url)
        with store.open(path, 'rb') as stream, pq.ParquetFile(stream, read_dictionary=list(CODED)) as file:
            yield file
    except KeyError as error:
        raise ResultError(f'{url}: expected frames of posegrasp evaluate --shard, found no column '
                          f'{quoted(_name(error.args[0]))}') from error
    except (pa.ArrowInvalid, OSError) as error:
        raise ResultError(f'{url}: expected a Parquet file that can be read: {told(error)}') from error


def chosen_rows(table: pa.Table, where: str) -> np.ndarray:
    """(M,) rows for which an SQL condition holds.

    :raises ResultError: when it is no condition on these columns
    """
    import duckdb

    numbered = table.append_column(ROW, [np.arange(table.num_rows)])
    with duckdb.connect() as database:
        database.register('frames', numbered)
        try:
            found = database.execute(f'SELECT {ROW} FROM frames WHERE ({where})').fetchnumpy()[ROW]
        except duckdb.Error as error:
            raise ResultError(f'--where {where}: expected an SQL condition on the columns of frames: '
                              f'{str(error).splitlines()[0]}') from error
    rows = np.unique(np.asarray(found))
    if len(rows) != len(found):
        raise ResultError(f'--where {where}: expected a condition, found SQL that takes rows twice')
    return rows


def read_results(folder: ResultFolder) -> list[StoredResult]:
    """All results in the order of their recordings.

    :raises ResultError: when there are none
    """
    results = []
    for url in folder.found().values():
        def document(url: str = url) -> dict[str, Any]:
            with opened(url) as file:
                found = read_document(file, url)
                check_complete(found, file, url)
                return found

        results.append(StoredResult(url, tried(document)))
    if not results:
        raise ResultError(f'{folder.url}: expected results of posegrasp evaluate --shard, found none')
    return sorted(results, key=lambda each: (each.document['bag'], each.url))


def one_after_the_other(results: Sequence[StoredResult]) -> list[StoredResult]:
    """The results with their stamps moved as those of the recordings would be in a single run.

    See :func:`posegrasp_ros.datasets.frame_sources.sourced_frames`.
    """
    moved, last_ns = [], None
    for result in results:
        first_ns, newest_ns = result.document['first_ns'], result.document['last_ns']
        shift_ns = shift_behind(last_ns, first_ns, result.block_ns)
        last_ns = max(newest_ns + shift_ns, -1 if last_ns is None else last_ns)
        moved.append(replace(result, shift_ns=shift_ns))
    return moved


def _name(found: object) -> str:
    """Of a column as pyarrow's errors have it."""
    return found.decode(errors='replace') if isinstance(found, bytes) else str(found)
