"""The text of a hand-kept baselines file: entries are added as lines, all other lines stay as they are."""

from __future__ import annotations

import yaml

from posegrasp_ros.metrics.baselines.baselines import BaselineError


class BaselinesText:
    """A baselines file as lines, and where in them what stands.

    :param text: of a baselines file that can be read
    """

    def __init__(self, text: str):
        self._lines = text.splitlines()
        self._metrics = _child(yaml.compose(text), 'metrics')

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that it has."""
        return [key.value for key, _ in self._metrics.value]

    def unit(self, metric: str) -> str:
        """The unit that the metric's values are stated in."""
        return _child(_child(self._metrics, metric), 'unit').value

    def with_metric(self, lines: list[str]) -> str:
        """The text with one more metric at the end, given as lines."""
        indent = 2 if self._metrics.flow_style else self._metrics.start_mark.column
        return self._with_lines_in(self._metrics, [' ' * indent + line for line in lines])

    def with_entry(self, metric: str, entry: dict[str, object]) -> str:
        """The text with an entry in the place of the metric's entry of the same kind and name, else as its last.

        :raises BaselineError: when the entries are not in lines of their own
        """
        block, entries = _child(self._metrics, metric), self._entries(metric)
        indent = block.start_mark.column + 2 if entries.flow_style else entries.start_mark.column
        lines = [f'{" " * indent}{"- " if index == 0 else "  "}{key}: {_in_one_line(value)}'
                 for index, (key, value) in enumerate(entry.items())]
        other = _entry_of(entries, entry['kind'], entry['name'])
        return self._with_lines_in(entries, lines) if other is None else self._with_lines_for(other, lines)

    def without_entry(self, metric: str, kind: str, name: str) -> str:
        """The text without the metric's entry of a kind and name, where it has one.

        :raises BaselineError: when the entries are not in lines of their own
        """
        entries = self._entries(metric)
        other = _entry_of(entries, kind, name)
        if other is None:
            return _joined(self._lines)
        is_last = len(entries.value) == 1
        return self._with_lines_for(other, [' ' * entries.start_mark.column + '[]'] if is_last else [])

    def _entries(self, metric: str) -> yaml.SequenceNode:
        entries = _child(_child(self._metrics, metric), 'entries')
        if entries.flow_style and entries.value:
            raise BaselineError(f'metrics.{metric}.entries: expected each entry in lines of its own, got them in '
                                'brackets')
        return entries

    def _with_lines_for(self, node: yaml.Node, lines: list[str]) -> str:
        """The text with lines in the place of a node's own."""
        return _joined(self._lines[:node.start_mark.line] + lines + self._lines[_last_line(node) + 1:])

    def _with_lines_in(self, collection: yaml.CollectionNode, lines: list[str]) -> str:
        """The text with lines as the last of a collection, which may be an empty ``[]`` or ``{}``."""
        last = _last_line(collection)
        before = self._lines[:last + 1]
        if collection.flow_style:
            start, end = collection.start_mark.column, collection.end_mark.column
            before[last] = (before[last][:start].rstrip() + before[last][end:]).rstrip()
        return _joined(before + lines + self._lines[last + 1:])


def _joined(lines: list[str]) -> str:
    return '\n'.join(lines) + '\n'


def _child(mapping: yaml.MappingNode, name: str) -> yaml.Node:
    return next(value for key, value in mapping.value if key.value == name)


def _entry_of(entries: yaml.SequenceNode, kind: str, name: str) -> yaml.MappingNode | None:
    return next((each for each in entries.value
                 if (_child(each, 'kind').value, _child(each, 'name').value) == (kind, name)), None)


def _last_line(node: yaml.Node) -> int:
    """Number of the last line that a node's own text is on; comments behind it are not its own."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return _last_line(node.value[-1])
    return node.end_mark.line - (node.end_mark.column == 0)


def _in_one_line(value: object) -> str:
    """A text, number, truth value or list of such as YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix('...\n').strip()
