"""Gates of a project: each passed or failed by a measured run, never by hand.

The newest run decides, whatever an older one has shown; on recordings, the newest on each of them. A run of
another model, or of this one before its card was last changed, tells nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from posegrasp_ros.metrics import formatting, pick_metrics, summary
from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.project_status.project_files import (
    BASELINES_NAME,
    FEASIBILITY,
    ModelFolder,
    Project,
    Run,
)

PASSED, FAILED = 'passed', 'failed'
ESTIMATOR = 'onnx'
"""The one that a model folder is for; references such as the oracle, which is told the truth, prove nothing."""


class Proof(NamedTuple):
    """The run that decided a gate.

    :param run: its folder, relative to the project
    :param date: ISO 8601
    :param sha256: of its summary.json
    :param model_sha256: of the network that it ran; empty where none did
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

    :param figure: what was measured, or what is missing
    :param proof: what tells so; None where nothing was measured
    :param to_do: what would pass it; empty where it has passed
    :param back: where the way goes when a run has shown that it does not hold; empty else
    """

    name: str
    has_passed: bool
    figure: str
    proof: Proof | None = None
    to_do: str = ''
    back: str = ''


@dataclass(frozen=True)
class Subject:
    """One object of a project, with what is known of it.

    :param model: None before there is one
    :param study: the newest feasibility run of the object; None where there is none
    """

    project: Project
    model: ModelFolder | None
    study: Run | None

    @property
    def model_name(self) -> str:
        """How commands name the model folder."""
        return (self.project.root / self.model.folder).as_posix() if self.model else 'models/mine'

    @property
    def baselines(self) -> Baselines:
        return self.project.baselines_of(self.model).baselines

    @property
    def baselines_name(self) -> str:
        """How commands name the baselines file, also one that is still to be written."""
        return (self.project.baselines_of(self.model).path or self.project.root / BASELINES_NAME).as_posix()

    @property
    def gripper(self) -> str:
        """Name of the gripper that was studied; empty before a study."""
        return self.study.summary['gripper']['name'] if self.study else ''

    def runs(self, schema: str, is_current: bool = True) -> list[Run]:
        """Runs of the object's model that were not cut short, newest first.

        :param is_current: of the model as it is now, with its own estimator; else of whatever model of the object
        """
        if self.model is None:
            return []
        belongs = self.model.was_measured_by if is_current else self.model.is_object_of
        return [run for run in self.project.runs if run.schema == schema and run.is_complete and belongs(run)
                and (not is_current or run.summary.get('estimator', ESTIMATOR) == ESTIMATOR)]

    def requirement(self, metric: str) -> float | None:
        """The strictest of the baselines file's requirements; None where there is none."""
        known = self.baselines.metrics[metric]
        values = [entry.value for entry in known.entries if entry.kind == 'requirement']
        strictest = max if known.direction == 'higher_is_better' else min
        return strictest(values) if values else None

    def tolerance(self, unit: str) -> str:
        """The narrowest tolerance of the grasp, in words; empty where no study tells it.

        :param unit: ``m`` for shifts, ``rad`` for turns
        """
        axes = (self.study.summary.get('required') or {}).get('gripper_axes') or () if self.study else ()
        known = [axis for axis in axes if axis['unit'] == unit and axis.get('limit') is not None]
        if not known:
            return ''
        narrow = min(known, key=lambda axis: axis['limit'])
        return f'tolerance is {formatting.quantity(narrow["limit"], unit)} {narrow["name"]}'

    def why_no_run(self, kept: Callable[[Run], bool] = lambda run: True,
                   schemas: Iterable[str] = (summary.SCHEMA, pick_metrics.SCHEMA)) -> str:
        """Why no run counts: there is none, or the newest is of another state of the model.

        :param kept: which of the runs would be of the kind that is asked for
        """
        others = [run for run in self.project.runs if self.model and run.schema in schemas and kept(run)
                  and self.model.is_object_of(run)]
        if not others:
            return 'no run'
        newest = others[0]
        if not newest.is_complete:
            return f'{newest.folder} was cut short'
        if self.model.was_measured_by(newest):
            return f'{newest.folder} is of the estimator {newest.summary.get("estimator")}'
        return (f'{newest.folder} ({newest.time[:10]}) is of another model, {Proof.of(newest).model_sha256[:8]}, '
                'or older than this card')


def newest_study(project: Project, model: ModelFolder | None, name: str = '') -> Run | None:
    """The newest feasibility run of an object.

    :param name: of the object, where there is no model
    """
    return next((run for run in project.runs if run.schema == FEASIBILITY and run.is_complete
                 and (model.is_object_of(run) if model else run.summary['object'].get('name') == name)), None)
