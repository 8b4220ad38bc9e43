# SPDX-License-Identifier: Apache-2.0
"""PoseTracker: follows objects from image to image without the networks, which correct it at a stated rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from posegrasp_ros.estimation.decoders.decoder import FindsNear
from posegrasp_ros.estimation.estimator import Found, PoseEstimator, check_sizes
from posegrasp_ros.estimation.pose_estimate import MIN_SCORE, Estimation, Estimator
from posegrasp_ros.estimation.stopwatch import Stopwatch
from posegrasp_ros.estimation.tracking.track import Track, is_jump
from posegrasp_ros.estimation.tracking.track_status import NOTHING_KNOWN
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.metrics.track_states import FOUND, LOST, TRACKED

SEARCH_EVERY_NS = 1_000_000_000
"""How often the whole image is searched while all objects are followed, for new ones."""
SURE_SCORE = 0.8
"""A pose scored below it is not followed."""
SAME_TRACK = 2.0
"""Largest distance of an object from where it was predicted, in its radii; beyond it is not the same motion."""
MOST_CONTESTS = 3
"""A jump to another orientation is taken when the networks had better evidence in so many images in a row."""


class _View(NamedTuple):
    """One image."""

    image: np.ndarray
    camera: Camera
    depth_m: np.ndarray | None


class PoseTracker:
    """A :class:`PoseEstimator` with memory; see :class:`posegrasp_ros.estimation.pose_estimate.Estimator`.

    An object that the networks found surely is followed: the pose that constant velocity predicts is refined, and
    accepted while it is about as good as when the networks last saw it, see :meth:`Track.continues`. A score needs
    the decoder's figures: those of that image are used. Where it is not accepted, the same image is searched, so
    that it has what it would have without tracking. Poses are measured in the image; predicted ones are no answer.

    The networks look in line, not in the background: the poses do not depend on how fast the machine is, and are
    the same live and from a recording.

    In the numbers, ``tracked`` is 1 where the best pose was followed, ``searched`` where the networks looked.
    """

    def __init__(self, estimator: PoseEstimator, options: TrackingOptions | None = None):
        options = options or TrackingOptions()
        self._estimator, self._mesh = estimator, estimator.card.mesh
        self._correct_ns, self._give_up_ns = 1e9 / options.correction_hz, options.give_up_s * 1e9
        self._good_score = max(MIN_SCORE, estimator.min_score)
        self._sure_score = max(SURE_SCORE, estimator.min_score)
        self._tracks: list[Track] = []
        self._last_ns = 0
        self._searched_ns: int | None = None

    def estimate(self, image: np.ndarray, camera: Camera, truth: np.ndarray | None = None,
                 depth_m: np.ndarray | None = None, stamp_ns: int | None = None) -> Estimation:
        """The poses of all instances; without a stamp, or with one not after the last, the memory is cleared.

        The reason for none is ``lost`` while an object was seen a moment ago.
        """
        check_sizes(image, camera, depth_m)
        view, watch = _View(image, camera, depth_m), Stopwatch()
        if stamp_ns is None or stamp_ns <= self._last_ns:
            self._tracks, self._searched_ns = [], None
        now_ns = 0 if stamp_ns is None else stamp_ns
        self._tracks = [track for track in self._tracks if now_ns - track.seen_ns <= self._give_up_ns]
        for track in self._tracks:
            track.predict(now_ns)
        reason = self._see(view, now_ns, watch)
        self._last_ns = now_ns
        answer = self._answer(reason, now_ns, watch)
        if stamp_ns is None:
            self._tracks = []
        return answer

    def _see(self, view: _View, now_ns: int, watch: Stopwatch) -> str:
        """Update all tracks with an image; the reason why nothing was found in the whole image."""
        self._follow(view)
        watch.lap('track_ms')
        reason, unsettled = '', list[Found]()
        is_due = self._is_search_due(now_ns)
        if not is_due:
            looked, unsettled = self._look_near(view, now_ns)
            watch.lap('near_ms', searched=looked)
        if is_due or unsettled or not all(track.is_seen for track in self._tracks):
            reason, found = self._estimator.search(*view, watch)
            watch.note(searched=True)
            self._searched_ns = now_ns
            good = [each for each in unsettled if each.estimate.score >= self._good_score]
            self._take(self._estimator.distinct(found + good), view, now_ns)
        for track in self._tracks:
            if not track.is_seen:
                track.lose()
        self._tracks = self._distinct(track for track in self._tracks
                                      if now_ns - track.seen_ns <= self._give_up_ns)
        return reason

    def _follow(self, view: _View) -> None:
        """Refine the predictions, and see the objects where that is accepted."""
        followed: list[tuple[Track, Found]] = []
        for track in self._tracks:
            now = self._followed(track, view)
            if now:
                followed.append((track, now))
        kept = self._estimator.distinct([now for _, now in followed])
        for track, now in followed:
            if any(now is each for each in kept):
                track.see(now, TRACKED)

    def _followed(self, track: Track, view: _View) -> Found | None:
        if not self._is_sure(track.found) or not track.can_be_followed or self._is_stale(track):
            return None
        now = self._estimator.followed(track.initial_pose, *view)
        if now is None or not self._is_sure(now):
            return None
        now = track.unturned(now)
        return now if track.continues(now) else None

    def _look_near(self, view: _View, now_ns: int) -> tuple[bool, list[Found]]:
        """Look with the networks at objects that could not be followed, and at those due for correction.

        :return: whether they looked, and the poses that contradict what was followed
        """
        decoder, looked, unsettled = self._estimator.decoder, False, list[Found]()
        for track in self._tracks:
            # What was never sure gets no second look: it would only make more of what is wrong.
            is_due = self._is_due(track, now_ns) if track.is_seen else self._is_sure(track.confirmed)
            if not isinstance(decoder, FindsNear) or not is_due:
                continue
            looked, track.checked_ns = True, now_ns
            initial = decoder.pose_near(track.camera_from_object, view.image, view.camera)
            if initial is None:
                continue
            # The detector is not run; the score was fitted to its confidence, so its last one is used.
            figures = {**initial.figures, 'confidence': track.confirmed.figures['confidence']}
            found = self._estimator.refined(replace(initial, figures=figures), *view)
            if found is None:
                continue
            found = track.unturned(found)
            if not track.is_seen and self._is_sure(found):
                self._regain(track, found, view)
            elif track.is_seen and is_jump(self._mesh, track.found, found):
                unsettled.append(found)
            elif track.is_seen:
                self._settle(track, found)
        return looked, unsettled

    def _take(self, found: list[Found], view: _View, now_ns: int) -> None:
        """Give what the whole image shows to the tracks, nearest first; what is left begins new ones."""
        left, waiting = list(found), list(self._tracks)
        for track in waiting:
            track.checked_ns = now_ns
        while left and waiting:
            track, now = min(((track, now) for track in waiting for now in left),
                             key=lambda pair: pair[0].distance_m(pair[1]))
            waiting = [each for each in waiting if each is not track]
            left = [each for each in left if each is not now]
            if not track.is_seen:
                self._regain(track, track.unturned(now), view)
            elif not self._settle(track, track.unturned(now)) and track.distance_m(now) > self._mesh.radius:
                self._begin(now, now_ns)
        for now in left:
            self._begin(now, now_ns)

    def _settle(self, track: Track, found: Found) -> bool:
        """Decide between the pose that was followed and that of the networks, by what the image says of both.

        :return: whether the object is where the networks say
        """
        followed = self._estimator.rescored(track.found, found.figures)
        is_better = found.estimate.score > followed.estimate.score
        best = found if is_better else followed
        if is_jump(self._mesh, followed, found):
            track.contests = track.contests + 1 if is_better else 0
            if track.contests < MOST_CONTESTS and (followed.estimate.score >= self._good_score or not is_better):
                return False
        if best.estimate.score >= self._good_score:
            track.see(best, FOUND if is_better else TRACKED)
            track.confirm(best)
        return True

    def _regain(self, track: Track, found: Found, view: _View) -> None:
        """See an object that could not be followed; of look-alikes the orientation with the better evidence."""
        if track.distance_m(found) <= SAME_TRACK * self._mesh.radius and track.is_turned(found):
            other = self._estimator.followed(track.with_orientation(found), *view)
            if other and other.estimate.score > found.estimate.score:
                found = track.unturned(other)
        track.see(found, FOUND)
        track.confirm(found)

    def _begin(self, found: Found, now_ns: int) -> None:
        taken = {track.number for track in self._tracks}
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        self._tracks.append(Track.begun(self._mesh, self._estimator.card.symmetry, found, number, now_ns))

    def _is_sure(self, found: Found) -> bool:
        return found.estimate.score >= self._sure_score

    def _is_due(self, track: Track, now_ns: int) -> bool:
        return now_ns - track.checked_ns >= self._correct_ns

    def _is_stale(self, track: Track) -> bool:
        return track.motion.stamp_ns - track.confirmed_ns > self._give_up_ns

    def _is_search_due(self, now_ns: int) -> bool:
        """Whether to search the whole image, whatever is followed in it."""
        if not self._tracks or self._searched_ns is None or now_ns - self._searched_ns >= SEARCH_EVERY_NS:
            return True
        only_whole = not isinstance(self._estimator.decoder, FindsNear)
        return any(track.contests > 0 or (only_whole and self._is_due(track, now_ns)) for track in self._tracks)

    def _distinct(self, tracks: Iterable[Track]) -> list[Track]:
        """Of tracks on one and the same object the best, of those seen in this image."""
        tracks = list(tracks)
        kept = self._estimator.distinct([track.found for track in tracks if track.state != LOST])
        return [track for track in tracks if track.state == LOST or any(track.found is each for each in kept)]

    def _answer(self, reason: str, now_ns: int, watch: Stopwatch) -> Estimation:
        seen = sorted((track for track in self._tracks if track.state != LOST),
                      key=lambda track: -track.found.estimate.score)
        lost = [track for track in self._tracks if track.state == LOST]
        watch.note(tracked=bool(seen) and seen[0].state == TRACKED)
        if seen:
            watch.note(**seen[0].found.numbers)
        answer = watch.answer('' if seen else LOST if lost else reason, [track.found.estimate for track in seen])
        tracks = [track.status(now_ns) for track in (*seen, *lost)] or [NOTHING_KNOWN]
        return replace(answer, tracks=tracks)


def with_tracking(estimator: Estimator, say: Callable[[str], None],
                  options: TrackingOptions | None = None) -> Estimator:
    """Add tracking to an estimator as far as possible; limits are reported in one line."""
    if not isinstance(estimator, PoseEstimator):
        say(f'tracking: {type(estimator).__name__} has no network that could follow an object: tracking is off')
        return estimator
    if not estimator.can_follow:
        say('tracking: without refinement no pose is followed: the networks look at every image, first near the '
            'last pose')
    return PoseTracker(estimator, options)
