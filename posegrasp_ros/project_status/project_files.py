# SPDX-License-Identifier: Apache-2.0
"""Reading of a project folder: its models, runs and baselines files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.model_card import CARD_NAME, ModelCard, load_model_card
from posegrasp_ros.feasibility.archetype import ARCHETYPES
from posegrasp_ros.metrics.baselines.baselines import Baselines, load_baselines
from posegrasp_ros.runs.folder import SUMMARY_NAME
from posegrasp_ros.runs.state import partial_because
from posegrasp_ros.runs.summary_schemas import FEASIBILITY, SCHEMAS, summary_problem
from posegrasp_ros.runtime.data_files import read_json
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.runtime.file_hash import sha256_of

OURS = 'posegrasp.'
NO_EVIDENCE = ('posegrasp.comparison/1',)
BASELINES_NAME = 'baselines.yaml'
# Folders of build results and installed packages.
SKIPPED = {'build', 'install', 'log', 'node_modules', '__pycache__', 'site-packages'}
DEEPEST = 5
ROOT = Path('.')
SAME_SIZE = 0.01
"""Relative tolerance of the sides of the same object: training rewrites the mesh file."""


class ProjectError(InvalidInputError):
    """A folder that cannot be a project."""


class BaselinesFile(NamedTuple):
    """A baselines file and its path; None for the one of the package."""

    path: Path | None
    baselines: Baselines


@dataclass(frozen=True)
class Run:
    """A run and its summary.

    :param folder: relative to the project
    :param sha256: of summary.json
    :param partial: why the run is not complete; empty if it is
    """

    folder: Path
    summary: dict
    sha256: str
    partial: str = ''

    @property
    def schema(self) -> str:
        return self.summary['schema']

    @property
    def provenance(self) -> dict:
        return self.summary['provenance']

    @property
    def time(self) -> str:
        """Start time, ISO 8601."""
        return self.provenance.get('time', '')

    @property
    def is_complete(self) -> bool:
        """Whether the run was finished."""
        return not self.partial

    @property
    def models(self) -> list[dict]:
        """{name, sha256, card_sha256} of every model that was used."""
        return [*([self.provenance['model']] if self.provenance.get('model') else []),
                *(self.provenance.get('models') or {}).values()]

    def of_object(self, name: str) -> Run:
        """The run as far as it is about one of several objects; as it is where it is about one."""
        part = (self.summary.get('objects') or {}).get(name)
        return replace(self, summary={**self.summary, **part}) if part else self

    @property
    def recordings(self) -> frozenset[str]:
        """Hashes of the evaluated recordings; empty for a robot or a simulator."""
        return frozenset(bag.get('sha256') or bag['name'] for bag in self.provenance.get('bags') or ())

    @property
    def is_simulated(self) -> bool:
        """Whether the images are simulated: recordings are marked, runs in a simulator state their seed."""
        bags = self.provenance.get('bags') or ()
        return any(bag.get('simulated') for bag in bags) if bags else 'seed' in self.provenance


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a model.yaml.

    :param folder: relative to the project
    :param card: None where it is invalid
    :param problem: why it is invalid
    """

    folder: Path
    card: ModelCard | None
    problem: str = ''

    @cached_property
    def sha256(self) -> str:
        """Hash of model.yaml, which states the hashes of the networks."""
        return self.card.sha256 if self.card else ''

    @property
    def date(self) -> str:
        """Date of the last training stated on the card; empty for none."""
        parts = self.card.provenance.values() if self.card else ()
        return max((str(part.get('date', '')) for part in parts if isinstance(part, dict)), default='')

    def was_measured_by(self, run: Run) -> bool:
        """Whether a run is of the current state of the model."""
        return any(self._is(model, run.time) for model in run.models)

    def is_object_of(self, run: Run) -> bool:
        """Whether a run is about the same object, with any model."""
        if run.schema == FEASIBILITY:
            studied = run.summary['object']
            # The study of a model states its name; that of a mesh can be matched only by size.
            is_other = studied.get('model') and studied.get('name') != self.name
            return self.card is not None and not is_other and bool(
                np.allclose(studied['size_m'], self.card.mesh.extents, rtol=SAME_SIZE))
        return any(model.get('name') == self.name for model in run.models)

    @property
    def name(self) -> str:
        """Name on the card; of an invalid one that of the folder."""
        return self.card.name if self.card else self.folder.name

    def _is(self, model: dict, time: str) -> bool:
        """Whether a run used this model; without a card hash, the same network and not older than the card."""
        if self.card is None:
            return False
        if 'card_sha256' in model:
            return model['card_sha256'] == self.sha256
        return model.get('sha256') == self.card.network_sha256 and time[:10] >= self.date


