"""What the stages answer to frames, as the nodes would: in this process, or in several with the same answers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import tee
from typing import NamedTuple

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame, Undecoded
from posegrasp_ros.datasets.frame_sources import SourcedFrame
from posegrasp_ros.datasets.paint_over import paint_over
from posegrasp_ros.estimation.create import create_estimator
from posegrasp_ros.estimation.model_card import ModelCard, ModelCardError
from posegrasp_ros.estimation.perception_stage import PerceptionStage
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.estimation.track import with_tracking
from posegrasp_ros.geometry.transforms import rotate_covariance
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene
from posegrasp_ros.grasping.planning.planning_stage import PlanningStage
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.runtime.process_pool import workers

LOGGER = logging.getLogger(__name__)


class Answer(NamedTuple):
    """One estimator's answer to a frame, and what the stages report of it."""

    estimation: Estimation
    perception: StageReport
    planning: StageReport | None


class AnsweredFrame(NamedTuple):
    """A frame with the answers of all estimators by name.

    :param frame: without its image and depth where it came from another process
    """

    frame: BagFrame
    answers: dict[str, Answer]


@dataclass(frozen=True)
class Work:
    """What to do with each frame; can be handed to another process.

    :param estimators: names of those to ask
    :param tracked: the one that first looks where it found the object last; None for none
    :param planner: plans for every pose where the camera's pose is known; None for no planning
    :param base_from_camera: (4, 4) of a camera that does not move; None where the frames tell it
    :param paint: paint the object over, and leave out the frames without the ground truth that this needs
    :param no_object: the object is in none of the frames, whatever their ground truth
    """

    card: ModelCard
    estimators: tuple[str, ...]
    threads: int | None = None
    tracked: str | None = None
    planner: GraspPlanner | None = None
    scene: Scene = field(default_factory=Scene)
    base_from_camera: np.ndarray | None = None
    paint: bool = False
    no_object: bool = False

    def begin(self) -> Worker:
        """Load the networks."""
        made = {name: create_estimator(name, self.card, threads=self.threads) for name in self.estimators}
        if self.tracked:
            made[self.tracked] = with_tracking(made[self.tracked], LOGGER.warning)
        perception = {name: PerceptionStage(estimator, self.card.identity) for name, estimator in made.items()}
        planning = PlanningStage(self.planner, self.scene, self.card.identity) if self.planner else None
        return Worker(self, perception, planning)


class Worker:
    """The stages at work.

    :param perception: for each estimator under its name
    :param planning: None for no planning
    """

    def __init__(self, work: Work, perception: dict[str, PerceptionStage], planning: PlanningStage | None):
        self._work, self._perception, self._planning = work, perception, planning

    def answer(self, undecoded: Undecoded, shift_ns: int = 0) -> AnsweredFrame | None:
        """All that is answered to a frame; None for one that is left out.

        :param shift_ns: added to the stamp for estimators that remember, to keep recordings of the same times
            apart
        """
        frame = undecoded.decode()
        if self._work.paint:
            frame = paint_over(frame, self._work.card.mesh)
            if frame is None:
                return None
        elif self._work.no_object:
            frame = replace(frame, camera_from_object=None)
        return AnsweredFrame(frame, {name: self._answer(stage, frame, frame.stamp_ns + shift_ns)
                                     for name, stage in self._perception.items()})

    def _answer(self, stage: PerceptionStage, frame: BagFrame, stamp_ns: int) -> Answer:
        perceived = stage.perceive_decoded(frame, stamp_ns)
        if isinstance(perceived.error, ModelCardError):
            raise perceived.error  # the network, not this frame
        if perceived.error:
            # As in the node: a bug costs this frame and is logged, it does not end the run.
            LOGGER.error('the estimator failed on the image of %d ns', frame.stamp_ns, exc_info=perceived.error)
        return Answer(perceived.estimation, perceived.outcome.report('perception', frame.stamp_ns),
                      self._plan(frame, perceived.estimation.poses))

    def _plan(self, frame: BagFrame, poses: Sequence[PoseEstimate]) -> StageReport | None:
        """For the first of the poses, clear of the others; None where it is not known where the camera is."""
        work = self._work
        base_from_camera = frame.base_from_camera if work.base_from_camera is None else work.base_from_camera
        if self._planning is None or base_from_camera is None or not poses:
            return None
        covariance = rotate_covariance(poses[0].covariance, base_from_camera[:3, :3])
        base_from_object, *others = (base_from_camera @ pose.camera_from_object for pose in poses)
        planned = self._planning.plan(base_from_object, covariance,
                                      [BoxObstacle.around(work.card.mesh, pose) for pose in others])
        if planned.outcome.problem:
            LOGGER.warning('%s', planned.outcome.problem)
        return planned.outcome.report('planning', frame.stamp_ns)


def answered_frames(work: Work, frames: Iterable[SourcedFrame],
                    jobs: int = 1) -> Iterator[tuple[SourcedFrame, AnsweredFrame | None]]:
    """Each frame with its answers, in the order of the frames.

    :param jobs: processes; with one, it is this one
    """
    measured, asked = tee(frames)
    answer = Worker.answer if jobs == 1 else _answer_without_images
    with workers(answer, work, jobs, begin=Work.begin) as answers:
        yield from zip(measured, answers((item.undecoded, item.shift_ns) for item in asked))


def _answer_without_images(worker: Worker, undecoded: Undecoded, shift_ns: int) -> AnsweredFrame | None:
    """Images need not be sent back from another process."""
    answered = worker.answer(undecoded, shift_ns)
    if answered is None:
        return None
    return answered._replace(frame=replace(answered.frame, image=None, depth_m=None))
