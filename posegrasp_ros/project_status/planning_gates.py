# SPDX-License-Identifier: Apache-2.0
"""Gates of planning and training: requirement, feasibility, baselines, model card and held-out figures."""

from __future__ import annotations

import math

from posegrasp_ros.metrics import formatting, summary
from posegrasp_ros.metrics.catalogue import unit_of
from posegrasp_ros.metrics.pose.pose_errors import STATED_NEED
from posegrasp_ros.metrics.stats.intervals import is_beyond
from posegrasp_ros.project_status.gates import Gate, Proof, Subject

DERIVED = 'derived'
SAME_VALUE = 1e-3
# Baseline estimators without learning.
SCRIPTED = ('feature_match', 'mean_pose')
# Figure of the card -> (metric, factor to the metric's unit).
HELD_OUT = {'recall': ('recall_1cm_5deg', 1.0), 'position_error_median_m': ('position_error_median', 1.0),
            'rotation_error_median_deg': ('rotation_error_median', math.pi / 180)}


def requirement_gate(subject: Subject) -> Gate:
    """Whether a study has derived the requirements and the baselines file contains them."""
    name, study = 'requirement', subject.study
    archetype = f'--archetype {subject.archetype.name} ' if subject.archetype else ''
    command = f'posegrasp feasibility {subject.model_name if subject.model else "MESH"} --camera CAMERA ' \
              f'{archetype}--out runs/feasibility --baselines {subject.baselines_name}'
    if study is None:
        return Gate(name, False, 'the required pose accuracy is not known yet', to_do=command)
    reason = formatting.reason(study.summary['required'].get('no_grasp_reason') or '')
    if reason:
        return Gate(name, False, f'no grasp: {reason}', Proof.of(study), command,
                    f'no grasp fits ({reason}): back to planning, with another gripper or grasp side')
    figure = _needs_in_words(study.summary['requirements'])
    if 'position_error_median' not in study.summary['requirements']:
        return Gate(name, False, f'{figure}, but no pose error is small enough', Proof.of(study),
                    command, 'success is too low even with the true pose: back to planning, with another '
                    'gripper or other grasps')
    different = [metric for metric, value in study.summary['requirements'].items()
                 if not _baselines_state(subject, metric, value)]
    if different:
        return Gate(name, False, f'{figure}, but not in the baselines file for {", ".join(different)}',
                    Proof.of(study), command)
    return Gate(name, True, figure, Proof.of(study))


def feasible_gate(subject: Subject) -> Gate:
    """Whether the newest study found the cell feasible."""
    name, study = 'feasible', subject.study
    if study is None:
        return Gate(name, False, 'not studied', to_do='the study for the requirement also decides this gate')
    verdict = study.summary['verdict']
    if verdict['word'] == 'feasible':
        texts = [reason['text'] for reason in verdict['reasons'] if reason['name'] == 'success']
        return Gate(name, True, ' '.join(['feasible:', *texts]) if texts else 'feasible', Proof.of(study))
    missed = [reason['text'] for reason in verdict['reasons'] if not reason.get('holds', False)]
    changes = '; '.join(change['name'] for change in verdict['changes'])
    return Gate(name, False, f'{verdict["word"]}: {" ".join(missed)}', Proof.of(study),
                f'change the setup{f" ({changes})" if changes else ""} and study it again',
                f'{verdict["word"]}: back to planning{f"; possible changes: {changes}" if changes else ""}')


def baselines_gate(subject: Subject) -> Gate:
    """Whether estimators without learning were measured on the object, in runs of any model."""
    for run in subject.runs(summary.SCHEMA, is_current=False):
        others = run.summary.get('estimators') or {}
        recalls = {name: others[name]['metrics']['recall_1cm_5deg'] for name in SCRIPTED if name in others}
        measured = {name: metric['value'] for name, metric in recalls.items() if metric['value'] is not None}
        if measured:
            best = max(measured, key=lambda name: measured[name])
            figure = (f'{best} is within 1 cm and 5° in {formatting.quantity(measured[best], "1")} of '
                      f'{recalls[best]["n"]} frames')
            return Gate('baselines', True, figure, Proof.of(run))
    return Gate('baselines', False, 'no estimator without learning was measured on this object',
                to_do=f'posegrasp evaluate RECORDING --model {subject.model_name} --out runs/baselines')


