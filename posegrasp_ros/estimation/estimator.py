# SPDX-License-Identifier: Apache-2.0
"""PoseEstimator: image and camera in, poses with score and covariance out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.decoders.decoder import Decoder
from posegrasp_ros.estimation.decoders.initial_pose import Candidate, InitialPose
from posegrasp_ros.estimation.decoders.registry import decoder_class
from posegrasp_ros.estimation.model_card import CARD_NAME, ModelCard, ModelCardError
from posegrasp_ros.estimation.plausible import is_plausible
from posegrasp_ros.estimation.pose_estimate import MIN_SCORE, Estimation, PoseEstimate
from posegrasp_ros.estimation.refinement.refiner import Refinement, Refiner
from posegrasp_ros.estimation.refinement.refiner_registry import refiner_class
from posegrasp_ros.estimation.score import BIAS, score
from posegrasp_ros.estimation.stopwatch import Stopwatch
from posegrasp_ros.estimation.warm_up import compile_alignment
from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.transforms import move_covariance
from posegrasp_ros.sensing.images import check_registered

MOST_CANDIDATES, MOST_FAINT = 8, 3
FAINT_CONFIDENCE, FAINT_SHARE = 0.4, 0.6
"""A candidate below both, the second of the most confident one's, is faint."""
RETRY_CONFIDENCE, RETRY_SCORE = 0.3, 0.5
"""Without a pose scored above the second, candidates above the first are solved again at other scales."""
SAME_OBJECT = 0.5
"""Two poses whose centres are nearer than this, in radii of the object, are of one and the same."""


class Found(NamedTuple):
    """A pose, and the figures that its score is made of.

    :param agreement: of the refinement, see :class:`Refinement`; 0 without one
    :param visible_share: as the refinement estimates it; None where it does not
    """

    estimate: PoseEstimate
    figures: dict[str, float]
    agreement: float = 0.0
    visible_share: float | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """What a report tells of the pose."""
        share = {} if self.visible_share is None else {'visible_share': self.visible_share}
        return {'score': self.estimate.score, **self.figures, **share}


