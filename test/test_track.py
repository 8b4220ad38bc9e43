# SPDX-License-Identifier: Apache-2.0
"""Tracking: poses followed without the networks, lost and found again, corrected, and without flips."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from posegrasp_ros.estimation.decoders.initial_pose import Candidate, InitialPose
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.estimation.refinement.refiner import Refinement
from posegrasp_ros.estimation.scripted import OracleEstimator
from posegrasp_ros.estimation.tracking.motion_model import ACCELERATION_M_S2, SPEED_M_S, Motion
from posegrasp_ros.estimation.tracking.pose_tracker import PoseTracker, with_tracking
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.geometry.camera import Camera, CameraError
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import (
    NO_SYMMETRY,
    Symmetry,
    make_transform,
    perturb,
    rotation_angle,
    rotation_from_vector,
    vector_from_rotation,
)
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.sensing.images import ImageError

MS, SECOND = 1_000_000, 1_000_000_000
STEP_MS = 33
CAMERA = Camera.from_field_of_view(64, 48, 1.0)
IMAGE = np.zeros((48, 64, 3), np.uint8)
CONFIDENCE = 0.95
MESH = load_mesh(resource_path('models/box/mesh.obj'))
HERE = make_transform(rotation_from_vector([0.4, -0.3, 0.8]), (0.02, -0.01, 0.6))
THERE = make_transform(rotation_from_vector([-0.2, 0.5, 0.1]), (-0.3, 0.05, 0.7))
HALF_TURN = make_transform(rotation_from_vector([0, 0, np.pi]))
COVARIANCE = np.diag([1e-6] * 3 + [1e-5] * 3)


@dataclass
class Thing:
    """Something in the image.

    :param agreement: of the image with the pose
    :param seen_as: pose that the networks take it for; None for its own, NOTHING where they do not see it
    """

    pose: np.ndarray
    agreement: float = 0.95
    seen_as: np.ndarray | None = None


NOTHING = np.zeros(0)


@dataclass
class Stage:
    """In place of images: networks and refiner see what is put into ``things``, and count how they are asked."""

    symmetry: Symmetry = NO_SYMMETRY
    things: list[Thing] = field(default_factory=lambda: [Thing(HERE)])
    figures: tuple[str, ...] = ('confidence', 'inlier_share', 'log_residual')
    searches: int = 0
    looks: int = 0
    figures_when_lost = MappingProxyType({'correlation': 0.0})

    def __post_init__(self) -> None:
        self._equivalents = self.symmetry.transforms(steps=7)
        self._rng = np.random.default_rng(0)

    def find(self, image: np.ndarray, camera: Camera) -> list[Candidate]:
        self.searches += 1
        return [Candidate(CONFIDENCE, partial(self._spun, thing, CONFIDENCE)) for thing in self.things
                if thing.seen_as is not NOTHING]

    def pose_near(self, camera_from_object: np.ndarray, image: np.ndarray, camera: Camera) -> InitialPose | None:
        self.looks += 1
        for thing in self.things:
            near = np.linalg.norm(thing.pose[:3, 3] - camera_from_object[:3, 3]) < MESH.radius
            if near and thing.seen_as is not NOTHING:
                return self._spun(thing, 1.0)
        return None

    def _spun(self, thing: Thing, confidence: float) -> InitialPose:
        """One of those that look the same, whichever."""
        pose = thing.pose if thing.seen_as is None else thing.seen_as
        turned = pose @ self._equivalents[self._rng.integers(len(self._equivalents))]
        figures = {'confidence': confidence, 'inlier_share': 1.0, 'log_residual': 0.0}
        return InitialPose(turned, COVARIANCE, figures)

    def refine(self, image, camera, camera_from_object, covariance, depth_m=None, seen=None) -> Refinement | None:
        """The nearest thing within 3 cm and 15 degrees."""
        for thing in self.things:
            for pose, agreement in ((thing.pose, thing.agreement), (thing.seen_as, thing.agreement - 0.02)):
                if pose is None or pose is NOTHING:
                    continue
                start = self.symmetry.nearest(pose, camera_from_object)
                turn = rotation_angle(start[:3, :3].T @ camera_from_object[:3, :3])
                if np.linalg.norm(start[:3, 3] - camera_from_object[:3, 3]) < 0.03 and turn < np.radians(15):
                    return Refinement(start, COVARIANCE, agreement, {'correlation': agreement})
        return None


@pytest.fixture
def make_tracker():
    def make(symmetry: Symmetry = NO_SYMMETRY, stage: Stage | None = None, tracking: TrackingOptions | None = None,
             **options) -> tuple[PoseTracker, Stage]:
        card = SimpleNamespace(mesh=MESH, symmetry=symmetry, covariance_scale=(1.0, 1.0), score={}, refiner='mesh')
        stage = stage or Stage(symmetry)
        estimator = PoseEstimator(card, **{'decoder': stage, 'refiner': stage, **options})
        return PoseTracker(estimator, tracking), stage
    return make


def see(tracker: PoseTracker, index: int, step_ms: float = STEP_MS) -> Estimation:
    return tracker.estimate(IMAGE, CAMERA, stamp_ns=SECOND + int(index * step_ms * MS))


def states(tracker: PoseTracker, indices, step_ms: float = STEP_MS) -> list[str]:
    return [see(tracker, index, step_ms).tracks[0].state for index in indices]


def moved(pose: np.ndarray, metres: float) -> np.ndarray:
    return make_transform(None, (metres, 0, 0)) @ pose


def test_between_corrections_no_network_looks(make_tracker):
    tracker, stage = make_tracker(tracking=TrackingOptions(correction_hz=2.0))
    answers = [see(tracker, index) for index in range(61)]
    assert [each.tracks[0].state for each in answers] == ['found'] + ['tracked'] * 60
    assert [index for index, each in enumerate(answers) if each.numbers['searched']] == [0, 16, 31, 47]
    assert (stage.searches, stage.looks) == (2, 2), 'the whole image once a second, near the object in between'


def test_an_object_that_speeds_up_gently_is_followed_where_it_is(make_tracker):
    tracker, stage = make_tracker()
    for index in range(30):
        seconds = index * STEP_MS / 1e3
        turn = make_transform(rotation_from_vector([0, 0.3 * seconds, 0]))
        stage.things = [Thing(moved(HERE, 0.3 * seconds ** 2) @ turn)]
        answer = see(tracker, index)
        np.testing.assert_allclose(answer.poses[0].camera_from_object, stage.things[0].pose, atol=1e-9)
        assert answer.tracks[0].state == ('tracked' if index else 'found')


def test_a_covered_object_is_lost_without_a_pose_and_found_in_the_first_image_that_shows_it(make_tracker):
    tracker, stage = make_tracker()
    assert states(tracker, range(10)) == ['found'] + ['tracked'] * 9
    stage.things = []
    hidden = [see(tracker, index) for index in range(10, 40)]
    assert {(len(each.poses), each.reason, each.tracks[0].state) for each in hidden} == {(0, 'lost', 'lost')}
    stage.things = [Thing(moved(HERE, 0.05))]
    assert states(tracker, range(40, 43)) == ['found', 'tracked', 'tracked']


def test_what_is_lost_too_long_is_absent(make_tracker):
    tracker, stage = make_tracker(tracking=TrackingOptions(give_up_s=1.0))
    states(tracker, range(2))
    stage.things = []
    gone = [see(tracker, 1 + index, 100) for index in range(1, 13)]
    assert [each.tracks[0].state for each in gone] == ['lost'] * 9 + ['absent'] * 3
    assert gone[-1].reason == 'no_detection' and gone[0].tracks[0].unseen_s == pytest.approx(0.167)


def test_the_deviation_of_what_is_lost_grows(make_tracker):
    tracker, stage = make_tracker()
    states(tracker, range(10))
    stage.things = []
    sigmas_m = [see(tracker, index).tracks[0].sigma_m for index in range(10, 40)]
    assert (np.diff(sigmas_m) > 0).all() and sigmas_m[0] < 0.005 and sigmas_m[-1] > 0.05


def test_a_camera_that_jumps_costs_no_image(make_tracker):
    tracker, stage = make_tracker()
    states(tracker, range(10))
    stage.things = [Thing(THERE)]
    answer = see(tracker, 10)
    np.testing.assert_allclose(answer.poses[0].camera_from_object, THERE)
    assert [track.state for track in answer.tracks] == ['found'] and states(tracker, (11, 12)) == ['tracked'] * 2


def test_a_step_that_no_acceleration_explains_is_searched(make_tracker):
    tracker, stage = make_tracker()
    states(tracker, range(20))
    stage.things = [Thing(moved(HERE, 0.025))]
    assert states(tracker, (20, 21)) == ['found', 'tracked']


def test_a_pose_that_the_image_agrees_with_less_is_searched(make_tracker):
    tracker, stage = make_tracker()
    states(tracker, range(5))
    stage.things = [Thing(HERE, agreement=0.85)]  # of the image 15 % unexplained, three times as much
    assert states(tracker, (5, 6)) == ['found', 'tracked'], 'the networks say that this is as good as it gets'


def test_what_was_found_unsurely_is_searched_in_every_image(make_tracker):
    tracker, stage = make_tracker()
    stage.things = [Thing(HERE, agreement=0.7)]
    assert states(tracker, range(3)) == ['found'] * 3


def test_no_pose_below_the_least_score_is_tracked(make_tracker):
    tracker, stage = make_tracker(min_score=0.9)
    see(tracker, 0)
    stage.things = [Thing(HERE, agreement=0.8)]
    answer = see(tracker, 1)
    assert (answer.reason, answer.poses) == ('lost', [])


def test_the_networks_replace_another_orientation_after_three_images_of_better_evidence(make_tracker):
    tracker, stage = make_tracker()
    flipped = HERE @ HALF_TURN
    stage.things = [Thing(flipped, agreement=0.93)]
    states(tracker, range(10))
    stage.things = [Thing(flipped, agreement=0.93, seen_as=NOTHING), Thing(HERE, agreement=0.97)]
    answers = [see(tracker, index) for index in range(10, 24)]
    turned = [rotation_angle(each.poses[0].camera_from_object[:3, :3].T @ HERE[:3, :3]) < 0.1 for each in answers]
    contested = [index for index, each in enumerate(answers) if each.numbers['searched']][:3]
    assert turned.index(True) == contested[2] and contested[2] - contested[0] == 2


def test_the_networks_do_not_turn_a_pose_round_that_has_the_better_evidence(make_tracker):
    tracker, stage = make_tracker()
    states(tracker, range(10))
    stage.things = [Thing(HERE, seen_as=HERE @ HALF_TURN)]
    for index in range(10, 45):
        pose = see(tracker, index).poses[0].camera_from_object
        np.testing.assert_allclose(pose, HERE, atol=1e-9)


def test_after_an_occlusion_a_look_alike_does_not_turn_round(make_tracker):
    tracker, stage = make_tracker()
    states(tracker, range(10))
    stage.things = []
    states(tracker, range(10, 30))
    stage.things = [Thing(HERE, seen_as=HERE @ HALF_TURN)]
    answer = see(tracker, 30)
    np.testing.assert_allclose(answer.poses[0].camera_from_object, HERE, atol=1e-9)


def test_what_the_networks_do_not_see_is_not_followed_for_longer_than_give_up_s(make_tracker):
    tracker, stage = make_tracker(tracking=TrackingOptions(give_up_s=1.0))
    states(tracker, range(2))
    stage.things = [Thing(HERE, seen_as=NOTHING)]
    after = states(tracker, range(2, 80))
    assert after == ['tracked'] * 29 + ['lost'] * 30 + ['absent'] * 19


def test_a_new_instance_is_found_within_a_second_and_numbers_stay(make_tracker):
    tracker, stage = make_tracker()
    see(tracker, 0)
    stage.things = [Thing(HERE), Thing(THERE, agreement=0.99)]
    counts = [len(see(tracker, index).poses) for index in range(1, 40)]
    assert counts[:29] == [1] * 29 and counts[31:] == [2] * 8
    assert [track.number for track in see(tracker, 40).tracks] == [1, 0], 'the best first'
    stage.things = [Thing(THERE)]
    answer = see(tracker, 41)
    assert [(track.number, track.state) for track in answer.tracks] == [(1, 'tracked'), (0, 'lost')]


def test_two_tracks_that_run_into_one_object_are_one(make_tracker):
    tracker, stage = make_tracker()
    stage.things = [Thing(HERE), Thing(moved(HERE, 0.6 * MESH.radius), agreement=0.9)]
    assert len(see(tracker, 0).poses) == 2
    stage.things = [Thing(moved(HERE, 0.3 * MESH.radius))]
    assert len(see(tracker, 1).poses) == 1


@pytest.mark.parametrize(('stamps_ms', 'expected'), [
    ((1000, 1033, 1066), 'found tracked tracked'),
    ((1000, 1500, 2001), 'found found found'),  # too far apart for the prediction
    ((1000, 1033, 1033, 1066), 'found tracked found tracked'),  # the same again
    ((1000, 1033, 500, 533), 'found tracked found tracked'),  # a recording that begins anew
    ((1000, None, 1033, 1066), 'found found found tracked'),
])
def test_only_a_short_step_forward_is_followed(make_tracker, stamps_ms, expected):
    tracker, _ = make_tracker()
    got = [tracker.estimate(IMAGE, CAMERA, stamp_ns=ms and ms * MS).tracks[0].state for ms in stamps_ms]
    assert got == expected.split()


CAN = Symmetry.generated([make_transform(rotation_from_vector([np.pi, 0, 0]))], axis=(0, 0, 1))
BRICK = Symmetry.generated([make_transform(rotation_from_vector(np.pi * np.eye(3)[axis])) for axis in (0, 2)])


@pytest.mark.parametrize('symmetry', [CAN, BRICK], ids=['can', 'brick'])
@pytest.mark.parametrize('step_ms', [33, 400], ids=['tracked', 'searched'])
def test_no_pose_flips_to_one_that_looks_the_same(make_tracker, symmetry, step_ms):
    tracker, stage = make_tracker(symmetry)
    last = None
    for index in range(40):
        # turns by 3 degrees an image, past where the answer to a single image jumps to another equivalent
        turn = make_transform(rotation_from_vector([0.2, 0.05 * index, 0.03 * index]))
        stage.things = [Thing(make_transform(None, (0.004 * index - 0.1, 0, 0.6)) @ turn)]
        pose = see(tracker, index, step_ms).poses[0].camera_from_object
        assert symmetry.nearest(pose, stage.things[0].pose) == pytest.approx(stage.things[0].pose)
        if last is not None:
            assert np.degrees(rotation_angle(pose[:3, :3].T @ last[:3, :3])) < 7
        last = pose


def test_a_network_of_whole_images_tracks_and_is_asked_at_the_rate_of_corrections(make_tracker):
    stage = Stage()
    whole = SimpleNamespace(find=stage.find, figures=stage.figures)
    tracker, _ = make_tracker(decoder=whole, refiner=stage, tracking=TrackingOptions(correction_hz=4.0))
    assert states(tracker, range(31)) == ['found'] + ['tracked'] * 30
    assert (stage.searches, stage.looks) == (4, 0)


def test_without_refinement_every_image_is_looked_at_and_that_is_said(make_tracker):
    tracker, stage = make_tracker(refine=False)
    said: list[str] = []
    again = with_tracking(tracker._estimator, said.append)
    assert states(again, range(3)) == ['found'] * 3 and stage.searches + stage.looks >= 3
    assert len(said) == 1 and said[0].startswith('tracking: ') and '\n' not in said[0]


def test_a_baseline_goes_on_without_and_that_is_said():
    said, oracle = [], OracleEstimator()
    assert with_tracking(oracle, said.append) is oracle
    assert len(said) == 1 and 'OracleEstimator' in said[0]


def test_what_does_not_fit_the_image_is_refused_while_tracking(make_tracker):
    tracker, _ = make_tracker()
    see(tracker, 0)
    with pytest.raises(CameraError, match='64x48'):
        tracker.estimate(IMAGE[:24], CAMERA, stamp_ns=SECOND + 33 * MS)
    with pytest.raises(ImageError, match='expected 64x48 pixels, registered'):
        tracker.estimate(IMAGE, CAMERA, depth_m=np.ones((24, 32), np.float32), stamp_ns=SECOND + 33 * MS)


def test_the_velocity_is_learned_from_poses_and_predicts_the_next():
    step = np.array([0.01, 0, -0.005, 0, 0.02, 0.01])
    pose, motion = HERE, Motion.begun(HERE, 1e-8 * np.eye(6), 0)
    for index in range(1, 20):
        pose = perturb(pose, step)
        predicted = motion.at(index * 100 * MS)
        motion = predicted.corrected(pose, 1e-8 * np.eye(6))
    np.testing.assert_allclose(motion.velocity, step / 0.1, rtol=0.01, atol=1e-3)
    assert predicted.explains(pose, 1e-8 * np.eye(6))
    assert not predicted.explains(moved(pose, 0.1), 1e-8 * np.eye(6))


def test_of_an_unknown_velocity_the_deviation_grows_by_speed_and_acceleration():
    variance = Motion.begun(HERE, 1e-8 * np.eye(6), 0).at(SECOND // 2).pose_covariance[0, 0]
    assert variance == pytest.approx(1e-8 + (SPEED_M_S / 2) ** 2 + (ACCELERATION_M_S2 / 8) ** 2)


@pytest.fixture(scope='module')
def card():
    return load_model_card(resource_path('models/box'))


@pytest.fixture(scope='module')
def sequence(card) -> list:
    """A camera that passes the shipped box at 30 Hz."""
    from posegrasp_ros.simulation.scene import sample_scene
    from posegrasp_ros.simulation.world import World

    scene = sample_scene(np.random.default_rng(3), card.mesh)
    frames = []
    with World(card.mesh, None, scene) as world:
        for index in range(5):
            step = make_transform(rotation_from_vector([0, 0.007 * index, 0]), (0.002 * index, 0.001 * index, 0))
            world.move(base_from_camera=scene.base_from_camera @ step)
            frames.append(world.frame(depth=True))
    return frames


@pytest.mark.parametrize('with_depth', [False, True], ids=['colour', 'depth'])
def test_along_a_sequence_the_poses_are_those_of_a_search_without_the_networks(card, sequence, monkeypatch,
                                                                               with_depth):
    estimator = PoseEstimator(card)
    depths = [frame.depth_m if with_depth else None for frame in sequence]
    alone = [estimator.estimate(frame.image, frame.camera, depth_m=depth).poses[0]
             for frame, depth in zip(sequence, depths)]
    calls, asked, run = [], 0, estimator.decoder.network.run_all
    monkeypatch.setattr(estimator.decoder.network, 'run_all', lambda tensor: calls.append(tensor) or run(tensor))
    tracker = PoseTracker(estimator)
    for index, (frame, depth) in enumerate(zip(sequence, depths)):
        found = tracker.estimate(frame.image, frame.camera, depth_m=depth, stamp_ns=SECOND + index * 33 * MS)
        assert found.tracks[0].state == ('tracked' if index else 'found')
        assert_same(found.poses[0], alone[index])
        asked = len(calls) if not index else asked
    assert len(calls) == asked


def assert_same(first: PoseEstimate, second: PoseEstimate) -> None:
    """Within what the image leaves open: 1.5 standard deviations of position and of rotation, 5 mm and 1°."""
    a, b = first.camera_from_object, second.camera_from_object
    shift, turn = a[:3, 3] - b[:3, 3], vector_from_rotation(a[:3, :3] @ b[:3, :3].T)
    assert shift @ np.linalg.solve(second.covariance[:3, :3], shift) < 1.5 ** 2
    assert turn @ np.linalg.solve(second.covariance[3:, 3:], turn) < 1.5 ** 2
    assert np.linalg.norm(shift) < 0.005
    assert np.degrees(np.linalg.norm(turn)) < 1
