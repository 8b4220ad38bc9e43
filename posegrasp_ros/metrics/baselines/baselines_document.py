# SPDX-License-Identifier: Apache-2.0
"""BaselinesDocument: a hand-kept baselines file, edited so that its comments stay with what they are about.

ruamel.yaml keeps comments, order, quotation marks and the style of collections. What carries no meaning is evened
out: spaces within a line, indentation that differs within the file, and text that is folded over several lines.
"""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import yaml
from ruamel.yaml import YAML, CommentedMap, CommentedSeq, CommentToken
from ruamel.yaml.error import CommentMark
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString

NO_LINE_BREAKS = 10**6


class BaselinesDocument:
    """A baselines file to be changed.

    :param text: of a baselines file that can be read
    :raises ruamel.yaml.error.YAMLError: on what only PyYAML takes, such as a key that stands twice
    """

    def __init__(self, text: str):
        start = re.search('^---.*\n', text, re.MULTILINE)
        self._head = text[:start.end()] if start else ''  # ruamel.yaml drops comments above the document's start
        self._yaml = YAML()
        self._yaml.preserve_quotes = True
        self._yaml.width = NO_LINE_BREAKS
        self._document: CommentedMap = self._yaml.load(text[len(self._head):])
        self._yaml.indent(**_indentation(self._metrics))

    @property
    def _metrics(self) -> CommentedMap:
        return self._document['metrics']

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that it has."""
        return list(self._metrics)

    def unit(self, metric: str) -> str:
        """The unit that the metric's values are stated in."""
        return str(self._metrics[metric]['unit'])

    def add_metric(self, metric: str, unit: str, direction: str) -> None:
        """One more metric at the end, without entries."""
        after = _take_comment(*_end_of(self._document, 'metrics'))
        if not self._metrics:
            self._document['metrics'] = CommentedMap()  # not in brackets
        self._metrics[metric] = _in_lines({'unit': unit, 'direction': direction, 'entries': []})
        _put_comment(*_end_of(self._document, 'metrics'), after)

    def set_entry(self, metric: str, entry: dict[str, object]) -> None:
        """Put an entry in the place of the metric's entry of the same kind and name, else as its last."""
        known, index = self._metrics[metric], self._index(metric, entry['kind'], entry['name'])
        place = (known, 'entries') if index is None else (known['entries'], index)
        after = _take_comment(*_end_of(*place))
        if index is not None:
            known['entries'][index] = _in_lines(entry)
        elif known['entries']:
            known['entries'].append(_in_lines(entry))
        else:
            known['entries'] = CommentedSeq([_in_lines(entry)])  # not in brackets
        _put_comment(*_end_of(*place), after)

    def remove_entry(self, metric: str, kind: str, name: str) -> None:
        """Take out the metric's entry of a kind and name, where it has one."""
        known, index = self._metrics[metric], self._index(metric, kind, name)
        if index is None:
            return
        entries = known['entries']
        after = _take_comment(*_end_of(entries, index))
        del entries[index]
        if not entries:
            entries.fa.set_flow_style()
        container, key = _end_of(entries, index - 1) if index else (known, 'entries')
        _put_comment(container, key, after)

    def text(self) -> str:
        """The file as changed."""
        text = StringIO()
        self._yaml.dump(self._document, text)
        return self._head + text.getvalue()

    def _index(self, metric: str, kind: object, name: object) -> int | None:
        entries = self._metrics[metric]['entries']
        return next((index for index, entry in enumerate(entries)
                     if (entry['kind'], entry['name']) == (kind, name)), None)


def _indentation(metrics: CommentedMap) -> dict[str, int]:
    """As in the first metric that has entries in lines of their own."""
    mapping = 2 if metrics.fa.flow_style() or not metrics else metrics.lc.col
    for metric in metrics.values():
        entries = metric['entries']
        if entries and not entries.fa.flow_style():
            columns = entries.lc.col - metric.lc.col, entries[0].lc.col - metric.lc.col
            return {'mapping': mapping, 'offset': columns[0], 'sequence': columns[1]}
    return {'mapping': mapping, 'offset': 2, 'sequence': 4}


def _in_lines(fields: dict[str, object]) -> CommentedMap:
    """Quoted where PyYAML, which reads the file, would take a text for something else."""
    lines = [f'{key}: {yaml.safe_dump(value, default_flow_style=True, width=NO_LINE_BREAKS, allow_unicode=True)}'
             for key, value in fields.items()]
    reader = YAML()
    reader.preserve_quotes = True
    return reader.load(''.join(line.removesuffix('...\n') for line in lines))


def _end_of(container: Any, key: Any) -> tuple[Any, Any]:
    """Where ruamel.yaml keeps the comment that follows a value: with the last scalar, or brackets, in it."""
    while isinstance(container[key], (CommentedMap, CommentedSeq)) and container[key] \
            and not container[key].fa.flow_style():
        container = container[key]
        key = list(container)[-1] if isinstance(container, CommentedMap) else len(container) - 1
    return container, key


def _take_comment(container: Any, key: Any) -> str:
    """The comment lines that follow a value, which it loses; what stands behind it in its own line stays."""
    slots, slot = container.ca.items.get(key), _slot(container)
    if not slots or slots[slot] is None:
        return ''
    behind, separator, lines = slots[slot].value.partition('\n')
    if _ends_its_line(container[key]):
        behind, lines = '', behind + separator + lines
    slots[slot] = CommentToken(behind + '\n', slots[slot].start_mark, None) if behind else None
    return lines


def _put_comment(container: Any, key: Any, lines: str) -> None:
    """Comment lines to follow a value, after what stands behind it."""
    if not lines:
        return
    slots, slot = container.ca.items.setdefault(key, [None] * 4), _slot(container)
    behind = slots[slot].value if slots[slot] else '' if _ends_its_line(container[key]) else '\n'
    slots[slot] = CommentToken(behind + lines, slots[slot].start_mark if slots[slot] else CommentMark(0), None)


def _slot(container: Any) -> int:
    """Of the comments that ruamel.yaml keeps with a key, the one that follows its value."""
    return 2 if isinstance(container, CommentedMap) else 0


def _ends_its_line(value: object) -> bool:
    return isinstance(value, (FoldedScalarString, LiteralScalarString))