class PoseEstimator:
    """Finds the object with the card's networks, then refines each pose.

    :param card: the model
    :param threads: processor threads of the networks; None takes every core
    :param min_score: poses less probable than this are no answer
    :param refine: False leaves the network's pose as it is, for comparison
    :param decoder: the networks; None for those of the card
    :param refiner: the refinement; None for that of the card
    :raises ModelCardError: when networks or score are not what the card says
    """

    def __init__(self, card: ModelCard, threads: int | None = None, min_score: float = MIN_SCORE,
                 refine: bool = True, decoder: Decoder | None = None, refiner: Refiner | None = None):
        self.card = card
        self.decoder = decoder or decoder_class(card.network.family)(card, threads)
        made = refiner_class(card.refiner)
        self._refiner = (refiner or made(card.mesh)) if refine else None
        self._when_lost = dict((refiner or made).figures_when_lost)
        self._check_score()
        compile_alignment(self._refiner)
        self.min_score = min_score

    def estimate(self, image: np.ndarray, camera: Camera, truth: np.ndarray | None = None,
                 depth_m: np.ndarray | None = None, stamp_ns: int | None = None) -> Estimation:
        """The poses of all instances; see :class:`posegrasp_ros.estimation.pose_estimate.Estimator`.

        Reasons for none: ``no_detection``, ``no_pose`` (coordinates that fit none, or one that the image cannot
        show), ``low_score``.
        """
        check_sizes(image, camera, depth_m)
        watch = Stopwatch()
        reason, found = self.search(image, camera, depth_m, watch)
        return watch.answer(reason, [each.estimate for each in found])

    def search(self, image: np.ndarray, camera: Camera, depth_m: np.ndarray | None,
               watch: Stopwatch) -> tuple[str, list[Found]]:
        """Look in the whole image: the reason for no answer, and all that are good enough, best first."""
        candidates = self.decoder.find(image, camera)
        watch.lap('detect_ms', detections=len(candidates))
        if not candidates:
            return 'no_detection', []
        found = self._estimate_all(candidates, image, camera, depth_m)
        watch.lap('pose_ms', candidates=len(found))
        if not found:
            return 'no_pose', []
        watch.note(**found[0].numbers)
        good = [each for each in found if each.estimate.score >= self.min_score]
        return '' if good else 'low_score', good

    def _estimate_all(self, candidates: list[Candidate], image: np.ndarray, camera: Camera,
                      depth_m: np.ndarray | None) -> list[Found]:
        """Best first, each object once."""
        found: list[Found] = []

        def look(solve: Callable[[], InitialPose | None]) -> None:
            refined = self.refined(solve(), image, camera, depth_m)
            if refined is not None:
                found.append(refined)

        faint = min(FAINT_CONFIDENCE, FAINT_SHARE * candidates[0].confidence)
        for rank, candidate in enumerate(candidates[:MOST_CANDIDATES]):
            # a faint one is worth the time only while there is nothing better
            if candidate.confidence < faint and (rank >= MOST_FAINT or best_score(found) > MIN_SCORE):
                break
            look(candidate.solve)
        again = [candidate for candidate in candidates[:MOST_FAINT] if candidate.confidence > RETRY_CONFIDENCE]
        for otherwise in zip(*(candidate.solve_otherwise for candidate in again)):
            for solve in otherwise:
                if self._refiner and best_score(found) < RETRY_SCORE:  # without it no score tells
                    look(solve)
        return self.distinct(found)

    def distinct(self, found: list[Found]) -> list[Found]:
        """Best first, of those that are one and the same object the best alone."""
        distinct: list[Found] = []
        for each in sorted(found, key=lambda entry: -entry.estimate.score):
            centre = self.centre(each.estimate)
            apart = [np.linalg.norm(centre - self.centre(other.estimate)) for other in distinct]
            if min(apart, default=np.inf) > SAME_OBJECT * self.card.mesh.radius:
                distinct.append(each)
        return distinct

    def centre(self, estimate: PoseEstimate) -> np.ndarray:
        """(3,) middle of the object in the camera's frame."""
        pose = estimate.camera_from_object
        return pose[:3, :3] @ self.card.mesh.centre + pose[:3, 3]

    @property
    def score_figures(self) -> tuple[str, ...]:
        """Names of the figures that a score may be made of: the decoder's and the refiner's."""
        return (*self.decoder.figures, *self._when_lost)

    def refined(self, initial: InitialPose | None, image: np.ndarray, camera: Camera,
                depth_m: np.ndarray | None = None) -> Found | None:
        """A network's pose refined and scored; as it is where the refinement is lost.

        None without one, and where the image cannot show the object at that pose.
        """
        if initial is None or not is_plausible(initial.pose, self.card.mesh, camera):
            return None
        return self._found(initial, self._refine(initial, image, camera, depth_m))

    def followed(self, initial: InitialPose, image: np.ndarray, camera: Camera,
                 depth_m: np.ndarray | None = None) -> Found | None:
        """A predicted pose refined and scored; None where the refinement is lost, and without one.

        :param initial: with the figures of the decoder from when the networks last looked
        """
        if not is_plausible(initial.pose, self.card.mesh, camera):
            return None
        refined = self._refine(initial, image, camera, depth_m)
        return self._found(initial, refined) if refined else None

    def rescored(self, found: Found, figures: dict[str, float]) -> Found:
        """The same pose with the score that it has with other figures of the decoder.

        Poses in the same image are compared by it: only what the refiner says of them differs.

        :param figures: may have others than the decoder's, which do not count
        """
        both = found.figures | {name: figures[name] for name in self.decoder.figures}
        return found._replace(estimate=replace(found.estimate, score=self._score(both, found.agreement)),
                              figures=both)

    @property
    def can_follow(self) -> bool:
        """Whether there is a refiner that can follow a pose without the networks."""
        return self._refiner is not None

    def _refine(self, initial: InitialPose, image: np.ndarray, camera: Camera,
                depth_m: np.ndarray | None) -> Refinement | None:
        """None where it is lost, without a refiner, and where the image cannot show the refined pose."""
        if self._refiner is None:
            return None
        refined = self._refiner.refine(image, camera, initial.pose, initial.covariance, depth_m, initial.seen)
        return refined if refined and is_plausible(refined.pose, self.card.mesh, camera) else None

    def _found(self, initial: InitialPose, refined: Refinement | None) -> Found:
        pose, covariance = (refined.pose, refined.covariance) if refined else (initial.pose, initial.covariance)
        figures = initial.figures | (refined.figures if refined else self._when_lost)
        agreement = refined.agreement if refined else 0.0
        scale = np.sqrt(np.repeat(self.card.covariance_scale, 3))
        canonical = self.card.symmetry.canonical(pose)
        covariance, pose = move_covariance(covariance, canonical[:3, 3] - pose[:3, 3]), canonical
        estimate = PoseEstimate(pose, self._score(figures, agreement), covariance * np.outer(scale, scale))
        return Found(estimate, figures, agreement, refined.visible_share if refined else None)

    def _score(self, figures: dict[str, float], agreement: float) -> float:
        """Probability that the pose is right; before it was measured, how far image and model agree."""
        if self.card.score:
            return score(self.card.score, figures)
        return figures.get('inlier_share', 1.0) * (agreement or figures['confidence'])

    def _check_score(self) -> None:
        unknown = [name for name in self.card.score if name not in (BIAS, *self.score_figures)]
        if unknown:
            raise ModelCardError(f'{self.card.folder / CARD_NAME}: score.{unknown[0]}: expected one of '
                                 f'{", ".join(self.score_figures)}, which decoder and refiner provide; fit the '
                                 'score again with posegrasp calibrate')


def best_score(found: list[Found]) -> float:
    """The highest of the scores; 0 of none."""
    return max((each.estimate.score for each in found), default=0.0)


def check_sizes(image: np.ndarray, camera: Camera, depth_m: np.ndarray | None = None) -> None:
    """Make sure that intrinsics and depth are those of an image.

    :raises CameraError: when the intrinsics are of another size
    :raises ImageError: when the depth is
    """
    if image.shape[:2] != (camera.height, camera.width):
        raise CameraError(f'camera: intrinsics are of {camera.width}x{camera.height} pixels, '
                          f'the image has {image.shape[1]}x{image.shape[0]}')
    if depth_m is not None:
        check_registered(depth_m, camera.width, camera.height)
