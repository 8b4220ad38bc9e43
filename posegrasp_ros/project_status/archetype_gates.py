# SPDX-License-Identifier: Apache-2.0
"""Gates that only some kinds of projects have: see :mod:`posegrasp_ros.feasibility.archetype`.

The newest run on real images that is of the current model decides.
"""

from __future__ import annotations

import re

from posegrasp_ros.evaluation.run_comparison import compare_runs
from posegrasp_ros.metrics import formatting, summary
from posegrasp_ros.metrics.baselines.baselines import Entry
from posegrasp_ros.metrics.baselines.verdicts import judge
from posegrasp_ros.metrics.calibration_guard import UNLIKE
from posegrasp_ros.metrics.stats.intervals import is_beyond, wilson_interval
from posegrasp_ros.project_status.gates import Gate, Proof, Subject
from posegrasp_ros.project_status.project_files import Run

EXISTING_PROCESS = ('previous', 'scripted', 'human')
"""Kinds of baselines that an existing process may be."""
NOT_ANSWERED = ('no_image', 'not_detected', 'stale_pose', 'no_feasible_grasp')
WRONG = ('pose_outside_tolerance', 'execution')
REFUSED = 'pose_too_uncertain'
"""Failure reason of poses that the planner did not trust; the waterfall counts them as outside tolerance."""


def better_gate(subject: Subject) -> Gate:
    """Whether the headline is significantly better than that of the existing process."""
    name, run = 'better than before', _newest_real(subject)
    if run is None:
        return _no_real_run(name, subject)
    metric = run.summary['headline']['name']
    known = subject.baselines.metrics[metric]
    entries = [entry for entry in known.entries if entry.kind in EXISTING_PROCESS and entry.fair
               and not _is_of_this_model(subject, entry)]
    if not entries:
        return Gate(name, False, f'the baselines file does not say how well the existing process does: no '
                    f'{", ".join(EXISTING_PROCESS)} entry for {metric} except for this model', Proof.of(run),
                    'posegrasp evaluate RECORDING --recorded --out runs/existing, then posegrasp baseline add '
                    f'--from runs/existing --name "existing process" --baselines {subject.baselines_name}')
    texts, verdicts = zip(*(_against(subject, run, metric, known.direction, entry) for entry in entries))
    figure = '; '.join(texts)
    if all(each == 'better' for each in verdicts):
        return Gate(name, True, figure, Proof.of(run))
    back = f'{figure}: keep the existing process; back to training' if 'worse' in verdicts else ''
    return Gate(name, False, figure, Proof.of(run), _evaluate(subject), back)


def wrong_answers_gate(subject: Subject) -> Gate:
    """Whether so few of the answers are wrong that answering is better than not to, with its interval."""
    name, run, archetype = 'wrong answers', _newest_real(subject), subject.archetype
    if run is None or archetype is None:
        return _no_real_run(name, subject)
    wrong, answers = _wrong_answers(run.summary)
    if not answers:
        return Gate(name, False, 'no answer at all', Proof.of(run), _evaluate(subject))
    allowed = 1 - archetype.least_probability
    # Answers of one block of time are alike: at worst each block is one observation.
    blocks = max(1, min(answers, run.summary['frames']['blocks']))
    interval = wilson_interval(wrong / answers * blocks, blocks)
    figure = (f'{formatting.quantity(wrong / answers, "1")} {formatting.interval(interval, "1")} of {answers} '
              f'answers wrong, at most {formatting.quantity(allowed, "1")} allowed (a wrong answer costs '
              f'{archetype.wrong_cost:g} times what a right one gains)')
    if interval.high <= allowed:
        return Gate(name, True, figure, Proof.of(run))
    if interval.low <= allowed:
        return Gate(name, False, f'{figure}: not decided yet, more footage would decide', Proof.of(run),
                    _evaluate(subject))
    return Gate(name, False, figure, Proof.of(run), 'train again, or require a higher score',
                f'{figure}: back to training')


def score_gate(subject: Subject) -> Gate:
    """Whether the score that the person sees is a probability, measured on real images."""
    name, run = 'score is shown', _newest_real(subject)
    if run is None:
        return _no_real_run(name, subject)
    metric = run.summary['metrics']['score_ece']
    calibrate = f'posegrasp calibrate {subject.model_name} --bag RECORDING'
    if not metric['n']:
        return Gate(name, False, 'no answer has a score, so the person cannot see how sure it is', Proof.of(run),
                    calibrate)
    needed = subject.requirement('score_ece')
    figure = f'score off by {formatting.quantity(metric["value"], "1")} on average (ECE)'
    if needed is None:
        return Gate(name, False, f'{figure}; the baselines file states no requirement for score_ece',
                    Proof.of(run), f'add a requirement to {subject.baselines_name}')
    figure = f'{figure}, at most {formatting.quantity(needed, "1")} needed'
    if is_beyond(metric['value'], needed, 'lower_is_better'):
        return Gate(name, False, figure, Proof.of(run), calibrate, f'{figure}: back to calibration')
    return Gate(name, True, figure, Proof.of(run))