@dataclass(frozen=True)
class Project:
    """Contents of a project folder.

    :param runs: newest first
    :param baselines_files: by the folder that they apply to, relative to the project: that of a model, or ``.``
        for all others
    :param problems: files that could not be read, one line each
    """

    root: Path
    models: tuple[ModelFolder, ...]
    runs: tuple[Run, ...]
    baselines_files: dict[Path, BaselinesFile]
    problems: tuple[str, ...]

    def baselines_of(self, model: ModelFolder | None) -> BaselinesFile:
        """The baselines file of the model's folder, else that of the project."""
        return self.baselines_files.get(model.folder if model else ROOT, self.baselines_files[ROOT])


def read_project(root: str | Path, baselines: str | Path | None = None) -> Project:
    """Read a project folder.

    :param baselines: baselines file to use; None: the baselines.yaml in a model's folder for that model, else the
        one closest to the top
    :raises ProjectError: when there is no such folder
    :raises posegrasp_ros.metrics.baselines.baselines.BaselineError: when the baselines file cannot be used
    """
    root = Path(root)
    if not root.is_dir():
        raise ProjectError(f'{root}: no such folder; expected that of a project, with its models and runs')
    files = list(_files(root))
    problems: list[str] = []
    runs = [run for path in files if path.name == SUMMARY_NAME and (run := _read_run(path, root, problems))]
    models = [_read_model(path.parent, root) for path in files if path.name == CARD_NAME]
    paths = [path for path in files if path.name == BASELINES_NAME]
    of_models = {model.folder: root / model.folder / BASELINES_NAME for model in models}
    chosen: dict[Path, Path | None] = {folder: path for folder, path in of_models.items()
                                       if path in paths and not baselines}
    others = [path for path in paths if path not in of_models.values()]
    chosen[ROOT] = Path(baselines) if baselines else min(others, key=lambda path: (len(path.parts), path),
                                                         default=None)
    return Project(root, tuple(models), tuple(sorted(runs, key=lambda run: run.time, reverse=True)),
                   {folder: BaselinesFile(path, load_baselines(path)) for folder, path in chosen.items()},
                   tuple(problems))


def _files(root: Path) -> Iterator[Path]:
    """Summaries, model cards and baselines files, folder by folder."""
    for folder, inner, names in os.walk(root, followlinks=True):
        depth = len(Path(folder).relative_to(root).parts)
        inner[:] = sorted(name for name in inner if depth < DEEPEST and name[0] not in '._'
                          and name not in SKIPPED)
        yield from (Path(folder) / name for name in (SUMMARY_NAME, CARD_NAME, BASELINES_NAME) if name in names)


def _read_run(path: Path, root: Path, problems: list[str]) -> Run | None:
    """Read a summary; None for files of other programs, and for invalid files, which are reported."""
    try:
        found = read_json(path, ProjectError)
    except ProjectError as error:
        problems.append(f'{error}: left out')
        return None
    schema = str(found.get('schema', '')) if isinstance(found, dict) else ''
    if not schema.startswith(OURS) or schema in NO_EVIDENCE:
        return None
    if schema not in SCHEMAS:
        problems.append(f'{path}: left out: schema: expected {" or ".join(SCHEMAS)}, got {schema}')
        return None
    if problem := summary_problem(found, schema):
        problems.append(f'{path}: left out: expected a summary in the format of this version: {problem}')
        return None
    archetype = (found.get('archetype') or {}).get('name') if schema == FEASIBILITY else None
    if archetype and archetype not in ARCHETYPES:
        problems.append(f'{path}: left out: archetype.name: expected {" or ".join(ARCHETYPES)}, got '
                        f'{quoted(archetype)}')
        return None
    return Run(path.parent.relative_to(root), found, sha256_of(path),
               partial_because(path.parent, found))


def _read_model(folder: Path, root: Path) -> ModelFolder:
    try:
        return ModelFolder(folder.relative_to(root), load_model_card(folder))
    except InvalidInputError as error:
        return ModelFolder(folder.relative_to(root), None, str(error))
    except OSError as error:
        problem = f'{error.filename or folder}: expected a file that can be read: {error.strerror}'
        return ModelFolder(folder.relative_to(root), None, problem)
