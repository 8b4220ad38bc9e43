# SPDX-License-Identifier: Apache-2.0
"""Metrics by how much of the object is visible, as a table."""

from __future__ import annotations

from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.catalogue import Metric, catalogue
from posegrasp_ros.metrics.visible_share_slices import ABSTENTION, ESTIMATED
from posegrasp_ros.report.table import aligned
from posegrasp_ros.report.truth_text import marked, notes_of

ESTIMATE_SENTENCE = ("The visible share is perception's own estimate, because the ground truth does not state it: "
                     'it is wrong where the pose is, and known only for frames with a pose to judge.')
TRUTH_SENTENCE = ('The visible share is that of the ground truth. Where it is below a tenth, no pose is expected: '
                  'such a frame counts only for "no pose given".')


def filled_slices(summary: dict) -> list[dict]:
    """The slices of a summary that have frames; none where it is not known how much is visible."""
    return [each for each in (summary.get('by_visible_share') or {}).get('slices', ()) if each['frames']]


def slice_label(each: dict) -> str:
    """Name and range of a slice, such as ``partly hidden, 70–90 %``."""
    return f'{each["name"]}, {100 * each["low"]:.0f}–{100 * each["high"]:.0f} %'


def metric_label(name: str) -> str:
    """Display name of a metric of slices."""
    return _metric(name).label


def share_sentence(summary: dict) -> str:
    """Where it is known from how much is visible, and in how many frames it is not; empty if in none."""
    if not filled_slices(summary):
        return ''
    by_share = summary['by_visible_share']
    sentence = ESTIMATE_SENTENCE if by_share['source'] == ESTIMATED else TRUTH_SENTENCE
    unknown = by_share['unknown']
    return sentence + (f' It is not known for {unknown} frame{"s" if unknown > 1 else ""}.' if unknown else '')


def share_rows(summary: dict) -> list[str]:
    """The table as aligned plain text: value, 95 % interval and number of observations."""
    slices = filled_slices(summary)
    if not slices:
        return []
    is_estimated = summary['by_visible_share']['source'] == ESTIMATED
    rows = [['visible (estimated)' if is_estimated else 'visible', *map(slice_label, slices)],
            ['frames', *(str(each['frames']) for each in slices)]]
    for name in slices[0]['metrics']:
        rows.append([_metric(name).heading, *(_cell(each['metrics'][name]) for each in slices)])
    return [*aligned(rows), *(f'*: {note}' for note in notes_of(slices))]


def _metric(name: str) -> Metric:
    return ABSTENTION if name == ABSTENTION.name else catalogue()[name]


def _cell(metric: dict) -> str:
    if not metric['n']:
        return formatting.NOTHING
    interval = '' if metric['interval'] is None else f' {formatting.interval(metric["interval"], metric["unit"])}'
    return f'{marked(metric)}{interval} ({metric["n"]})'
