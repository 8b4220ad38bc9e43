"""PoseTracker: searches objects near their last poses before searching the whole image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from posegrasp_ros.estimation.decoders.decoder import FindsNear
from posegrasp_ros.estimation.estimator import Found, PoseEstimator, check_sizes
from posegrasp_ros.estimation.pose_estimate import MIN_SCORE, Estimation, Estimator
from posegrasp_ros.estimation.stopwatch import Stopwatch
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import move_covariance

FRESH_NS = 500_000_000
SEARCH_EVERY_NS = 1_000_000_000
SAME_TRACK = 2.0
"""Largest motion of an object between two images, in units of its radius."""


@dataclass(frozen=True)
class Seen:
    """A previous pose with its image stamp."""

    found: Found
    stamp_ns: int


class PoseTracker:
    """A :class:`PoseEstimator` with memory; see :class:`posegrasp_ros.estimation.pose_estimate.Estimator`.

    The whole image is searched when there is no recent pose, when an object is not found reliably near its last
    pose, and once per second to find new objects. Of the poses equivalent by symmetry, each object keeps the one
    nearest to its last. In the numbers, ``tracked`` is 1 if the image was not searched, else 0.
    """

    def __init__(self, estimator: PoseEstimator):
        self._estimator = estimator
        self._symmetry, self._reach_m = estimator.card.symmetry, SAME_TRACK * estimator.card.mesh.radius
        self._good_score = max(MIN_SCORE, estimator.min_score)
        self._seen: list[Seen] = []
        self._last_ns = 0
        self._searched_ns: int | None = None

    @property
    def can_follow(self) -> bool:
        """Whether the networks can process a single region; otherwise every image is searched."""
        return isinstance(self._estimator.decoder, FindsNear)

    def estimate(self, image: np.ndarray, camera: Camera, truth: np.ndarray | None = None,
                 depth_m: np.ndarray | None = None, stamp_ns: int | None = None) -> Estimation:
        """The poses of all instances; without a stamp, or with one not after the last, the memory is cleared."""
        check_sizes(image, camera, depth_m)
        self._forget_all_but_fresh(stamp_ns)
        watch = Stopwatch()
        reason, found = '', self._follow(image, camera, depth_m, stamp_ns)
        watch.lap('track_ms', tracked=bool(found))
        if found:
            watch.note(score=found[0].estimate.score, **found[0].figures)
        else:
            reason, found = self._estimator.search(image, camera, depth_m, watch)
            self._searched_ns = stamp_ns
        found = [self._unturned(each) for each in found]
        self._remember(found, stamp_ns)
        return watch.answer(reason, [estimate for estimate, _ in found])

    def _follow(self, image: np.ndarray, camera: Camera, depth_m: np.ndarray | None,
                stamp_ns: int | None) -> list[Found]:
        """The objects of the last estimate, best first; empty unless all are found reliably and separately."""
        decoder, last = self._estimator.decoder, [seen.found for seen in self._seen
                                                  if seen.stamp_ns == self._last_ns]
        if not last or not isinstance(decoder, FindsNear) or self._is_search_due(stamp_ns):
            return []
        found: list[Found] = []
        for previous in last:
            now = self._look_near(decoder, previous, image, camera, depth_m) if self._is_good(previous) else None
            if now is None or not self._is_good(now):
                return []
            found.append(now)
        distinct = self._estimator.distinct(found)
        return distinct if len(distinct) == len(last) else []

    def _is_search_due(self, stamp_ns: int | None) -> bool:
        return stamp_ns is None or self._searched_ns is None or stamp_ns - self._searched_ns >= SEARCH_EVERY_NS

    def _look_near(self, decoder: FindsNear, previous: Found, image: np.ndarray, camera: Camera,
                   depth_m: np.ndarray | None) -> Found | None:
        initial = decoder.pose_near(previous.estimate.camera_from_object, image, camera)
        if initial is None:
            return None
        # The detector is not run; the score was fitted to its confidence, so its last one is used.
        figures = {**initial.figures, 'confidence': previous.figures['confidence']}
        return self._estimator.refined(replace(initial, figures=figures), image, camera, depth_m)

    def _is_good(self, found: Found) -> bool:
        return found.estimate.score >= self._good_score

    def _unturned(self, found: Found) -> Found:
        """Replace the pose by the equivalent one nearest to the last pose of the same object."""
        previous = self._previous(found)
        if previous is None:
            return found
        before = found.estimate.camera_from_object
        pose = self._symmetry.nearest(before, previous.found.estimate.camera_from_object)
        covariance = move_covariance(found.estimate.covariance, pose[:3, 3] - before[:3, 3])
        return found._replace(estimate=replace(found.estimate, camera_from_object=pose, covariance=covariance))

    def _previous(self, found: Found) -> Seen | None:
        """The previous pose of the same object; None when it is a new object."""
        nearest = min(self._seen, key=lambda seen: self._distance(seen.found, found), default=None)
        if nearest is None or self._distance(nearest.found, found) > self._reach_m:
            return None
        return nearest

    def _distance(self, first: Found, second: Found) -> float:
        between = self._estimator.centre(first.estimate) - self._estimator.centre(second.estimate)
        return float(np.linalg.norm(between))

    def _forget_all_but_fresh(self, stamp_ns: int | None) -> None:
        if stamp_ns is None or stamp_ns <= self._last_ns:
            self._seen = []
        else:
            self._seen = [seen for seen in self._seen if stamp_ns - seen.stamp_ns <= FRESH_NS]

    def _remember(self, found: list[Found], stamp_ns: int | None) -> None:
        """Store the poses; objects that were not found are kept, as they may be hidden in a single image."""
        if stamp_ns is None:
            return
        replaced = [self._previous(each) for each in found]
        kept = [seen for seen in self._seen if not any(seen is other for other in replaced)]
        self._seen = kept + [Seen(each, stamp_ns) for each in found]
        self._last_ns = stamp_ns


def with_tracking(estimator: Estimator, say: Callable[[str], None]) -> Estimator:
    """Add tracking to an estimator as far as possible; limits are reported in one line."""
    if not isinstance(estimator, PoseEstimator):
        say(f'tracking: {type(estimator).__name__} has no network that could follow an object: tracking is off')
        return estimator
    tracker = PoseTracker(estimator)
    if not tracker.can_follow:
        say('tracking: the network of this model only takes whole images: every image is searched, and tracking '
            'only keeps symmetric poses from flipping')
    return tracker
