"""baselines.yaml: what each metric is compared with, the source, and whether the comparison is fair."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from pathlib import Path

from posegrasp_ros.metrics.catalogue import catalogue
from posegrasp_ros.metrics.stats.interval import Interval
from posegrasp_ros.metrics.units import FACTORS
from posegrasp_ros.runtime.data_files import read_yaml
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.resources import resource_path

FORMAT = 'posegrasp.baselines/1'
# Whole numbers of YAML have no end, those of the package do; NaN is below nothing.
MOST_NUMBER = 1e300
KINDS = ('requirement', 'published', 'scripted', 'simple_ml', 'human', 'previous')


class BaselineError(InvalidInputError):
    """A baselines file that cannot be used."""


@dataclass(frozen=True)
class Entry:
    """One number to compare with.

    :param value: in the metric's unit of the catalogue
    :param fair: whether it was measured on the same task and under the same conditions
    :param note: why it is or is not fair
    :param tolerance: how far a metric with a target may be from it, in the value's unit
    :param interval: 95 % interval of the value, where it was measured with one
    """

    name: str
    kind: str
    value: float
    source: str
    date: str
    fair: bool = True
    note: str = ''
    tolerance: float = 0.0
    interval: Interval | None = None


@dataclass(frozen=True)
class MetricBaselines:
    """What one metric is compared with, and which way is better."""

    direction: str
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Baselines:
    """All metrics' baselines."""

    metrics: dict[str, MetricBaselines]

    def with_entry(self, metric: str, entry: Entry) -> Baselines:
        """A baselines file with one more entry, which replaces an older one of the same name and kind."""
        known = self.metrics[metric]
        kept = tuple(e for e in known.entries if (e.name, e.kind) != (entry.name, entry.kind))
        return Baselines({**self.metrics, metric: replace(known, entries=kept + (entry,))})

    def with_requirement(self, metric: str, value: float) -> Baselines:
        """A baselines file with one value, in the metric's unit, in place of its requirements."""
        known = self.metrics[metric]
        tolerance = next((e.tolerance for e in known.entries if e.kind == 'requirement'), 0.0)
        asked = Entry('asked of this run', 'requirement', value, 'option of the command',
                      datetime.date.today().isoformat(), tolerance=tolerance)
        others = tuple(e for e in known.entries if e.kind != 'requirement')
        return Baselines({**self.metrics, metric: replace(known, entries=(asked,) + others)})


def load_baselines(path: str | Path | None = None) -> Baselines:
    """Read and check a baselines file. A metric that it does not name has no entries.

    :param path: None for the one that comes with the package
    :raises BaselineError: naming the file, the field, what was found and what was expected
    """
    unnamed = {name: MetricBaselines(metric.direction) for name, metric in catalogue().items()}
    return Baselines({**unnamed, **_read(Path(path) if path else resource_path('config/baselines.yaml'))})


def _read(path: Path) -> dict[str, MetricBaselines]:
    data = read_yaml(path, BaselineError)
    if not isinstance(data, dict) or data.get('format') != FORMAT:
        found = data.get('format') if isinstance(data, dict) else data
        raise BaselineError(f'{path}: format: expected {FORMAT}, got {quoted(found)}')
    metrics = data.get('metrics')
    if not isinstance(metrics, dict):
        raise BaselineError(f'{path}: metrics: expected a mapping of metric names, got {quoted(metrics)}')
    return {name: _metric(_Place(path, f'metrics.{name}'), name, fields) for name, fields in metrics.items()}


@dataclass(frozen=True)
class _Place:
    """Where in which file we are, to say so when something is wrong."""

    path: Path
    field: str

    def at(self, key: object) -> _Place:
        return _Place(self.path, f'{self.field}.{key}')

    def check(self, holds: bool, expected: str, found: object) -> None:
        if not holds:
            shown = 'nothing' if found is None else quoted(found)
            raise BaselineError(f'{self.path}: {self.field}: expected {expected}, got {shown}')


def _metric(place: _Place, name: str, fields: object) -> MetricBaselines:
    place.check(name in catalogue(), f'one of {", ".join(catalogue())}', name)
    place.check(isinstance(fields, dict), 'a mapping', fields)
    metric = catalogue()[name]
    factors = FACTORS[metric.unit]
    unit, direction, entries = (fields.get(key) for key in ('unit', 'direction', 'entries'))
    unit = '1' if unit == 1 else unit  # without quotes YAML takes it for a number
    place.at('unit').check(isinstance(unit, str) and unit in factors, ' or '.join(factors), unit)
    place.at('direction').check(direction == metric.direction, metric.direction, direction)
    place.at('entries').check(isinstance(entries, list), 'a list', entries)
    return MetricBaselines(direction, tuple(
        _entry(place.at(f'entries[{index}]'), entry, factors[unit], direction)
        for index, entry in enumerate(entries)))


def _entry(place: _Place, fields: object, factor: float, direction: str) -> Entry:
    place.check(isinstance(fields, dict), 'a mapping', fields)
    for key in ('name', 'source'):
        text = fields.get(key)
        place.at(key).check(isinstance(text, str) and bool(text.strip()), 'a text', text)
    kind, value, fair, note = (fields.get(key) for key in ('kind', 'value', 'fair', 'note'))
    place.at('kind').check(kind in KINDS, ' or '.join(KINDS), kind)
    place.at('value').check(_is_number(value), 'a number', value)
    tolerance = fields.get('tolerance', 0.0)
    if direction == 'on_target':
        place.at('tolerance').check(_is_number(tolerance) and tolerance > 0, 'a number above 0', tolerance)
    else:
        place.at('tolerance').check('tolerance' not in fields, 'none unless the direction is on_target', tolerance)
    place.at('interval').check(_is_interval(fields.get('interval'), value), 'two numbers around the value',
                               fields.get('interval'))
    place.at('fair').check(isinstance(fair, bool), 'true or false', fair)
    place.at('note').check(fair or bool(note), 'why the comparison is not fair', note)
    place.at('note').check(note is None or isinstance(note, str), 'a text', note)
    interval = Interval(*(bound * factor for bound in fields['interval'])) if fields.get('interval') else None
    return Entry(fields['name'], kind, float(value) * factor, fields['source'], _date(place, fields), fair,
                 note or '', tolerance * factor, interval)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -MOST_NUMBER < value < MOST_NUMBER


def _is_interval(bounds: object, value: float) -> bool:
    """Also none at all."""
    is_pair = isinstance(bounds, list) and len(bounds) == 2 and all(_is_number(bound) for bound in bounds)
    return bounds is None or (is_pair and bounds[0] <= value <= bounds[1])


def _date(place: _Place, fields: dict) -> str:
    date = fields.get('date')
    try:
        return datetime.date.fromisoformat(str(date)).isoformat()
    except ValueError:
        place.at('date').check(False, 'a date such as 2026-11-23', date)
        raise
