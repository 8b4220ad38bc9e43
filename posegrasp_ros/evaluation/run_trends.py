# SPDX-License-Identifier: Apache-2.0
"""Metrics over many runs in order of time: which are steady, and which changed, when and in what.

A run is one figure of each metric. Its interval, which allows for correlated frames, says how many independent
trials or which standard error it is worth.
"""

from __future__ import annotations

import datetime
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from posegrasp_ros.metrics.catalogue import HIGHER, ON_TARGET, catalogue
from posegrasp_ros.metrics.stats import change_points
from posegrasp_ros.metrics.stats.change_points import LEAST_FIGURES, LEVEL, ChangePoint, Figure, find_changes
from posegrasp_ros.metrics.stats.intervals import Interval, effective_trials
from posegrasp_ros.metrics.stats.moved_slice import farthest_moved
from posegrasp_ros.runs.finished_run import FinishedRun, FinishedRunError

SCHEMA = 'posegrasp.trend/1'
STEADY, BETTER, WORSE, CHANGED, TOO_FEW = 'steady', 'better', 'worse', 'changed', 'too few runs'
SPAN_95 = 2 * change_points.Z_95
"""Width of a 95 % interval in standard errors."""


class TimedRun(NamedTuple):
    """A run and when it began, seconds since 1970."""

    time: float
    run: FinishedRun

    @property
    def date(self) -> str:
        """ISO 8601."""
        return self.run.summary['provenance']['time']


def trends_of(folders: Sequence[Path], level: float = LEVEL) -> dict:
    """Trend of every metric that the runs measured.

    :param level: probability of a false alarm in any of the metrics, if none of them changes, in equal parts
    :return: {schema, level, runs, left_out, warnings, metrics: {name: trend}}, plain values ready for JSON
    :raises FinishedRunError: when fewer than two of the folders hold finished runs that are not the same
    """
    runs, left_out = _load(folders)
    measured = {name: figures for name in catalogue()
                if (figures := _figures(name, {number: timed.run.summary['metrics'].get(name)
                                               for number, timed in enumerate(runs)}, runs))}
    return {
        'schema': SCHEMA, 'level': level,
        'runs': [{'name': timed.run.name, 'folder': str(timed.run.folder), 'time': timed.date}
                 for timed in runs],
        'left_out': left_out, 'warnings': list(_warnings(runs)),
        'metrics': {name: _trend(name, figures, runs, level / len(measured))
                    for name, figures in measured.items()},
    }


def _load(folders: Sequence[Path]) -> tuple[list[TimedRun], list[str]]:
    """Runs in order of time, and why the other folders are left out."""
    runs: list[TimedRun] = []
    left_out: list[str] = []
    for folder in dict.fromkeys(Path(os.path.realpath(folder)) for folder in folders):
        try:
            run = FinishedRun.load(folder, folder.name)
        except FinishedRunError as error:
            left_out.append(str(error))
            continue
        time = _time_of(run)
        if run.partial:
            left_out.append(f'{folder}: partial: {run.partial}')
        elif time is None:
            left_out.append(f'{folder}: provenance.time: expected a date and time, got '
                            f'{run.summary["provenance"].get("time", "none")!r}')
        elif same := next((other for other in runs if other.run.summary == run.summary), None):
            left_out.append(f'{folder}: the same run as {same.run.folder}')
        else:
            runs.append(TimedRun(time, run))
    if len(runs) < 2:
        why = f'; left out: {"; ".join(left_out)}' if left_out else ''
        raise FinishedRunError(f'trend: expected at least two finished runs, got {len(runs)}{why}')
    return sorted(runs, key=lambda timed: timed.time), left_out


def _time_of(run: FinishedRun) -> float | None:
    text = str(run.summary['provenance'].get('time', ''))
    try:
        time = datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)).timestamp()


def _figures(name: str, measured: Mapping[int, dict | None], runs: Sequence[TimedRun]) -> dict[int, Figure]:
    """By number of the run the figure of a metric; none where it was not measured or has no uncertainty."""
    found = {number: _figure(runs[number].time, name, metric) for number, metric in measured.items() if metric}
    return {number: figure for number, figure in found.items() if figure}


def _figure(time: float, name: str, metric: dict) -> Figure | None:
    value, interval = metric['value'], metric['interval'] and Interval(*metric['interval'])
    if not metric['n'] or value is None:
        return None
    if catalogue()[name].unit == '1':
        # Without an interval there are a few clusters only: each is one trial.
        trials = effective_trials(value, interval) if interval else float(metric.get('clusters', 1))
        return change_points.share(time, value * trials, trials)
    if interval is None or interval.high <= interval.low:
        return None
    return change_points.mean(time, value, (interval.high - interval.low) / SPAN_95)