def card_gate(subject: Subject) -> Gate:
    """Whether there is a model with a valid card and matching files."""
    if subject.model is None:
        return Gate('model card', False, 'no model', to_do='posegrasp train MESH --out models/mine')
    if subject.model.card is None:
        return Gate('model card', False, subject.model.problem, to_do=f'posegrasp check {subject.model_name}',
                    back=f'{subject.model.problem}: back to training, or to a whole copy of the folder')
    trained = subject.model.card.provenance.get('network')
    images = f', {trained["images"]} images' if isinstance(trained, dict) and 'images' in trained else ''
    proof = Proof(subject.model.folder.as_posix(), subject.model.date, subject.model.sha256,
                  subject.model.card.network_sha256)
    return Gate('model card', True, f'card and files match{images}', proof)


def held_out_gate(subject: Subject) -> Gate:
    """The card's held-out figures against the requirements of the baselines file."""
    name, model = 'held-out figures', subject.model
    card = model.card if model else None
    if model is None or card is None or not card.measured.get('data'):
        return Gate(name, False, 'not measured', to_do=f'posegrasp calibrate {subject.model_name}')
    proof = Proof(model.folder.as_posix(), model.date, model.sha256, card.network_sha256)
    texts, backs = [], []
    for field, (metric, factor) in HELD_OUT.items():
        needed, value = subject.requirement(metric), card.measured.get(field)
        value = value if isinstance(value, (int, float)) else None  # the section has no fixed schema
        # The card's recall uses the card's tolerance, so it is comparable only if that is the stated need.
        if needed is None or (metric == 'recall_1cm_5deg' and card.tolerance != STATED_NEED):
            continue
        text, is_held = _against(subject, metric, value and value * factor, needed)
        texts.append(text)
        backs += [] if is_held else [_back_to_training(subject, metric, text)]
    figure = f'{"; ".join(texts) or "no requirement"} ({card.measured["data"]})'
    if texts and not backs:
        return Gate(name, True, figure, proof)
    return Gate(name, False, figure, proof, f'posegrasp train MESH --out {subject.model_name}', '; '.join(backs))


def _against(subject: Subject, metric: str, value: float | None, needed: float) -> tuple[str, bool]:
    """Text with figure and requirement, and whether the requirement is met."""
    known = subject.baselines.metrics[metric]
    unit = unit_of(metric)
    bound = 'at least' if known.direction == 'higher_is_better' else 'at most'
    text = (f'{formatting.label(metric).lower()} {formatting.quantity(value, unit)}, {bound} '
            f'{formatting.quantity(needed, unit)} needed')
    return text, value is not None and not is_beyond(value, needed, known.direction)


def _back_to_training(subject: Subject, metric: str, text: str) -> str:
    tolerance = subject.tolerance(unit_of(metric))
    return f'{text}: back to training' + (f'; {tolerance}' if tolerance else '')


def _baselines_state(subject: Subject, metric: str, value: float) -> bool:
    """Whether the derived requirement in the baselines file is that of this study, not of an older one."""
    return any(entry.kind == 'requirement' and entry.source.startswith(DERIVED)
               and math.isclose(entry.value, value, rel_tol=SAME_VALUE)
               for entry in subject.baselines.metrics[metric].entries)


def _needs_in_words(requirements: dict[str, float]) -> str:
    return ', '.join(f'{formatting.label(metric).lower()} {formatting.quantity(value, unit_of(metric))}'
                     for metric, value in requirements.items())
