# SPDX-License-Identifier: Apache-2.0
"""Gates of a project: passed or failed by measured runs only.

The newest run decides, regardless of older ones; on recordings, the newest run on each of them. Runs of another
model, or of this model before the last change of its card, do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from posegrasp_ros.feasibility.archetype import ARCHETYPES, Archetype
from posegrasp_ros.metrics import formatting, pick_metrics, summary
from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.project_status.project_files import (
    BASELINES_NAME,
    FEASIBILITY,
    ModelFolder,
    Project,
    Run,
)

PASSED, FAILED, UNDECIDED = 'passed', 'failed', 'undecided'
"""Undecided: nothing was measured yet, or not enough."""
ESTIMATOR = 'onnx'
"""Estimator whose runs count; references such as the oracle, which is given the truth, do not."""


class Proof(NamedTuple):
    """The run that decided a gate.

    :param run: folder, relative to the project
    :param date: ISO 8601
    :param sha256: of summary.json
    :param model_sha256: of the network that was run; empty for none
    """

    run: str
    date: str
    sha256: str
    model_sha256: str = ''

    @classmethod
    def of(cls, run: Run) -> Proof:
        return cls(run.folder.as_posix(), run.time[:10], run.sha256,
                   next((model.get('sha256') or '' for model in run.models), ''))


@dataclass(frozen=True)
class Gate:
    """One gate.

    :param figure: measured result, or what is missing
    :param proof: run or file that shows it; None where nothing was measured
    :param to_do: command or action that would pass the gate; empty where it has passed
    :param back: the earlier phase to go back to if a run has shown a failure; else empty
    """

    name: str
    has_passed: bool
    figure: str
    proof: Proof | None = None
    to_do: str = ''
    back: str = ''

    @property
    def result(self) -> str:
        """One of ``passed``, ``failed``, ``undecided``."""
        if self.has_passed:
            return PASSED
        return FAILED if self.back else UNDECIDED


@dataclass(frozen=True)
class Subject:
    """One object of a project, with its model and feasibility study.

    :param model: None where there is none yet
    :param study: newest feasibility run of the object; None where there is none
    :param stated_in: newest one that states an archetype; None where none does
    """

    project: Project
    model: ModelFolder | None
    study: Run | None
    stated_in: Run | None = None

    @property
    def archetype(self) -> Archetype | None:
        """Kind of project; None where no study states it."""
        return ARCHETYPES[self.stated_in.summary['archetype']['name']] if self.stated_in else None

    @property
    def model_name(self) -> str:
        """Path of the model folder, for commands."""
        return (self.project.root / self.model.folder).as_posix() if self.model else 'models/mine'

    @property
    def baselines(self) -> Baselines:
        return self.project.baselines_of(self.model).baselines

    @property
    def baselines_name(self) -> str:
        """Path of the baselines file, for commands, even if it does not exist yet."""
        return (self.project.baselines_of(self.model).path or self.project.root / BASELINES_NAME).as_posix()

    @property
    def gripper(self) -> str:
        """Name of the gripper in the study; empty without a study."""
        return self.study.summary['gripper']['name'] if self.study else ''

    def runs(self, schema: str, is_current: bool = True) -> list[Run]:
        """Complete runs of the object's model, newest first.

        :param is_current: only runs of the current state of the model with its estimator; else of any model of the
            object
        """
        if self.model is None:
            return []
        belongs = self.model.was_measured_by if is_current else self.model.is_object_of
        return [run.of_object(self.model.name) for run in self.project.runs
                if run.schema == schema and run.is_complete and belongs(run)
                and (not is_current or run.summary.get('estimator', ESTIMATOR) == ESTIMATOR)]

    def requirement(self, metric: str) -> float | None:
        """The strictest requirement in the baselines file; None where there is none."""
        known = self.baselines.metrics[metric]
        values = [entry.value for entry in known.entries if entry.kind == 'requirement']
        strictest = max if known.direction == 'higher_is_better' else min
        return strictest(values) if values else None

    def tolerance(self, unit: str) -> str:
        """Text of the grasp's smallest tolerance; empty without a study.

        :param unit: ``m`` for translations, ``rad`` for rotations
        """
        axes = (self.study.summary.get('required') or {}).get('gripper_axes') or () if self.study else ()
        known = [axis for axis in axes if axis['unit'] == unit and axis.get('limit') is not None]
        if not known:
            return ''
        narrow = min(known, key=lambda axis: axis['limit'])
        return f'tolerance is {formatting.quantity(narrow["limit"], unit)} {narrow["name"]}'

    def why_no_run(self, kept: Callable[[Run], bool] = lambda run: True,
                   schemas: Iterable[str] = (summary.SCHEMA, pick_metrics.SCHEMA)) -> str:
        """Why no run counts: there is none, or the newest is incomplete or of another state of the model.

        :param kept: filter for the kind of run that the gate needs
        """
        model = self.model
        others = [run for run in self.project.runs if model and run.schema in schemas and kept(run)
                  and model.is_object_of(run)]
        if model is None or not others:
            return 'no run'
        newest = others[0]
        if not newest.is_complete:
            return f'{newest.folder} was interrupted'
        if model.was_measured_by(newest):
            return f'{newest.folder} is of the estimator {newest.summary.get("estimator")}'
        return (f'{newest.folder} ({newest.time[:10]}) is of another model, {Proof.of(newest).model_sha256[:8]}, '
                'or older than this card')


def subject_of(project: Project, model: ModelFolder | None, name: str = '') -> Subject:
    """An object with its newest feasibility run, and the newest that states what kind of project it is.

    :param name: name of the object, where there is no model
    """
    studies = [run for run in project.runs if run.schema == FEASIBILITY and run.is_complete
               and (model.is_object_of(run) if model else run.summary['object'].get('name') == name)]
    return Subject(project, model, next(iter(studies), None),
                   next((run for run in studies if run.summary.get('archetype')), None))