def abstention_gate(subject: Subject) -> Gate:
    """Whether it was measured how often there is no answer, and that there is none without the object."""
    name = 'abstention'
    empty = next((run for run in _real_runs(subject) if run.summary['metrics']['false_poses']['n']), None)
    run = _newest_real(subject)
    coverage = run.summary['stages']['perception']['coverage'] if run else None
    if run is None or coverage is None:
        return _no_real_run(name, subject)
    figure = f'no answer in {formatting.quantity(1 - coverage, "1")} of the images'
    command = f'posegrasp evaluate EMPTY_RECORDING --no-object --model {subject.model_name} --out runs/empty'
    if empty is None:
        return Gate(name, False, f'{figure}, but no real recording without the object was measured', Proof.of(run),
                    command)
    metric, needed = empty.summary['metrics']['false_poses'], subject.requirement('false_poses')
    figure = (f'{figure}, and an answer in {formatting.quantity(metric["value"], "1")} '
              f'{formatting.interval(metric["interval"], "1")} of {metric["n"]} images without the object')
    if needed is None:
        return Gate(name, False, f'{figure}; the baselines file states no requirement for false_poses',
                    Proof.of(empty), f'add a requirement to {subject.baselines_name}')
    figure = f'{figure}, at most {formatting.quantity(needed, "1")} allowed'
    if is_beyond(metric['value'], needed, 'lower_is_better'):
        return Gate(name, False, figure, Proof.of(empty), command, f'{figure}: back to training')
    return Gate(name, True, figure, Proof.of(empty))


def guard_gate(subject: Subject) -> Gate:
    """Whether the calibration guard can watch, and noticed nothing on real images."""
    name, run = 'guard', _newest_real(subject)
    calibrate = f'posegrasp calibrate {subject.model_name} --bag RECORDING'
    card = subject.model.card if subject.model else None
    watched = card.calibration.figures if card else {}
    if not watched:
        return Gate(name, False, 'the model card holds no usual figures, so nothing would notice a change of '
                    'light or camera', to_do=calibrate)
    if run is None:
        return _no_real_run(name, subject)
    if noticed := _noticed(run, card.name if card else ''):
        return Gate(name, False, noticed, Proof.of(run), calibrate, f'the guard noticed a change in '
                    f'{run.folder.as_posix()}: back to calibration')
    return Gate(name, True, f'{len(watched)} figures of each answer are watched, all as in the calibration',
                Proof.of(run))


def _noticed(run: Run, name: str) -> str:
    """What the guard noticed of one object; of the only one under whatever name. Empty for nothing."""
    noticed = run.provenance.get(UNLIKE) or {}
    return noticed.get(name, '') if len(run.models) > 1 else next(iter(noticed.values()), '')


def _wrong_answers(found: dict) -> tuple[int, int]:
    """Number of wrong answers and of all answers in a summary.

    Where picks are reported, those that failed count; a pose without a feasible grasp is no answer.
    """
    fall = found['waterfall']
    lost = {step['reason']: step['lost'] for step in fall['steps']}
    refused = found['failures'].get(REFUSED, 0) if fall['of'] == 'frames' else 0
    answers = fall['attempts'] - sum(lost[reason] for reason in NOT_ANSWERED) - refused
    return max(0, sum(lost[reason] for reason in WRONG) - refused), max(0, answers)


def _real_runs(subject: Subject) -> list[Run]:
    """Runs of the current model on real images, newest first."""
    return [run for run in subject.runs(summary.SCHEMA) if not run.is_simulated]


def _newest_real(subject: Subject) -> Run | None:
    """The newest of them with ground truth or picks of images with the object."""
    return next((run for run in _real_runs(subject) if run.summary['headline']['n']
                 and run.summary['headline']['name'] != 'false_poses'), None)


def _no_real_run(name: str, subject: Subject) -> Gate:
    why = subject.why_no_run(lambda run: run.schema == summary.SCHEMA and not run.is_simulated)
    return Gate(name, False, f'no real recording with ground truth, no robot picks: {why}',
                to_do=_evaluate(subject))


def _evaluate(subject: Subject) -> str:
    return (f'posegrasp evaluate RECORDING --model {subject.model_name} --baselines {subject.baselines_name} '
            '--out runs/real')


def _against(subject: Subject, run: Run, metric: str, direction: str, entry: Entry) -> tuple[str, str]:
    """Text and verdict against the existing process, frame by frame where its run saw the same frames."""
    paired = _paired(subject, run, metric, entry)
    figures = run.summary['metrics'][metric]
    unit = figures['unit']
    if paired:
        return (f'{formatting.label(metric)} {formatting.difference(paired["difference"], unit)} '
                f'{formatting.interval(paired["interval"], unit)} against {entry.name!r}, frame by frame: '
                f'{paired["verdict"]}', paired['verdict'])
    judged = judge(figures, direction, entry)
    return (f'{formatting.label(metric)} {formatting.quantity(figures["value"], unit)} '
            f'{formatting.interval(figures["interval"], unit)} against {entry.name!r} '
            f'{formatting.quantity(entry.value, unit)}, not on the same frames: {judged}', judged)


def _paired(subject: Subject, run: Run, metric: str, entry: Entry) -> dict | None:
    """The difference frame by frame; None where the existing process was not measured on the same frames."""
    beside = next((each for each in run.summary.get('paired') or () if each['metric'] == metric
                   and each['other'] == entry.name), None)
    if beside:
        return beside
    other = _run_of(subject, entry)
    if other is None or other.folder == run.folder:
        return None
    root = subject.project.root
    compared = compare_runs([root / other.folder, root / run.folder])
    return next((each for each in compared['differences'] if each['metric'] == metric and each['is_paired']), None)


def _run_of(subject: Subject, entry: Entry) -> Run | None:
    """The run that an entry was made of, as ``baseline add`` states it in the source; None where it is not here.

    Where two folders have the name, their date tells them apart.
    """
    match = re.match(r'run ([^;]+)', entry.source)
    return next((run for run in subject.project.runs if match and run.schema == summary.SCHEMA
                 and run.folder.name == match[1] and run.time[:10] == entry.date), None)


def _is_of_this_model(subject: Subject, entry: Entry) -> bool:
    """Whether an entry was measured with the current model, which is not the existing process."""
    run = _run_of(subject, entry)
    return run is not None and run in subject.runs(summary.SCHEMA)
