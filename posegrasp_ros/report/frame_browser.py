# SPDX-License-Identifier: Apache-2.0
"""Data of the frame browser in a run's report: plain values that the page's script filters and sorts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from posegrasp_ros.metrics.formatting import reason, shown_value
from posegrasp_ros.report.failure_groups import FailureGroup
from posegrasp_ros.report.frame_rows import CAUSES, OUTCOMES, FrameRow, FrameRows

SHOWN = {'position_mm': ('Position', None, ' mm'), 'rotation_deg': ('Rotation', None, '°'),
         'score': ('Score', 2, ''), 'visible': ('Visible', 0, ' %'), 'latency_ms': ('Time', 0, ' ms')}
"""Columns of numbers: heading, digits, None for as many as :func:`posegrasp_ros.metrics.formatting.number` gives,
and unit. One without any number is left out."""
COLUMNS = ('place', 'object', 'outcome', 'said', 'position_mm', 'rotation_deg', 'error', 'score', 'visible',
           'latency_ms', 'picture', 'stamp_ns')
"""Fields of a row, in their order. ``error`` is relative to the need, -1 stands for no pose."""


def browser_data(frames: FrameRows, groups: Sequence[FailureGroup] = ()) -> dict[str, Any]:
    """All rows, with each word that repeats stated once.

    :param groups: failures shown elsewhere on the page, whose pictures are taken from there
    :return: {recording: name of the only one, columns, shown: [{name, heading, digits, unit}], objects,
        outcomes: [{name, text, failed, count}], pictures, rows}; a row refers to objects, outcomes and pictures by
        their places, -1 for no picture
    """
    outcomes = [name for name in OUTCOMES if frames.counts.get(name)]
    objects = list(dict.fromkeys(row.object for row in frames.rows))
    recordings = {row.recording for row in frames.rows}
    only = recordings.pop() if len(recordings) == 1 else ''
    elsewhere = {id(row): f'#f{place}-{number}' for place, group in enumerate(groups)
                 for number, row in enumerate(group.rows)}
    pictures: list[str] = []
    rows = []
    for row in frames.rows:
        if row.picture:
            pictures.append(elsewhere.get(id(row), row.picture))
        rows.append([row.place.removeprefix(f'{only}, '), objects.index(row.object), outcomes.index(row.outcome),
                     reason(row.reason), *_numbers(row), len(pictures) - 1 if row.picture else -1,
                     str(row.stamp_ns)])
    return {'recording': only, 'columns': list(COLUMNS), 'objects': objects, 'pictures': pictures, 'rows': rows,
            'shown': [{'name': name, 'heading': heading, 'digits': digits, 'unit': unit}
                      for name, (heading, digits, unit) in SHOWN.items()
                      if any(row[COLUMNS.index(name)] is not None for row in rows)],
            'outcomes': [{'name': name, 'text': OUTCOMES[name], 'failed': name in CAUSES,
                          'count': frames.counts[name]} for name in outcomes]}


def _numbers(row: FrameRow) -> list[float | None]:
    """The numbers of a row in display units, as short as their display needs."""
    error = -1.0 if row.error == math.inf else row.error
    values = (_shown(row.position_m, 'm'), _shown(row.rotation_rad, 'rad'), error, row.score,
              _shown(row.visible_share, '1'), row.latency_ms)
    return [None if value is None else round(value, 4) for value in values]


def _shown(value: float | None, unit: str) -> float | None:
    return None if value is None else shown_value(value, unit)
