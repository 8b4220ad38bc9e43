# SPDX-License-Identifier: Apache-2.0
"""Options of ``posegrasp evaluate --recorded`` for poses from any node or file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from posegrasp_ros.cli.options import Axis, File, option_group, options
from posegrasp_ros.pose_sources.match_rules import How
from posegrasp_ros.runtime.console import remark
from posegrasp_ros.runtime.errors import InvalidInputError

if TYPE_CHECKING:  # commands import in their bodies
    from posegrasp_ros.estimation.model_card import ModelCard
    from posegrasp_ros.evaluation.source_evaluation import JudgedObject, JudgeOptions
    from posegrasp_ros.fleet.bag_method import JudgeMethod
    from posegrasp_ros.metrics.baselines.baselines import Baselines
    from posegrasp_ros.pose_sources.asked_sources import AskedSources


@option_group(Group.create_ordered('Recorded poses'))
@dataclass(frozen=True)
class PoseSources:
    """Whose poses are judged with --recorded, in place of those reported by this package's stages.

    :param pose_topic: topic of poses from any node: PoseStamped, PoseWithCovarianceStamped, TransformStamped,
        Odometry, PoseArray, vision_msgs/Detection3DArray or Detection2DArray with poses; of several the first
        is judged, the others are compared with it
    :param pose_frame: the object's frame in /tf as published by the node in question
    :param pose_csv: poses in the format of the BOP benchmark's tools, or with the columns of --ground-truth
    :param pose_class: class id of the object in messages that name one, with several models as NAME=ID; default:
        the model's name, or the only class present
    :param match: how poses are matched to images: the header has the image's stamp, or the nearest within
        --match-tolerance, or the last image recorded before the pose; auto: stamp, else nearest
    :param correct: corrections.yaml of a run, applied to the poses before they are measured
    :param mesh: mesh of the object, for surface errors and for pictures, if no --model is given; without
        either, position and rotation errors are measured
    :param symmetry_axis: axis of the mesh about which any rotation looks the same
    :param symmetry_half_turn: axis of the mesh about which half a turn looks the same; may be given twice
    """

    pose_topic: Annotated[tuple[str, ...], options('TOPIC...', str)] = ()
    pose_frame: Annotated[tuple[str, ...], options('NAME...', str)] = ()
    pose_csv: Annotated[tuple[Path, ...], options('FILE...', Path)] = ()
    pose_class: Annotated[tuple[str, ...], options('ID|NAME=ID...', str)] = ()
    match: How = 'auto'
    correct: File | None = None
    mesh: File | None = None
    symmetry_axis: Axis | None = None
    symmetry_half_turn: Annotated[tuple[Axis, ...], Parameter(consume_multiple=False)] = ()

    @property
    def given(self) -> str:
        """The options that were given, for messages."""
        default = PoseSources()
        return ', '.join(f'--{each.name.replace("_", "-")}' for each in fields(self)
                         if getattr(self, each.name) != getattr(default, each.name))

    @property
    def are_foreign(self) -> bool:
        """Whether they may be those of any node."""
        return bool(self.given)


POSE_SOURCES = PoseSources()


def judge(bags: Sequence[Path], models: Sequence[Path], poses: PoseSources, how: JudgeOptions,
          baselines: Baselines, out: Path) -> dict:
    """Measure the poses of sources; the summary.

    :param models: folders; none where only a mesh is known, or nothing of the object
    """
    from posegrasp_ros.estimation.model_set import load_model_set
    from posegrasp_ros.evaluation.source_evaluation import evaluate_sources
    from posegrasp_ros.faults.correction_file import read_corrections
    from posegrasp_ros.runs.provenance import describe_mesh, describe_run

    if not (poses.pose_topic or poses.pose_frame or poses.pose_csv):
        raise InvalidInputError(f'{poses.given}: expected with --pose-topic, --pose-frame or --pose-csv, '
                                'found none')
    cards = load_model_set(models) if models else {}
    described = describe_run(cards) if cards else describe_run() | (
        {'mesh': describe_mesh(poses.mesh)} if poses.mesh else {})
    objects = _objects(cards, poses)
    if poses.correct:
        how = replace(how, corrections=read_corrections(poses.correct))
    return evaluate_sources(bags, objects, _asked(poses, tuple(objects), how), how, baselines, out, described)


def judge_method(models: Sequence[Path], poses: PoseSources, how: JudgeOptions) -> JudgeMethod:
    """How the poses of a fleet's recordings are judged; see :func:`judge`."""
    from posegrasp_ros.estimation.model_set import load_model_set
    from posegrasp_ros.faults.correction_file import read_corrections
    from posegrasp_ros.fleet.bag_method import JudgeMethod

    if not (poses.pose_topic or poses.pose_frame):
        raise InvalidInputError(f'{poses.given}: expected with --pose-topic or --pose-frame, found neither')
    if poses.correct:
        how = replace(how, corrections=read_corrections(poses.correct))
    names = tuple(_objects(load_model_set(models) if models else {}, poses))
    return JudgeMethod(_asked(poses, names, how), tuple(map(str, models)), poses.mesh, poses.symmetry_axis,
                       poses.symmetry_half_turn, how)


def _objects(cards: Mapping[str, ModelCard], poses: PoseSources) -> dict[str, JudgedObject]:
    """The objects whose poses are judged: of models, of a mesh, or one of which nothing is known."""
    from posegrasp_ros.estimation.model_set import ONLY
    from posegrasp_ros.evaluation.source_evaluation import JudgedObject
    from posegrasp_ros.geometry.mesh import declared_symmetry, load_mesh

    has_symmetry = poses.symmetry_axis or poses.symmetry_half_turn
    if cards and (poses.mesh or has_symmetry):
        raise InvalidInputError('--mesh, --symmetry-axis, --symmetry-half-turn: expected without --model, whose '
                                'card states both')
    if cards:
        return {name: JudgedObject(card.mesh, card.symmetry, card.tolerance) for name, card in cards.items()}
    if poses.mesh:
        mesh = load_mesh(poses.mesh)
        symmetry = declared_symmetry(mesh, poses.symmetry_axis, poses.symmetry_half_turn)
        return {ONLY: JudgedObject(mesh, symmetry)}
    if has_symmetry:
        raise InvalidInputError('--symmetry-axis, --symmetry-half-turn: expected with --mesh, through whose '
                                'centre the axis passes, found none')
    remark('posegrasp: no --model and no --mesh: position and rotation errors are measured as for an object '
           'without symmetry')
    return {ONLY: JudgedObject()}


def _asked(poses: PoseSources, objects: Sequence[str], how: JudgeOptions) -> AskedSources:
    """Whose poses are judged."""
    from posegrasp_ros.estimation.model_set import ONLY
    from posegrasp_ros.pose_sources.asked_sources import AskedSources
    from posegrasp_ros.pose_sources.pose_matching import Matching

    classes = {}
    for text in poses.pose_class:
        name, separator, class_id = text.partition('=') if len(objects) > 1 else (ONLY, '=', text)
        if not separator or name not in objects:
            raise InvalidInputError(f'--pose-class: expected NAME=ID with NAME one of {", ".join(objects)}, got '
                                    f'{text}')
        classes[name] = class_id
    return AskedSources(poses.pose_topic, poses.pose_frame, poses.pose_csv, classes,
                        Matching(poses.match, round(1e6 * how.source.tolerance_ms)))
