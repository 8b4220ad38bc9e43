# SPDX-License-Identifier: Apache-2.0
"""Phases of a project and their gates: progress of each object from planning to deployment.

There is no stored state: everything is derived from runs, models and the baselines file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from posegrasp_ros.project_status.archetype_gates import (
    abstention_gate,
    better_gate,
    guard_gate,
    score_gate,
    wrong_answers_gate,
)
from posegrasp_ros.project_status.gates import Gate, Subject, subject_of
from posegrasp_ros.project_status.planning_gates import (
    baselines_gate,
    card_gate,
    feasible_gate,
    held_out_gate,
    requirement_gate,
)
from posegrasp_ros.project_status.project_files import FEASIBILITY, Project
from posegrasp_ros.project_status.run_gates import real_footage_gate, regression_gate, simulation_gate

SCHEMA = 'posegrasp.status/1'
PHASES = {
    'planning': (requirement_gate, feasible_gate, baselines_gate),
    'data and training': (card_gate, held_out_gate),
    'pilot': (simulation_gate, real_footage_gate),
    'deployment': (regression_gate,),
}
ARCHETYPE_PHASE = 'pilot'
ARCHETYPE_GATES = {'better than before': better_gate, 'wrong answers': wrong_answers_gate,
                   'score is shown': score_gate, 'abstention': abstention_gate, 'guard': guard_gate}
"""Gates that only projects of some archetypes have, by name; all in :data:`ARCHETYPE_PHASE`."""
DEPLOYED = 'in service'


@dataclass(frozen=True)
class Phase:
    """One phase of a project with its gates."""

    name: str
    gates: tuple[Gate, ...]

    @property
    def is_done(self) -> bool:
        return all(gate.has_passed for gate in self.gates)


@dataclass(frozen=True)
class Status:
    """Status of one object.

    :param model: its model folder; empty where there is none yet
    :param archetype: name and title of the kind of project, and the study that states it; empty where none does
    """

    name: str
    model: str
    phases: tuple[Phase, ...]
    archetype: str = ''

    @property
    def phase(self) -> str:
        """The first phase with a gate that has not passed, even if later gates have passed."""
        return next((phase.name for phase in self.phases if not phase.is_done), DEPLOYED)

    @property
    def gates(self) -> list[Gate]:
        return [gate for phase in self.phases for gate in phase.gates]

    @property
    def ways_back(self) -> list[str]:
        """Failures shown by runs, with the phase to go back to."""
        return [gate.back for gate in self.gates if gate.back]

    @property
    def next_step(self) -> str:
        """Action that would pass the first gate that has not passed; empty where all have."""
        return next((gate.to_do for gate in self.gates if not gate.has_passed), '')

    def to_dict(self) -> dict:
        """Plain values."""
        return {'name': self.name, 'model': self.model or None, 'archetype': self.archetype or None,
                'phase': self.phase, 'phases': [
            {'name': phase.name, 'done': phase.is_done, 'gates': [_gate_to_dict(gate) for gate in phase.gates]}
            for phase in self.phases], 'ways_back': self.ways_back, 'next': self.next_step or None}


def statuses(project: Project) -> list[Status]:
    """Status of every model in the project and of every studied object without a model; at least one."""
    subjects = [(model.card.name if model.card else model.folder.name,
                 subject_of(project, model)) for model in project.models]
    unmodelled = {run.summary['object'].get('name', '') for run in project.runs if run.schema == FEASIBILITY
                  and not any(model.is_object_of(run) for model in project.models)}
    subjects += [(name, subject_of(project, None, name)) for name in sorted(unmodelled)]
    return [_status(name, subject) for name, subject in subjects or [('', Subject(project, None, None))]]


def to_dict(project: Project, found: list[Status]) -> dict:
    """Status of the whole project as plain values."""
    return {'schema': SCHEMA, 'project': project.root.as_posix(),
            'baselines': [file.path.as_posix() for file in project.baselines_files.values() if file.path],
            'objects': [status.to_dict() for status in found], 'problems': list(project.problems)}


def _status(name: str, subject: Subject) -> Status:
    phases = tuple(Phase(phase, tuple(gate(subject) for gate in (*gates, *_more_gates(subject, phase))))
                   for phase, gates in PHASES.items())
    return Status(name, subject.model.folder.as_posix() if subject.model else '', phases, _archetype(subject))


def _more_gates(subject: Subject, phase: str) -> list[Callable[[Subject], Gate]]:
    """Gates of a phase that the archetype adds."""
    if subject.archetype is None or phase != ARCHETYPE_PHASE:
        return []
    return [ARCHETYPE_GATES[name] for name in subject.archetype.gates]


def _archetype(subject: Subject) -> str:
    if subject.archetype is None or subject.stated_in is None:
        return ''
    return f'{subject.archetype.name} ({subject.archetype.title}), stated in {subject.stated_in.folder.as_posix()}'


def _gate_to_dict(gate: Gate) -> dict:
    return {**asdict(gate), 'result': gate.result, 'proof': gate.proof and gate.proof._asdict()}