def _trend(name: str, figures: Mapping[int, Figure], runs: Sequence[TimedRun], level: float) -> dict:
    numbers = list(figures)
    changes = find_changes(list(figures.values()), level)
    last = runs[numbers[-1]].run.summary['metrics'][name]
    series = [{'run': number, 'time': runs[number].date,
               **{key: runs[number].run.summary['metrics'][name][key] for key in ('value', 'interval', 'n')}}
              for number in numbers]
    times = [-math.inf, *(runs[numbers[change.index]].time for change in changes), math.inf]
    told = [_change(name, change, edges, numbers, runs)
            for change, edges in zip(changes, zip(times, times[1:], times[2:]))]
    return {'unit': catalogue()[name].unit, 'direction': catalogue()[name].direction,
            'value': last['value'], 'interval': last['interval'], 'n': last['n'],
            'verdict': told[-1]['verdict'] if told else TOO_FEW if len(numbers) < LEAST_FIGURES else STEADY,
            'since': told[-1]['time'] if told else None,
            'changes': told, 'series': series, 'runs_without': len(runs) - len(numbers),
            'need': _need(name, runs[numbers[-1]].run)}


def _need(name: str, run: FinishedRun) -> dict | None:
    """What a run's baselines require of a metric, {reference, tolerance}."""
    needs = (item for item in run.summary['verdicts'] if item['metric'] == name and item['kind'] == 'requirement')
    return next(({key: item[key] for key in ('reference', 'tolerance')} for item in needs), None)


def _change(name: str, change: ChangePoint, edges: tuple[float, float, float], numbers: Sequence[int],
            runs: Sequence[TimedRun]) -> dict:
    """A change: first run after it, the runs between which it was with 95 %, and what else differs in these."""
    after = numbers[change.index]
    last_before, first_after = numbers[change.first - 1], numbers[change.last]
    return {
        'verdict': _verdict(name, change.difference), 'time': runs[after].date, 'run': runs[after].run.name,
        'between': [runs[last_before].date, runs[first_after].date],
        'noticed': runs[numbers[change.noticed]].date,
        'before': {'value': change.before.value, 'interval': list(change.before.interval)},
        'after': {'value': change.after.value, 'interval': list(change.after.interval)},
        'slice': _moved_most(name, edges, runs),
        'differs': _differences(runs[last_before].run, runs[first_after].run),
    }


def _verdict(name: str, difference: float) -> str:
    direction = catalogue()[name].direction
    if direction == ON_TARGET:
        return CHANGED
    return BETTER if (difference > 0) == (direction == HIGHER) else WORSE


def _moved_most(name: str, edges: tuple[float, float, float], runs: Sequence[TimedRun]) -> dict | None:
    """The slice of the runs that surely moved farthest at a change; None for none.

    :param edges: time of the change before, of this one and of the next
    """
    slices: dict[str, dict[int, dict | None]] = {}
    for number, timed in enumerate(runs):
        for each, metrics in _slices(timed.run.summary):
            slices.setdefault(each, {})[number] = metrics.get(name)
    since, time, until = edges
    moved = farthest_moved({each: list(_figures(name, measured, runs).values())
                            for each, measured in slices.items()}, time, since, until)
    return {'name': moved.name, 'before': moved.before.value, 'after': moved.after.value,
            'difference': moved.difference, 'interval': list(moved.interval)} if moved else None


def _slices(summary: dict) -> Iterator[tuple[str, dict]]:
    """Parts of a run that have metrics of their own, with a name."""
    for name, part in (summary.get('objects') or {}).items():
        yield f'object {name}', part['metrics']
    for each in (summary.get('by_visible_share') or {}).get('slices', ()):
        yield each['name'], each['metrics']


def _differences(before: FinishedRun, after: FinishedRun) -> dict[str, list[str]]:
    """What else is different between two runs: {name: [before, after]}."""
    old, new = _setting(before), _setting(after)
    return {name: [old.get(name, ''), new.get(name, '')] for name in dict.fromkeys([*old, *new])
            if old.get(name, '') != new.get(name, '')}


def _setting(run: FinishedRun) -> dict[str, str]:
    provenance = run.summary['provenance']
    configuration: dict[str, Any] = provenance.get('configuration') or {}
    return {'package': provenance.get('package', ''), 'estimator': run.estimator or '',
            'models': _models(provenance), 'recordings': ', '.join(sorted(run.bags)),
            'machine': str((provenance.get('host') or {}).get('processor', '')),
            **{name: str(value) for name, value in configuration.items() if name != 'sha256'}}


def _models(provenance: dict) -> str:
    models = [*([provenance['model']] if provenance.get('model') else []),
              *(provenance.get('models') or {}).values()]
    return ', '.join(f'{model["name"]} {str(model.get("sha256"))[:8]}' for model in models)


def _warnings(runs: Sequence[TimedRun]) -> Iterator[str]:
    """Why the runs may not be comparable."""
    recordings = {tuple(sorted(timed.run.bags)) for timed in runs}
    if len(recordings) > 1:
        yield f'the runs are of {len(recordings)} different sets of recordings: a change may be due to these'
    estimators = sorted({timed.run.estimator or 'unnamed' for timed in runs})
    if len(estimators) > 1:
        yield f'the runs are of different estimators: {", ".join(estimators)}'
