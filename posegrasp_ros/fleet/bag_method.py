# SPDX-License-Identifier: Apache-2.0
"""How the recordings of a fleet are evaluated: by this package's estimators, or as other nodes' poses are judged.

A method is small, can be pickled, and loads models in the process that evaluates: once there, however many
recordings follow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np

import posegrasp_ros
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.model_set import ONLY, load_model_set
from posegrasp_ros.evaluation.bag_evaluation import error_targets, prepared_evaluation
from posegrasp_ros.evaluation.evaluate_options import EvaluateOptions
from posegrasp_ros.evaluation.frame_answers import Worker
from posegrasp_ros.evaluation.measured_run import PreparedRun
from posegrasp_ros.evaluation.source_evaluation import JudgedObject, JudgeOptions, prepared_judgement
from posegrasp_ros.fleet.frame_schema import FRAMES_SCHEMA
from posegrasp_ros.geometry.mesh import declared_symmetry, load_mesh
from posegrasp_ros.grasping.grasp_set import load_grasps
from posegrasp_ros.grasping.gripper import load_gripper
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.pose_sources.asked_sources import AskedSources
from posegrasp_ros.runs.provenance import describe_mesh, describe_run

NO_MODEL = 'none'


class LoadedMethod(Protocol):
    """A method in a process that evaluates.

    :ivar model: name of the model, or of several
    :ivar identity: what results depend on besides the recording, plain values
    """

    model: str
    identity: dict[str, Any]

    def prepared(self, path: Path) -> PreparedRun:
        """What is to be measured in a recording."""


class BagMethod(Protocol):
    """How recordings are evaluated."""

    def load(self) -> LoadedMethod:
        """Read the models."""


@dataclass(frozen=True)
class EstimatorMethod:
    """By this package's estimators.

    :param models: folders of the models
    :param options: without planners
    :param gripper: that grasps are planned for
    """

    models: tuple[str, ...]
    options: EvaluateOptions
    gripper: str

    def load(self) -> LoadedMethod:
        """Read models and grasps."""
        return _LoadedEstimators(self)


@dataclass(frozen=True)
class JudgeMethod:
    """As poses are judged that other nodes recorded.

    :param models: folders of the models; none where only a mesh is known, or nothing of the object
    """

    asked: AskedSources
    models: tuple[str, ...] = ()
    mesh: Path | None = None
    symmetry_axis: str | None = None
    symmetry_half_turns: tuple[str, ...] = ()
    options: JudgeOptions = field(default_factory=JudgeOptions)

    def load(self) -> LoadedMethod:
        """Read models or mesh."""
        return _LoadedJudge(self)


class _LoadedEstimators:
    def __init__(self, method: EstimatorMethod):
        self._cards = load_model_set(method.models)
        fingers = load_gripper(method.gripper)
        planners = {name: GraspPlanner(fingers, load_grasps(card.grasps_path, fingers, card.mesh),
                                       symmetry=card.symmetry, mesh=card.mesh)
                    for name, card in self._cards.items() if card.has_grasps}
        self._options = dataclasses.replace(method.options, planner=planners)
        self._targets = error_targets(self._cards)
        self._worker: Worker | None = None
        self.model = _named(self._cards)
        self.identity = {'models': _hashes(self._cards), 'grasps': _grasps(self._cards), 'gripper': method.gripper,
                         'options': plain(method.options)}

    def prepared(self, path: Path) -> PreparedRun:
        # One that follows objects begins anew with each recording.
        if self._worker is None and not self._options.track:
            self._worker = self._options.work(self._cards).begin()
        return prepared_evaluation([path], self._cards, self._options, self._worker, self._targets)


class _LoadedJudge:
    def __init__(self, method: JudgeMethod):
        self._method = method
        cards = load_model_set(method.models) if method.models else {}
        self._described = describe_run(cards) if cards else describe_run()
        objects = {name: JudgedObject(card.mesh, card.symmetry, card.tolerance) for name, card in cards.items()}
        known: Any = _hashes(cards)
        if not cards and method.mesh:
            mesh = load_mesh(method.mesh)
            objects[ONLY] = JudgedObject(mesh, declared_symmetry(mesh, method.symmetry_axis,
                                                                 method.symmetry_half_turns))
            known = self._described['mesh'] = describe_mesh(method.mesh)
        self._objects = objects or {ONLY: JudgedObject()}
        self.model = _named(cards) if cards else method.mesh.stem if method.mesh else NO_MODEL
        self.identity = {'models': known, 'symmetry': [method.symmetry_axis, *method.symmetry_half_turns],
                         'asked': plain(method.asked), 'options': plain(method.options)}

    def prepared(self, path: Path) -> PreparedRun:
        return prepared_judgement([path], self._objects, self._method.asked, self._method.options,
                                  dict(self._described))


_loaded: dict[bytes, LoadedMethod] = {}


def loaded(method: BagMethod) -> LoadedMethod:
    """The method with its models, read once in each process."""
    key = hashlib.sha256(pickle.dumps(method)).digest()
    if key not in _loaded:
        _loaded[key] = method.load()
    return _loaded[key]


def method_hash(identity: Mapping[str, Any]) -> str:
    """Of what results depend on besides the recording, and of the version of this code."""
    text = json.dumps({'method': identity, 'code': posegrasp_ros.__version__, 'schema': FRAMES_SCHEMA},
                      sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> Any:
    """A value as JSON can state it.

    :raises TypeError: when it is of a kind that does not tell its content: a hash of it would differ each time
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f'plain: expected plain values, dataclasses and paths, got {type(value).__name__}')


def _hashes(cards: Mapping[str, ModelCard]) -> list[list[str]]:
    return [[name, card.sha256] for name, card in cards.items()]


def _grasps(cards: Mapping[str, ModelCard]) -> list[str | None]:
    return [hashlib.sha256(card.grasps_path.read_bytes()).hexdigest() if card.has_grasps else None
            for card in cards.values()]


def _named(cards: Mapping[str, ModelCard]) -> str:
    return '+'.join(card.name for card in cards.values())
