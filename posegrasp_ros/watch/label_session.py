# SPDX-License-Identifier: Apache-2.0
"""LabelSession: a person labels the object's pose in one frame after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.label_file import (
    ABSENT,
    MOVED,
    POINTS,
    REFINED,
    SKIPPED,
    Label,
    LabelFile,
    LabelledSource,
    mesh_name,
)
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.plausible import is_plausible
from posegrasp_ros.estimation.refinement.refiner_registry import refiner_class
from posegrasp_ros.estimation.warm_up import compile_alignment
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import (
    make_transform,
    move_covariance,
    rotation_from_vector,
    transform_points,
)
from posegrasp_ros.geometry.true_pose import TruePose
from posegrasp_ros.watch.clicked_pose import FEWEST_POINTS, clicked_pose
from posegrasp_ros.watch.label_motion import expected_pose
from posegrasp_ros.watch.stepped_frames import SteppedFrames
from posegrasp_ros.watch.watch_error import WatchError

HAND_SIGMA_M, HAND_SIGMA_RAD = 0.01, float(np.radians(5))
"""How far a pose moved by hand, or expected from another frame, is taken to be off: within the refinement's reach.
Of the frame's own image alone a label says something: what is known of other frames does not count as more."""
HAND_COVARIANCE = np.diag(np.repeat([HAND_SIGMA_M**2, HAND_SIGMA_RAD**2], 3))
START_DISTANCE = 6.0
"""In radii of the object: where it is put in a frame of which nothing is known."""


@dataclass(eq=False)
class Pair:
    """A point in the image and on the mesh; either may come first.

    :param pixel: (2,) of the image
    :param point: (3,) object frame
    """

    pixel: np.ndarray | None = None
    point: np.ndarray | None = None

    @property
    def is_whole(self) -> bool:
        return self.pixel is not None and self.point is not None


@dataclass
class Draft:
    """What is to be the label of the frame that is shown.

    :param truth: the pose; without a covariance where it was moved by hand
    :param way: how the pose came about
    :param is_touched: whether a person worked on it since it was saved
    :param residual_px: of clicked points; None without
    """

    truth: TruePose
    way: str = MOVED
    is_touched: bool = False
    residual_px: float | None = None


@dataclass
class _Shown:
    """The frame that is shown."""

    place: int
    frame: BagFrame
    draft: Draft | None = None
    pairs: list[Pair] = field(default_factory=list)
    clicks: list[tuple[Pair, str]] = field(default_factory=list)
    is_warned: bool = False


