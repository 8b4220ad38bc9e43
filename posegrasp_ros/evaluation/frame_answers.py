# SPDX-License-Identifier: Apache-2.0
"""What the stages answer to frames, as the nodes would: in this process, or in several with the same answers."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import tee
from typing import NamedTuple

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame, Undecoded
from posegrasp_ros.datasets.frame_sources import SourcedFrame
from posegrasp_ros.datasets.paint_over import paint_over
from posegrasp_ros.estimation.create import create_estimator
from posegrasp_ros.estimation.model_card import ModelCard, ModelCardError
from posegrasp_ros.estimation.perception_stage import Perceived, PerceptionStage
from posegrasp_ros.estimation.pose_estimate import Estimation
from posegrasp_ros.estimation.several_objects import ObjectStage, SeveralObjects
from posegrasp_ros.estimation.tracking.pose_tracker import with_tracking
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.geometry.transforms import rotate_covariance
from posegrasp_ros.grasping.planning.plan import PlannedGrasp
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene
from posegrasp_ros.grasping.planning.planning_stage import PlanningAnswer, PlanningStage
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.runtime.process_pool import workers

LOGGER = logging.getLogger(__name__)
KEPT_GRASPS = 3


class Answer(NamedTuple):
    """One estimator's answer to a frame, and what the stages report of it.

    :param said_ns: stamp that the poses came with; None for the frame's
    :param grasps: the best of those that were planned, best first, in the base frame
    """

    estimation: Estimation
    perception: StageReport
    planning: StageReport | None
    said_ns: int | None = None
    grasps: tuple[PlannedGrasp, ...] = ()


class AnsweredFrame(NamedTuple):
    """A frame with the answers of all estimators.

    :param frame: without its depth where it came from another process, and there without its image unless that is
        to be kept
    :param answers: by estimator and by object
    """

    frame: BagFrame
    answers: dict[str, dict[str, Answer]]


@dataclass(frozen=True)
class Work:
    """What to do with each frame; can be handed to another process.

    :param cards: of the objects by name, see :func:`posegrasp_ros.estimation.model_set.load_model_set`
    :param estimators: names of those to ask
    :param tracked: the one that follows objects from frame to frame; None for none
    :param planners: of objects by name, plan for every pose where the camera's pose is known
    :param base_from_camera: (4, 4) of a camera that does not move; None where the frames tell it
    :param paint: paint the object over, and leave out the frames without the ground truth that this needs
    :param no_object: the objects are in none of the frames, whatever their ground truth
    :param tracking: how objects are followed by ``tracked``
    :param keeps_images: whether images are sent back from other processes
    """

    cards: Mapping[str, ModelCard]
    estimators: tuple[str, ...]
    threads: int | None = None
    tracked: str | None = None
    planners: Mapping[str, GraspPlanner] = field(default_factory=dict)
    scene: Scene = field(default_factory=Scene)
    base_from_camera: np.ndarray | None = None
    paint: bool = False
    no_object: bool = False
    tracking: TrackingOptions = field(default_factory=TrackingOptions)
    keeps_images: bool = False

    def begin(self) -> Worker:
        """Load the networks."""
        perception = {name: SeveralObjects({each: ObjectStage(self._stage(name, card), card.mesh)
                                            for each, card in self.cards.items()}) for name in self.estimators}
        planning = {each: PlanningStage(planner, self.scene, self.cards[each].identity)
                    for each, planner in self.planners.items()}
        return Worker(self, perception, planning)

    def _stage(self, name: str, card: ModelCard) -> PerceptionStage:
        estimator = create_estimator(name, card, threads=self.threads)
        if name == self.tracked:
            estimator = with_tracking(estimator, LOGGER.warning, self.tracking)
        return PerceptionStage(estimator, card.identity)


class Worker:
    """The stages at work.

    :param perception: for each estimator under its name
    :param planning: for each object that is planned for
    """

    def __init__(self, work: Work, perception: dict[str, SeveralObjects], planning: dict[str, PlanningStage]):
        self._work, self._perception, self._planning = work, perception, planning
        self.keeps_images = work.keeps_images

    def answer(self, undecoded: Undecoded, shift_ns: int = 0) -> AnsweredFrame | None:
        """All that is answered to a frame; None for one that is left out.

        :param shift_ns: added to the stamp for estimators that remember, to keep recordings of the same times
            apart
        """
        frame = undecoded.decode()
        if self._work.paint:
            painted = paint_over(frame, next(iter(self._work.cards.values())).mesh)
            if painted is None:
                return None
            frame = painted
        elif self._work.no_object:
            frame = replace(frame.with_truths(()), named_truths={})
        if self._work.base_from_camera is not None:
            frame = replace(frame, base_from_camera=self._work.base_from_camera)
        return AnsweredFrame(frame, {name: self._answer(objects, frame, frame.stamp_ns + shift_ns)
                                     for name, objects in self._perception.items()})

    def _answer(self, objects: SeveralObjects, frame: BagFrame, stamp_ns: int) -> dict[str, Answer]:
        found = objects.perceive_decoded(frame, stamp_ns)
        for perceived in found.values():
            if isinstance(perceived.error, ModelCardError):
                raise perceived.error  # the network, not this frame
            if perceived.error:
                # As in the node: a bug costs this frame and is logged, it does not end the run.
                LOGGER.error('the estimator failed on the image of %d ns', frame.stamp_ns,
                             exc_info=perceived.error)
        answers = {}
        for name, perceived in found.items():
            planned = self._plan(name, frame, found)
            answers[name] = Answer(
                perceived.estimation, perceived.outcome.report('perception', frame.stamp_ns, name),
                planned.outcome.report('planning', frame.stamp_ns, name) if planned else None,
                grasps=tuple(planned.plan.grasps[:KEPT_GRASPS]) if planned else ())
        return answers

    def _plan(self, name: str, frame: BagFrame, found: Mapping[str, Perceived]) -> PlanningAnswer | None:
        """For the first of an object's poses, clear of all others; None where the camera's pose is not known."""
        poses, base_from_camera = found[name].estimation.poses, frame.base_from_camera
        if name not in self._planning or base_from_camera is None or not poses:
            return None
        covariance = rotate_covariance(poses[0].covariance, base_from_camera[:3, :3])
        others = [BoxObstacle.around(self._work.cards[each].mesh, base_from_camera @ pose.camera_from_object)
                  for each, perceived in found.items() for pose in perceived.estimation.poses
                  if pose is not poses[0]]
        planned = self._planning[name].plan(base_from_camera @ poses[0].camera_from_object, covariance, others)
        if planned.outcome.problem:
            LOGGER.warning('%s', planned.outcome.problem)
        return planned


def answered_frames(work: Work, frames: Iterable[SourcedFrame],
                    jobs: int = 1) -> Generator[tuple[SourcedFrame, AnsweredFrame | None], None, None]:
    """Each frame with its answers, in the order of the frames.

    :param jobs: processes; with one, it is this one
    """
    measured, asked = tee(frames)
    answer = Worker.answer if jobs == 1 else _answer_to_send
    with workers(answer, work, jobs, begin=Work.begin) as answers:
        yield from zip(measured, answers((item.undecoded, item.shift_ns) for item in asked))


def _answer_to_send(worker: Worker, undecoded: Undecoded, shift_ns: int) -> AnsweredFrame | None:
    """Depth need not be sent back from another process, the image only where it is shown."""
    answered = worker.answer(undecoded, shift_ns)
    if answered is None:
        return None
    image = answered.frame.image if worker.keeps_images else None
    return answered._replace(frame=replace(answered.frame, image=image, depth_m=None))
