# SPDX-License-Identifier: Apache-2.0
"""Gates of pilot and deployment: picks in simulation, real footage, and regression against previous runs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from posegrasp_ros.metrics import formatting, pick_metrics, summary
from posegrasp_ros.metrics.baselines.baselines import Baselines, Entry
from posegrasp_ros.metrics.baselines.gate import GateResult, check_gate
from posegrasp_ros.metrics.catalogue import unit_of
from posegrasp_ros.metrics.stats.intervals import Interval, more_clusters_to_decide, verdict
from posegrasp_ros.project_status.gates import Gate, Proof, Subject
from posegrasp_ros.project_status.planning_gates import held_out_gate
from posegrasp_ros.project_status.project_files import Run

SUCCESS = 'grasp_success_rate'
# Failure reason -> phase to go back to.
BACK_TO = {
    'no_image': 'the camera', 'not_detected': 'training', 'pose_outside_tolerance': 'training',
    'stale_pose': 'planning: the time that a pose takes', 'no_feasible_grasp': 'planning: gripper and grasps',
    'execution': 'planning: gripper and grasps',
}


def simulation_gate(subject: Subject) -> Gate:
    """Whether picks in simulation with estimated poses reach the required success."""
    name = 'simulation'
    gripper = f' --gripper {subject.gripper}' if subject.gripper else ''
    command = f'posegrasp picks {subject.model_name}{gripper} --pose estimate --count 300 --out runs/picks'
    found = next(_simulated_picks(subject), None)
    if found is None:
        why = subject.why_no_run(lambda run: run.is_simulated and _has_picks(run))
        return Gate(name, False, f'no pick of this model in simulation: {why}', to_do=command)
    run, metric, back_to = found
    needed = subject.requirement(SUCCESS)
    if needed is None:
        return Gate(name, False, 'the baselines file requires no grasp success', Proof.of(run),
                    f'state one in {subject.baselines_name}')
    return _success_gate(name, run, metric, needed, command, back_to)


def real_footage_gate(subject: Subject) -> Gate:
    """Whether the model meets every requirement on real images, newest run on each recording."""
    name = 'real footage'
    command = f'posegrasp evaluate RECORDING --model {subject.model_name} --baselines {subject.baselines_name} ' \
              '--out runs/real'
    runs = _newest_by_recording(run for run in subject.runs(summary.SCHEMA)
                                if not run.is_simulated and _has_truth(run))
    if not any(run.summary['headline']['name'] != 'false_poses' for run in runs):
        why = subject.why_no_run(lambda run: run.schema == summary.SCHEMA and not run.is_simulated)
        return Gate(name, False, f'no real recording with ground truth, no robot picks: {why}', to_do=command)
    baselines = subject.baselines
    missed = [(run, result) for run in runs for result in check_gate(run.summary['metrics'], baselines)
              if not result.held]
    if missed:
        run = missed[0][0]
        results = [result for of, result in missed if of is run]
        return Gate(name, False, _in_words(results), Proof.of(run), command, _back(subject, run, results))
    return _headline_gate(name, runs, subject, command)


def regression_gate(subject: Subject) -> Gate:
    """Whether no metric is significantly worse than in the ``previous`` runs of the baselines file."""
    name, baselines = 'regression', subject.baselines
    entries = {(metric, entry.name): entry for metric,
               known in baselines.metrics.items() for entry in known.entries
               if entry.kind == 'previous' and entry.fair}
    runs = subject.runs(summary.SCHEMA)
    if not entries:
        run = (subject.project.root / runs[0].folder).as_posix() if runs else 'RUN'
        return Gate(name, False, 'the baselines file holds no previous run',
                    to_do=f'posegrasp baseline add --from {run} --baselines {subject.baselines_name}')
    by_run: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
    for (metric, _), entry in entries.items():
        by_run[entry.source.split('; n = ')[0]].append((metric, entry))
    return _no_worse(name, subject, runs, by_run)


def _no_worse(name: str, subject: Subject, runs: list[Run], by_run: dict[str, list[tuple[str, Entry]]]) -> Gate:
    """Compare the newest run on the same recordings with each previous run."""
    newest, counts, own = None, 0, []
    for previous, entries in by_run.items():
        bags = _bags_of(entries[0][1])
        same = next((run for run in runs if _bag_names(run) == bags), None)
        if same is None:
            where = f'on {", ".join(sorted(bags))}' if bags else 'on the robot'
            return Gate(name, False, f'no comparison with {previous}: this model has no run {where}', to_do=(
                f'posegrasp evaluate {" ".join(sorted(bags)) or "RECORDING"} --model {subject.model_name} '
                f'--baselines {subject.baselines_name} --gate --out runs/next'))
        results = check_gate(same.summary['metrics'], _baselines_of(subject.baselines, entries))
        lost = [result for result in results if not result.held]
        worse = _measured(lost, same)
        if lost:
            return Gate(name, False, _in_words(lost), Proof.of(same), 'train again, or keep the previous model',
                        f'{worse[0].text}: back to training; keep the previous model in service' if worse else '')
        newest, counts = newest or same, counts + len(results)
        own += [previous] if previous == f'run {same.folder.name}' else []
    figure = f'none of {counts} metrics significantly worse than {", ".join(by_run)}'
    if len(own) == len(by_run):
        figure = f'{", ".join(own)} is a run of this model: the reference for the next one'
    return Gate(name, True, figure, Proof.of(newest) if newest else None)


def _success_gate(name: str, run: Run, metric: dict, needed: float, command: str, back_to: str) -> Gate:
    """Passed if the whole interval of the success rate is above the requirement."""
    judged = verdict(Interval(*metric['interval']), needed, 'higher_is_better') if metric['interval'] else None
    figure = (f'{formatting.with_interval(metric["value"], metric["interval"], "1")} of '
              f'{metric["n"]} picks successful, at least {formatting.quantity(needed, "1")} needed')
    if judged == 'better':
        return Gate(name, True, figure, Proof.of(run))
    if metric['value'] >= needed:
        more = metric['interval'] and more_clusters_to_decide(
            metric['value'], Interval(*metric['interval']), metric['n'], needed, 'higher_is_better', is_rate=True)
        enough = f', {formatting.remaining(more, SUCCESS, 1.0)} would decide' if more else ''
        return Gate(name, False, f'{figure}: not decided yet{enough}', Proof.of(run), command)
    return Gate(name, False, figure, Proof.of(run), command, f'{figure}: back to {back_to}')


def _headline_gate(name: str, runs: list[Run], subject: Subject, command: str) -> Gate:
    """Passed if the headline of the newest run significantly exceeds its requirement."""
    run = next(run for run in runs if run.summary['headline']['name'] != 'false_poses')
    headline = run.summary['headline']
    needed = subject.requirement(headline['name'])
    figure = (f'{formatting.label(headline["name"]).lower()} {formatting.quantity(headline["value"], "1")} '
              f'{formatting.interval(headline["interval"], "1")} of {headline["n"]}')
    if needed is None:
        return Gate(name, False, f'{figure}; the baselines file states no requirement for it', Proof.of(run),
                    f'add a requirement to {subject.baselines_name}')
    figure = f'{figure}, at least {formatting.quantity(needed, "1")} needed'
    interval = Interval(*headline['interval']) if headline['interval'] else None
    if verdict(interval, needed, 'higher_is_better') != 'better':
        return Gate(name, False, f'{figure}: not decided yet, more footage would decide', Proof.of(run), command)
    several = f'; every requirement met on {len(runs)} recordings' if len(runs) > 1 else ''
    return Gate(name, True, figure + several, Proof.of(run))


def _simulated_picks(subject: Subject) -> Iterator[tuple[Run, dict, str]]:
    """Runs in simulation with estimated poses, newest first.

    :return: run, success metric, and the phase to go back to if that is too low
    """
    card = subject.model.card if subject.model else None
    name = card.name if card else ''
    for run in subject.project.runs:
        if run in subject.runs(pick_metrics.SCHEMA) and subject.gripper in ('', run.provenance.get('gripper')):
            counted = _picks_with_estimate(run, name)
            if counted and counted['n']:
                metric = {'value': counted['rate'], 'interval': counted['interval'], 'n': counted['n']}
                yield run, metric, _back_of_picks(run, name)
        elif run in subject.runs(summary.SCHEMA) and run.is_simulated and run.summary['metrics'][SUCCESS]['n']:
            yield run, run.summary['metrics'][SUCCESS], BACK_TO[_worst_step(run)]


def _has_picks(run: Run) -> bool:
    if run.schema == pick_metrics.SCHEMA:
        return any(condition['pose'] == 'estimate' for condition in run.summary['conditions'])
    return bool(run.summary['metrics'][SUCCESS]['n'])


def _picks_with_estimate(run: Run, name: str, pose: str = 'estimate') -> dict | None:
    """Counts of one object with the estimated (or ``pose``) pose; None where that was not tried."""
    return next((condition['objects'].get(name) for condition in run.summary['conditions']
                 if condition['pose'] == pose), None)


def _back_of_picks(run: Run, name: str) -> str:
    """The phase to go back to: if the true pose is no better than the estimated one, the grasps fail."""
    estimate, truth = (_picks_with_estimate(run, name, pose) for pose in ('estimate', 'truth'))
    is_pose = truth is None or estimate is None or not truth['n'] or truth['interval'][0] > estimate['rate']
    return 'training' if is_pose else 'planning: gripper and grasps fail with the true pose too'


def _worst_step(run: Run) -> str:
    """Reason of most failures."""
    return max(run.summary['waterfall']['steps'], key=lambda step: step['lost'])['reason']


def _has_truth(run: Run) -> bool:
    return bool(run.summary['headline']['n'])


def _newest_by_recording(runs: Iterable[Run]) -> list[Run]:
    """The newest run on each set of recordings, from runs sorted newest first."""
    newest: dict[frozenset[str], Run] = {}
    for run in runs:
        newest.setdefault(run.recordings, run)
    return list(newest.values())


def _in_words(results: list[GateResult]) -> str:
    return '; '.join(result.text for result in results)


def _measured(results: list[GateResult], run: Run) -> list[GateResult]:
    """Results without those of metrics that were not measured, which do not show a failure."""
    return [result for result in results if run.summary['metrics'][result.metric]['value'] is not None]


def _back(subject: Subject, run: Run, missed: list[GateResult]) -> str:
    """The phase to go back to after missed requirements on real footage; empty where they were not measured."""
    measured = _measured(missed, run)
    if not measured:
        return ''
    metric = measured[0].metric
    tolerance = subject.tolerance(unit_of(metric))
    if metric.startswith('image_to_'):
        where = 'planning: a faster network or machine'
    else:
        where = BACK_TO[_worst_step(run)]
    if where == 'training' and held_out_gate(subject).has_passed:
        where = 'data: simulated scenes pass, so the training data do not cover these images'
    return f'{measured[0].text}: back to {where}' + (f'; {tolerance}' if tolerance else '')


def _baselines_of(baselines: Baselines, entries: list[tuple[str, Entry]]) -> Baselines:
    """The baselines with only these entries."""
    kept = {metric: tuple(entry for of, entry in entries if of == metric) for metric in baselines.metrics}
    return Baselines({metric: replace(known, entries=kept[metric]) for metric, known in baselines.metrics.items()})


def _bags_of(entry: Entry) -> frozenset[str]:
    """Names of the recordings of a previous run, as stated by ``baseline add`` in the source."""
    match = re.search(r'(?:^|; )bags ([^;]+)', entry.source)
    return frozenset(match[1].split(', ')) if match else frozenset()


def _bag_names(run: Run) -> frozenset[str]:
    return frozenset(bag['name'] for bag in run.provenance.get('bags') or ())