class LabelSession:
    """The frames, their labels, and the work on the frame that is shown.

    A pose in progress is discarded only when the user moves on twice without saving it.

    :param card: of the object
    :param frames: to be labelled; the first without a label is shown
    :param labels: what is labelled already, and where labels are written to
    """

    def __init__(self, card: ModelCard, frames: SteppedFrames, labels: LabelFile):
        self._card, self._frames, self._labels = card, frames, labels
        self._refiner = refiner_class(card.refiner)(card.mesh)
        compile_alignment(self._refiner)
        unlabelled = (place for place, stamp_ns in enumerate(frames.stamps_ns) if stamp_ns not in labels.labels)
        self._shown = self._look_at(next(unlabelled, len(frames) - 1))

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def place(self) -> int:
        """Of the frame that is shown, from 0."""
        return self._shown.place

    @property
    def frame(self) -> BagFrame:
        """That is shown."""
        return self._shown.frame

    @property
    def time_s(self) -> float:
        """Of the frame that is shown, since the first one."""
        return (self.frame.stamp_ns - self._frames.stamps_ns[0]) / 1e9

    @property
    def count(self) -> int:
        """Of all frames."""
        return len(self._frames)

    @property
    def labelled(self) -> int:
        """How many frames have a label."""
        return len(self._labels.labels)

    @property
    def label(self) -> Label | None:
        """Of the frame that is shown, as it is in the file."""
        return self._labels.labels.get(self.frame.stamp_ns)

    @property
    def draft(self) -> Draft | None:
        """The pose that is worked on."""
        return self._shown.draft

    @property
    def pairs(self) -> list[Pair]:
        """The clicked points, in their order."""
        return self._shown.pairs

    def go(self, step: int) -> None:
        """Show the frame so many places further, or the first or last one.

        :raises WatchError: once, where the pose was worked on and not saved
        """
        draft = self._shown.draft
        if draft is not None and draft.is_touched and not self._shown.is_warned:
            self._shown.is_warned = True
            raise WatchError('this pose is not saved: Enter saves it, going on again drops it')
        place = min(max(self.place + step, 0), self.count - 1)
        if place != self.place:
            self._shown = self._look_at(place)

    def click_image(self, pixel: np.ndarray) -> None:
        """Mark a point (2,) in the image; with the fourth whole pair the pose is solved."""
        self._view()
        self._add(Pair(pixel=pixel))

    def click_mesh(self, point: np.ndarray) -> None:
        """Mark a point (3,) on the mesh, object frame."""
        self._add(Pair(point=point))

    def undo(self) -> None:
        """Take back the last click, and the pose that was solved with it."""
        if not self._shown.clicks:
            return
        pair, half = self._shown.clicks.pop()
        setattr(pair, half, None)
        if pair.pixel is None and pair.point is None:
            self.pairs.remove(pair)
        draft = self._shown.draft
        if draft is not None and draft.way == POINTS and draft.is_touched:
            self._shown.draft = None
            self._solve_if_told()

    def clear(self) -> None:
        """Take back all clicks; the pose stays."""
        self.pairs.clear()
        self._shown.clicks.clear()

    def solve(self) -> None:
        """The pose from the clicked points.

        :raises WatchError: when they tell none
        """
        _, camera = self._view()
        whole = [pair for pair in self.pairs if pair.is_whole]
        points, pixels = (np.array([getattr(pair, name) for pair in whole]).reshape(-1, size)
                          for name, size in (('point', 3), ('pixel', 2)))
        solved = clicked_pose(points, pixels, camera)
        self._work_on(Draft(TruePose(solved.camera_from_object, solved.covariance), POINTS, True,
                            solved.residual_px))

    def put(self, pose: np.ndarray) -> None:
        """Put the object at a pose (4, 4) camera_from_object, as if it were moved there by hand."""
        self._view()
        self._work_on(Draft(TruePose(pose), MOVED, True))

    def shift(self, across_px: np.ndarray, nearer: float = 0.0) -> None:
        """Move the object so many pixels (2,) across the image, and nearer by a share of its distance."""
        _, camera = self._view()
        pose = self._start()
        centre = transform_points(pose, self._card.mesh.centre[None])[0]
        step = centre[2] * np.array([across_px[0] / camera.fx, across_px[1] / camera.fy, 0.0])
        self.put(make_transform(translation=step - centre * np.clip(nearer, -0.5, 0.5)) @ pose)

    def turn(self, vector: np.ndarray) -> None:
        """Turn the object about its centre by a rotation vector (3,), camera frame, radians."""
        pose = self._start()
        centre, rotation = transform_points(pose, self._card.mesh.centre[None])[0], rotation_from_vector(vector)
        self.put(make_transform(rotation, centre - rotation @ centre) @ pose)

    def refine(self) -> None:
        """Align the pose with the image, as estimators do.

        Solved from points the pose is as sure as they are; moved by hand it only tells where to look.

        :raises WatchError: when there is no pose, or none near it fits the image
        """
        draft = self._shown.draft
        if draft is None:
            raise WatchError('refine: expected a pose to begin with: click points, or move the object onto its '
                             'image')
        found = self._refined(draft.truth.pose, draft.truth.covariance if draft.way == POINTS else None)
        if found is None:
            raise WatchError('refine: no pose near this one fits the image: move the object nearer to its image')
        self._work_on(Draft(found, REFINED, True))

    def save(self) -> None:
        """Write the pose as the frame's label, and show the next frame.

        :raises WatchError: when there is no pose, or the image cannot show the object there
        :raises OSError: when the file cannot be written
        """
        draft = self._shown.draft
        if draft is None:
            raise WatchError('save: expected a pose, got none: X skips the frame, N says that the object is not '
                             'visible')
        _, camera = self._view()
        if not is_plausible(draft.truth.pose, self._card.mesh, camera):
            raise WatchError('save: expected a pose in the image, got one that it cannot show')
        self._set(Label(draft.way, draft.truth))

    def skip(self) -> None:
        """Mark the frame as left out, and show the next."""
        self._set(Label(SKIPPED))

    def absent(self) -> None:
        """Mark the object as not visible in the frame, and show the next."""
        self._set(Label(ABSENT))

    def _set(self, label: Label) -> None:
        self._labels.set(self.frame.stamp_ns, label)
        self._shown = self._look_at(min(self.place + 1, self.count - 1))

    def _look_at(self, place: int) -> _Shown:
        """A frame with its label, else with the pose that its neighbours let expect."""
        shown = self._shown = _Shown(place, self._frames.frame(place))
        label = self.label
        if label is not None:
            shown.draft = None if label.truth is None else Draft(label.truth, label.way)
            return shown
        if shown.frame.image is None or shown.frame.camera is None:
            return shown
        known = {stamp: each.truth for stamp, each in self._labels.labels.items() if each.truth is not None}
        expected = expected_pose(known, shown.frame.stamp_ns, self._card.mesh)
        if expected is not None:
            refined = self._refined(expected)
            shown.draft = Draft(TruePose(expected)) if refined is None else Draft(refined, REFINED)
        return shown

    def _refined(self, pose: np.ndarray, covariance: np.ndarray | None = None) -> TruePose | None:
        """A pose aligned with the image; None where none near it fits.

        :param covariance: (6, 6) of the pose; None for one that was moved by hand
        """
        image, camera = self._view()
        if not is_plausible(pose, self._card.mesh, camera):
            return None
        if covariance is None:  # by hand an object is turned about its centre
            covariance = move_covariance(HAND_COVARIANCE, -pose[:3, :3] @ self._card.mesh.centre)
        found = self._refiner.refine(image, camera, pose, covariance, self.frame.depth_m)
        if found is None or not is_plausible(found.pose, self._card.mesh, camera):
            return None
        scale = np.sqrt(np.repeat(self._card.covariance_scale, 3))
        return TruePose(found.pose, found.covariance * np.outer(scale, scale))

    def _add(self, click: Pair) -> None:
        """Complete the pair that lacks this half, else begin one."""
        half = 'pixel' if click.point is None else 'point'
        open_pair = next((pair for pair in self.pairs if getattr(pair, half) is None), None)
        if open_pair is None:
            self.pairs.append(click)
        else:
            setattr(open_pair, half, getattr(click, half))
        self._shown.clicks.append((open_pair or click, half))
        if open_pair is not None:
            self._solve_if_told()

    def _solve_if_told(self) -> None:
        if sum(pair.is_whole for pair in self.pairs) >= FEWEST_POINTS:
            self.solve()

    def _work_on(self, draft: Draft) -> None:
        self._shown.draft, self._shown.is_warned = draft, False

    def _start(self) -> np.ndarray:
        """(4, 4) of the draft, else in front of the camera."""
        self._view()
        if self._shown.draft is not None:
            return self._shown.draft.truth.pose
        mesh = self._card.mesh
        middle = make_transform(translation=(0.0, 0.0, START_DISTANCE * mesh.radius))
        return middle @ make_transform(translation=-mesh.centre)

    def _view(self) -> tuple[np.ndarray, Camera]:
        frame = self.frame
        if frame.image is None or frame.camera is None:
            raise WatchError(f'this frame cannot be labelled: {frame.reason} {frame.problem}: X skips it')
        return frame.image, frame.camera


def labelled_source(card: ModelCard, frames: SteppedFrames) -> LabelledSource:
    """What labels of these frames belong to."""
    camera = frames.frame(0).camera
    values = [] if camera is None else [camera.fx, camera.fy, camera.cx, camera.cy]
    return LabelledSource(card.name, mesh_name(card.mesh), len(frames), frames.stamps_ns[0],
                          frames.stamps_ns[-1], ' '.join(f'{value:.2f}' for value in values))
