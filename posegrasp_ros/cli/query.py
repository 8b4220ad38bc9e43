# SPDX-License-Identifier: Apache-2.0
"""``posegrasp query``: SQL over the frames of a fleet."""

from __future__ import annotations

import csv
import io
import math
import shutil
from typing import Annotated, Any

from cyclopts import Group, Parameter

from posegrasp_ros.cli.options import exclusive
from posegrasp_ros.runtime.console import show, show_json
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE

FORMAT = Parameter(group=exclusive(Group('Options', sort_key=0)))
EXAMPLES = """Example:
  posegrasp query results 'select robot, avg(position_m) from frames group by robot'"""


def query(results: str, sql: str, /, *, csv: Annotated[bool, FORMAT] = False,
          json: Annotated[bool, FORMAT] = False) -> int:
    """Query the frames of a fleet with SQL (DuckDB's dialect) over the view `frames`.

    :param results: folder of results of `posegrasp evaluate --shard`, a path or a URL
    :param sql: the query; `describe frames` lists the columns
    :param csv: print comma-separated values
    :param json: print a list of JSON objects
    """
    from posegrasp_ros.fleet.frame_query import as_table, view_of_results

    with view_of_results(results) as view:
        names, rows = view.answer(sql)
    if json:
        if len(set(names)) < len(names):
            raise InvalidInputError('query: expected different names of columns for --json, got '
                                    f'{", ".join(names)}')
        show_json([dict(zip(names, map(_known, row))) for row in rows])
    elif csv:
        show(_csv(names, rows))
    else:
        show(as_table(names, rows, shutil.get_terminal_size((115, 24)).columns))
    return DONE


def _known(value: Any) -> Any:
    """None, which JSON has, in the place of NaN and infinity, which it has not."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(names: list[str], rows: list[tuple]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([names, *rows])
    return text.getvalue().rstrip('\n')
