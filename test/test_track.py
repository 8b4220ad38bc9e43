"""Tracking: the same poses without a search, searches when it should, and no flips between equivalents."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from posegrasp_ros.estimation.decoders.initial_pose import Candidate, InitialPose
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.pose_estimate import PoseEstimate
from posegrasp_ros.estimation.scripted import OracleEstimator
from posegrasp_ros.estimation.tracking.pose_tracker import PoseTracker, with_tracking
from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import (
    NO_SYMMETRY,
    Symmetry,
    make_transform,
    rotation_angle,
    rotation_from_vector,
)
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.sensing.images import ImageError

MS, SECOND = 1_000_000, 1_000_000_000
CAMERA = Camera.from_field_of_view(64, 48, 1.0)
IMAGE = np.zeros((48, 64, 3), np.uint8)
CONFIDENCE = 0.95
MESH = load_mesh(resource_path('models/box/mesh.obj'))
HERE = make_transform(rotation_from_vector([0.4, -0.3, 0.8]), (0.02, -0.01, 0.6))
THERE = make_transform(rotation_from_vector([-0.2, 0.5, 0.1]), (-0.3, 0.05, 0.7))


class Places:
    """In place of networks: sees what is put into ``objects``, poses and scores, and counts how it is asked."""

    def __init__(self, symmetry: Symmetry, *_):
        self.objects: list[tuple[np.ndarray, float]] = [(HERE, 0.9)]
        self.figures = ('confidence', 'inlier_share', 'log_residual')
        self.searches = self.looks = 0
        self._equivalents = symmetry.transforms(steps=7)
        self._rng = np.random.default_rng(0)

    def find(self, image: np.ndarray, camera: Camera) -> list[Candidate]:
        self.searches += 1
        return [Candidate(CONFIDENCE, partial(self._spun, *each, CONFIDENCE)) for each in self.objects]

    def pose_near(self, camera_from_object: np.ndarray, image: np.ndarray, camera: Camera) -> InitialPose | None:
        self.looks += 1
        for pose, score in self.objects:
            if np.linalg.norm(pose[:3, 3] - camera_from_object[:3, 3]) < MESH.radius:
                return self._spun(pose, score, 1.0)
        return None

    def _spun(self, pose: np.ndarray, score: float, confidence: float) -> InitialPose:
        """One of those that look the same, whichever."""
        turned = pose @ self._equivalents[self._rng.integers(len(self._equivalents))]
        figures = {'confidence': confidence, 'inlier_share': score / CONFIDENCE, 'log_residual': 0.0}
        return InitialPose(turned, np.eye(6) * 1e-6, figures)


@pytest.fixture
def make_tracker():
    def make(symmetry: Symmetry = NO_SYMMETRY, kind: type = Places, **options) -> tuple[PoseTracker, Places]:
        card = SimpleNamespace(mesh=MESH, symmetry=symmetry, covariance_scale=(1.0, 1.0), score={},
                               refiner='mesh')
        estimator = PoseEstimator(card, refine=False, decoder=kind(symmetry), **options)
        return PoseTracker(estimator), estimator.decoder
    return make


def tracked(tracker: PoseTracker, stamps_ns) -> list[float]:
    return [tracker.estimate(IMAGE, CAMERA, stamp_ns=stamp).numbers['tracked'] for stamp in stamps_ns]


def moved(pose: np.ndarray, metres: float) -> np.ndarray:
    return make_transform(None, (metres, 0, 0)) @ pose


def test_while_answers_are_fresh_only_their_places_are_looked_at(make_tracker):
    tracker, places = make_tracker()
    assert tracked(tracker, [SECOND + index * 33 * MS for index in range(10)]) == [0] + [1] * 9
    assert (places.searches, places.looks) == (1, 9)


def test_the_whole_image_is_searched_once_a_second_and_a_new_instance_found(make_tracker):
    tracker, places = make_tracker()
    tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND)
    places.objects.append((THERE, 0.8))
    counts = [len(tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND + index * 50 * MS).poses)
              for index in range(1, 61)]
    assert counts[:19] == [1] * 19 and counts[19:] == [2] * 41
    assert places.searches == 4


@pytest.mark.parametrize(('stamps_ms', 'expected'), [
    ((1000, 1500, 2001, 2300), (0, 1, 0, 1)),  # stale after half a second
    ((1000, 1033, 1033, 1066), (0, 1, 0, 1)),  # the same again
    ((1000, 1033, 500, 533), (0, 1, 0, 1)),  # a recording that begins anew
    ((1000, None, 1033, 1066), (0, 0, 0, 1)),
])
def test_only_a_short_step_forward_is_fresh(make_tracker, stamps_ms, expected):
    tracker, _ = make_tracker()
    assert tuple(tracked(tracker, [ms and ms * MS for ms in stamps_ms])) == expected


def test_an_object_that_is_gone_is_searched_for(make_tracker):
    tracker, places = make_tracker()
    tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND)
    places.objects = [(THERE, 0.9)]
    elsewhere = tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND + 33 * MS)
    assert elsewhere.numbers['tracked'] == 0 and places.searches == 2
    np.testing.assert_allclose(elsewhere.poses[0].camera_from_object, THERE)
    places.objects = []
    nowhere = tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND + 66 * MS)
    assert (nowhere.poses, nowhere.reason, nowhere.numbers['tracked']) == ([], 'no_detection', 0)


def test_an_object_that_is_seen_less_well_is_searched_for(make_tracker):
    tracker, places = make_tracker()
    tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND)
    places.objects = [(HERE, 0.45)]
    assert tracked(tracker, [SECOND + 33 * MS, SECOND + 66 * MS]) == [0, 0]
    assert places.looks == 1, 'a poor pose is no place to begin from'


def test_a_tracked_pose_is_scored_with_the_heat_that_its_object_was_found_with(make_tracker):
    tracker, _ = make_tracker()
    found, then = (tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND + ms * MS) for ms in (0, 33))
    assert found.poses[0].score == then.poses[0].score == pytest.approx(0.9)
    assert then.numbers['confidence'] == CONFIDENCE


def test_no_pose_below_the_least_score_is_tracked(make_tracker):
    tracker, places = make_tracker(min_score=0.8)
    tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND)
    places.objects = [(HERE, 0.7)]
    assert tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND + 33 * MS).reason == 'low_score'


def test_two_tracks_that_run_into_one_object_are_searched_for(make_tracker):
    tracker, places = make_tracker()
    places.objects = [(HERE, 0.9), (moved(HERE, 1.2 * MESH.radius), 0.8)]
    assert len(tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND).poses) == 2
    places.objects = [(moved(HERE, 0.6 * MESH.radius), 0.9)]
    found = tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND + 33 * MS)
    assert len(found.poses) == 1 and found.numbers['tracked'] == 0


CAN = Symmetry.generated([make_transform(rotation_from_vector([np.pi, 0, 0]))], axis=(0, 0, 1))
BRICK = Symmetry.generated([make_transform(rotation_from_vector(np.pi * np.eye(3)[axis])) for axis in (0, 2)])


@pytest.mark.parametrize('symmetry', [CAN, BRICK], ids=['can', 'brick'])
@pytest.mark.parametrize('step_ms', [33, 400], ids=['tracked', 'searched often'])
def test_no_pose_flips_to_one_that_looks_the_same(make_tracker, symmetry, step_ms):
    tracker, places = make_tracker(symmetry)
    last = None
    for index in range(40):
        # turns by 3 degrees an image, past where the answer to a single image jumps to another equivalent
        turn = make_transform(rotation_from_vector([0.2, 0.05 * index, 0.03 * index]))
        places.objects = [(make_transform(None, (0.004 * index - 0.1, 0, 0.6)) @ turn, 0.9)]
        found, = tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND + index * step_ms * MS).poses
        pose = found.camera_from_object
        assert symmetry.nearest(pose, places.objects[0][0]) == pytest.approx(places.objects[0][0])
        if last is not None:
            assert np.degrees(rotation_angle(pose[:3, :3].T @ last[:3, :3])) < 7
        last = pose


def test_an_image_without_an_answer_makes_nothing_flip(make_tracker):
    tracker, places = make_tracker(BRICK)
    # on past where the answer to a single image jumps to another equivalent
    for index in range(30):
        places.objects = [(make_transform(rotation_from_vector([0, 0.1 * index, 0]), (0, 0, 0.6)), 0.9)]
        before, = tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND + index * 33 * MS).poses
    alone = BRICK.canonical(before.camera_from_object)
    assert not np.allclose(alone, before.camera_from_object)
    seen, places.objects = places.objects, []
    assert tracker.estimate(IMAGE, CAMERA, stamp_ns=2 * SECOND).poses == []
    places.objects = seen
    after, = tracker.estimate(IMAGE, CAMERA, stamp_ns=2 * SECOND + 33 * MS).poses
    np.testing.assert_allclose(after.camera_from_object, before.camera_from_object, atol=1e-9)
    places.objects = []
    tracker.estimate(IMAGE, CAMERA, stamp_ns=2 * SECOND + 66 * MS)
    places.objects = seen
    long_after, = tracker.estimate(IMAGE, CAMERA, stamp_ns=4 * SECOND).poses
    np.testing.assert_allclose(long_after.camera_from_object, alone, atol=1e-9)


class Keypoints:
    """Networks that cannot look at one place alone."""

    def __init__(self, symmetry: Symmetry):
        self.find = Places(symmetry).find


def test_networks_of_whole_images_go_on_without_and_that_is_said(make_tracker):
    tracker, _ = make_tracker(kind=Keypoints)
    said: list[str] = []
    again = with_tracking(tracker._estimator, said.append)
    assert tracked(again, [SECOND, SECOND + 33 * MS]) == [0, 0]
    assert len(said) == 1 and said[0].startswith('tracking: ') and '\n' not in said[0]


def test_a_baseline_goes_on_without_and_that_is_said():
    said, oracle = [], OracleEstimator()
    assert with_tracking(oracle, said.append) is oracle
    assert len(said) == 1 and 'OracleEstimator' in said[0]


def test_what_does_not_fit_the_image_is_refused_while_tracking(make_tracker):
    tracker, _ = make_tracker()
    tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND)
    with pytest.raises(CameraError, match='64x48'):
        tracker.estimate(IMAGE[:24], CAMERA, stamp_ns=SECOND + 33 * MS)
    with pytest.raises(ImageError, match='expected 64x48 pixels, registered'):
        tracker.estimate(IMAGE, CAMERA, depth_m=np.ones((24, 32), np.float32), stamp_ns=SECOND + 33 * MS)


@pytest.fixture(scope='module')
def card():
    return load_model_card(resource_path('models/box'))


@pytest.fixture(scope='module')
def sequence(card) -> list:
    """A camera that passes the shipped box, a picture every 100 ms."""
    from posegrasp_ros.simulation.scene import sample_scene
    from posegrasp_ros.simulation.world import World

    scene = sample_scene(np.random.default_rng(3), card.mesh)
    frames = []
    for index in range(5):
        step = make_transform(rotation_from_vector([0, 0.02 * index, 0]), (0.006 * index, 0.004 * index, 0))
        view = replace(scene, base_from_camera=scene.base_from_camera @ step)
        with World(card.mesh, None, view) as world:
            frames.append(world.frame(depth=True))
    return frames


@pytest.mark.parametrize('with_depth', [False, True], ids=['colour', 'depth'])
def test_along_a_sequence_the_poses_are_those_of_a_search_without_the_detector(card, sequence, monkeypatch,
                                                                               with_depth):
    estimator = PoseEstimator(card)
    depths = [frame.depth_m if with_depth else None for frame in sequence]
    alone = [estimator.estimate(frame.image, frame.camera, depth_m=depth).poses[0]
             for frame, depth in zip(sequence, depths)]
    calls, detect = [], estimator.decoder.detect
    monkeypatch.setattr(estimator.decoder, 'detect', lambda image: calls.append(image) or detect(image))
    tracker = PoseTracker(estimator)
    for index, (frame, depth) in enumerate(zip(sequence, depths)):
        found = tracker.estimate(frame.image, frame.camera, depth_m=depth, stamp_ns=SECOND + index * 100 * MS)
        assert found.numbers['tracked'] == float(index > 0)
        assert_same(found.poses[0], alone[index])
    assert len(calls) == 1


def assert_same(first: PoseEstimate, second: PoseEstimate) -> None:
    """Within what the refinement leaves open: 1.5 mm and half a degree."""
    a, b = first.camera_from_object, second.camera_from_object
    assert np.linalg.norm(a[:3, 3] - b[:3, 3]) < 0.0015
    assert np.degrees(rotation_angle(a[:3, :3].T @ b[:3, :3])) < 0.5
