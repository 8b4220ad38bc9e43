# SPDX-License-Identifier: Apache-2.0
"""baselines.yaml: what each metric is compared with, the source, and whether the comparison is fair."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from posegrasp_ros.metrics.catalogue import ON_TARGET, Metric, catalogue
from posegrasp_ros.metrics.stats.interval import Interval
from posegrasp_ros.metrics.units import FACTORS
from posegrasp_ros.runtime.data_files import read_yaml
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.runtime.yaml_model import Reads, YamlModel, unexpected, validated

FORMAT = 'posegrasp.baselines/1'
# Whole numbers of YAML have no end, those of the package do; NaN is below nothing.
MOST_NUMBER = 1e300


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


    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Baselines:
        """Inverse of :func:`dataclasses.asdict` of each metric: {name: {direction, entries}}."""
        def entry(stated: dict[str, Any]) -> Entry:
            return Entry(**{**stated, 'interval': stated['interval'] and Interval(*stated['interval'])})

        return cls({name: MetricBaselines(metric['direction'], tuple(map(entry, metric['entries'])))
                    for name, metric in data.items()})


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
    return {name: _metric(path, name, fields) for name, fields in metrics.items()}


def _metric(path: Path, name: str, fields: object) -> MetricBaselines:
    metric = catalogue().get(name)
    if metric is None:
        raise BaselineError(f'{path}: metrics.{name}: expected one of {", ".join(catalogue())}, '
                            f'got {quoted(name)}')
    stated = validated(_MetricFields, fields, path, BaselineError, f'metrics.{name}', metric)
    return MetricBaselines(stated.direction, tuple(
        _entry(entry, FACTORS[metric.unit][stated.unit]) for entry in stated.entries))


def _entry(stated: _EntryFields, factor: float) -> Entry:
    interval = Interval(*(bound * factor for bound in stated.interval)) if stated.interval else None
    return Entry(stated.name, stated.kind, stated.value * factor, stated.source, stated.date, stated.fair,
                 stated.note or '', (stated.tolerance or 0.0) * factor, interval)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -MOST_NUMBER < value < MOST_NUMBER:
        raise ValueError
    return float(value)


def _pair(values: Any) -> Interval:
    if not isinstance(values, list):
        raise ValueError
    low, high = values
    return Interval(_number(low), _number(high))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


_Number = Annotated[float, Reads(_number, 'a number')]
_Interval = Annotated[Interval, Reads(_pair, 'two numbers around the value')]
_Text = Annotated[str, Reads(_text, 'a text')]
_Date = Annotated[str, Reads(lambda date: datetime.date.fromisoformat(str(date)).isoformat(),
                             'a date such as 2026-11-23')]


def _metric_of(info: ValidationInfo) -> Metric:
    """The metric of the catalogue, which is the validators' context."""
    if not isinstance(info.context, Metric):
        raise TypeError(f'context: expected a metric, got {info.context!r}')
    return info.context


class _EntryFields(YamlModel):
    """As the file states an entry."""

    name: _Text
    kind: Literal['requirement', 'published', 'scripted', 'simple_ml', 'human', 'previous']
    value: _Number
    source: _Text
    date: _Date
    fair: bool
    tolerance: _Number | None = Field(None, validate_default=True)
    interval: _Interval | None = None
    note: str | None = Field(None, validate_default=True)

    @field_validator('tolerance')
    @classmethod
    def _belongs_to_a_target(cls, tolerance: float | None, info: ValidationInfo) -> float | None:
        has_target = _metric_of(info).direction == ON_TARGET
        if not has_target and tolerance is not None:
            raise unexpected(f'none unless the direction is {ON_TARGET}')
        if has_target and not (tolerance or 0.0) > 0:
            raise unexpected('a number above 0')
        return tolerance

    @field_validator('interval')
    @classmethod
    def _holds_the_value(cls, interval: Interval | None, info: ValidationInfo) -> Interval | None:
        if interval is not None and not interval.low <= info.data.get('value', math.nan) <= interval.high:
            raise unexpected('two numbers around the value')
        return interval

    @field_validator('note')
    @classmethod
    def _says_what_is_not_fair(cls, note: str | None, info: ValidationInfo) -> str | None:
        if not note and not info.data.get('fair', True):
            raise unexpected('why the comparison is not fair')
        return note


class _MetricFields(YamlModel):
    """As the file states a metric."""

    unit: str
    direction: str
    entries: list[_EntryFields]

    @field_validator('unit', mode='before')
    @classmethod
    def _is_one_of_the_metrics(cls, unit: Any, info: ValidationInfo) -> str:
        factors = FACTORS[_metric_of(info).unit]
        unit = '1' if unit == 1 else unit  # without quotes YAML takes it for a number
        if not isinstance(unit, str) or unit not in factors:
            raise unexpected(' or '.join(factors))
        return unit

    @field_validator('direction', mode='before')
    @classmethod
    def _is_the_catalogues(cls, direction: Any, info: ValidationInfo) -> str:
        if direction != _metric_of(info).direction:
            raise unexpected(_metric_of(info).direction)
        return direction
