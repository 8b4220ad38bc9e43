# SPDX-License-Identifier: Apache-2.0
"""SQL over the frames of a fleet: DuckDB with a view ``frames`` over all results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from posegrasp_ros.fleet.locations import is_url, store_of
from posegrasp_ros.fleet.result_file import ResultError, ResultFolder, read_document
from posegrasp_ros.fleet.stored_result import opened
from posegrasp_ros.runtime.errors import InvalidInputError

VIEW = 'frames'


class QueryError(InvalidInputError):
    """A query that cannot be answered."""


class FramesView:
    """The database of a view."""

    def __init__(self, database: Any):
        self._database = database

    def answer(self, sql: str) -> tuple[list[str], list[tuple]]:
        """Names of the columns, and the rows.

        :raises QueryError: when it is no query, or one that does not fit the columns
        """
        import duckdb

        try:
            self._database.execute(sql)
        except duckdb.Error as error:
            raise QueryError(f'query: expected SQL over the view {VIEW}: {_first_line(error)}') from error
        if self._database.description is None:
            raise QueryError('query: expected a SELECT, found a statement without an answer')
        return [column[0] for column in self._database.description], self._database.fetchall()

    def rows(self, sql: str) -> list[tuple]:
        """The rows alone."""
        return self.answer(sql)[1]


@contextmanager
def view_of(urls: Sequence[str]) -> Iterator[FramesView]:
    """A database with the view over these Parquet files.

    :raises ResultError: when one cannot be read
    """
    import duckdb

    with duckdb.connect() as database:
        if remote := [url for url in urls if is_url(url)]:
            database.register_filesystem(store_of(remote[0])[0])
        names = ', '.join("'" + url.replace("'", "''") + "'" for url in urls)
        try:
            database.execute(f'CREATE VIEW {VIEW} AS SELECT * FROM read_parquet([{names}], union_by_name=true, '
                             'hive_partitioning=true, hive_types_autocast=false)')
        except duckdb.Error as error:
            raise ResultError(f'expected frames of posegrasp evaluate --shard: {_first_line(error)}') from error
        yield FramesView(database)


@contextmanager
def view_of_results(url: str) -> Iterator[FramesView]:
    """The view over all results in a folder.

    :raises ResultError: when there are none
    """
    found = sorted(ResultFolder(url).found().values())
    if not found:
        raise ResultError(f'{url}: expected results of posegrasp evaluate --shard, found none')
    for each in found:
        with opened(each) as file:
            read_document(file, each)
    with view_of(found) as view:
        yield view


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def as_table(names: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> str:
    """Columns below their names, none of them wider than what a terminal has room for.

    :param width: characters of a line
    """
    cells = [[_shown(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells)]
    room = max(4, width - 2 * (len(names) - 1))
    while sum(widths) > room and max(widths) > 4:
        widest = widths.index(max(widths))
        others = sum(widths) - widths[widest]
        second = max([each for place, each in enumerate(widths) if place != widest], default=4)
        widths[widest] = max(4, min(widths[widest] - 1, max(second - 1, room - others)))
    is_number = [all(isinstance(row[place], (int, float)) or row[place] is None for row in rows) and bool(rows)
                 for place in range(len(names))]
    lines = ['  '.join(_fitted(cell, size, right) for cell, size, right in zip(line, widths, is_number)).rstrip()
             for line in [list(names), *cells]]
    return '\n'.join([lines[0], '  '.join('-' * size for size in widths), *lines[1:]])


def _shown(value: Any) -> str:
    if value is None:
        return ''
    return f'{value:.6g}' if isinstance(value, float) else str(value)


def _fitted(text: str, width: int, is_right: bool) -> str:
    short = text if len(text) <= width else f'{text[:width - 1]}…'
    return short.rjust(width) if is_right else short.ljust(width)
