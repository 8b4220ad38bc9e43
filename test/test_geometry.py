# SPDX-License-Identifier: Apache-2.0
"""Frames, rotations and projection do what their names say."""

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import (
    NO_SYMMETRY,
    Symmetry,
    invert,
    look_at,
    make_transform,
    matrix_from_quaternion,
    perturb,
    project,
    quaternion_from_matrix,
    random_rotation,
    rotate_covariance,
    rotation_angle,
    rotation_from_vector,
    transform_from_pose,
    transform_points,
    vector_from_rotation,
)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def random_transform(rng) -> np.ndarray:
    return make_transform(random_rotation(rng), rng.normal(size=3))


def test_quaternions_are_x_y_z_w():
    quarter_about_z = matrix_from_quaternion((0, 0, np.sqrt(0.5), np.sqrt(0.5)))
    assert quarter_about_z @ (1, 0, 0) == pytest.approx((0, 1, 0), abs=1e-12)
    assert quaternion_from_matrix(np.eye(3)) == pytest.approx((0, 0, 0, 1))


def test_quaternion_round_trip_keeps_w_positive(rng):
    for _ in range(50):
        rotation = random_rotation(rng)
        quaternion = quaternion_from_matrix(rotation)
        assert quaternion[3] >= 0
        assert matrix_from_quaternion(-3 * quaternion) == pytest.approx(rotation)


@pytest.mark.parametrize('quaternion', [(0, 0, 0, 0), (np.nan, 0, 0, 1), (0, np.inf, 0, 1)])
def test_quaternions_without_direction_are_refused(quaternion):
    with pytest.raises(ValueError, match='expected x, y, z, w of length 1'):
        matrix_from_quaternion(quaternion)


@pytest.mark.parametrize('angle', [0.0, 1e-14, 1e-9, 1e-4, 1.0, 3.0, np.pi - 1e-7, np.pi])
def test_rotation_vector_round_trip_at_every_angle(rng, angle):
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    rotation = rotation_from_vector(angle * axis)
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
    assert rotation_angle(rotation) == pytest.approx(angle, abs=1e-12)
    again = vector_from_rotation(rotation)
    assert np.linalg.norm(again) <= np.pi + 1e-12
    assert rotation_from_vector(again) == pytest.approx(rotation, abs=1e-9)
    if angle < np.pi - 1e-6:
        assert again == pytest.approx(angle * axis, abs=1e-9)


def test_rotation_angle_takes_stacks(rng):
    vectors = rng.normal(size=(4, 3))
    stack = np.array([rotation_from_vector(vector) for vector in vectors])
    assert rotation_angle(stack) == pytest.approx(np.linalg.norm(vectors, axis=1))


def test_invert_undoes_single_and_stacked_transforms(rng):
    transforms = np.array([random_transform(rng) for _ in range(6)])
    assert invert(transforms) @ transforms == pytest.approx(np.broadcast_to(np.eye(4), (6, 4, 4)), abs=1e-12)
    assert invert(transforms[2]) == pytest.approx(np.linalg.inv(transforms[2]))


def test_transforms_chain_by_their_names(rng):
    base_from_camera, camera_from_object = random_transform(rng), random_transform(rng)
    points = rng.normal(size=(5, 3))
    step_by_step = transform_points(base_from_camera, transform_points(camera_from_object, points))
    assert transform_points(base_from_camera @ camera_from_object, points) == pytest.approx(step_by_step)


def test_transform_from_pose_puts_the_origin_at_the_position():
    pose = transform_from_pose((1, 2, 3), (0, 0, 1, 0))
    moved = transform_points(pose, np.array([[0, 0, 0], [1, 0, 0]]))
    assert moved == pytest.approx(np.array([[1, 2, 3], [0, 2, 3]]))


@pytest.mark.parametrize('eye', [(1, 0, 1), (-0.3, 0.4, 0.8), (0, 0, 2)])
def test_look_at_is_an_optical_frame(eye):
    target = np.array([0.1, 0.0, 0.0]) if eye != (0, 0, 2) else np.zeros(3)  # the last looks straight down
    world_from_camera = look_at(eye, target)
    x, y, z = world_from_camera[:3, :3].T
    assert world_from_camera[:3, 3] == pytest.approx(eye)
    assert np.cross(x, y) == pytest.approx(z)
    assert z == pytest.approx((target - eye) / np.linalg.norm(target - eye))
    assert x[2] == pytest.approx(0, abs=1e-12)  # the horizon is level
    assert y[2] <= 1e-12  # image rows go down in the world


def test_look_at_sees_the_target_in_the_middle_and_up_above():
    camera_from_world = invert(look_at((1, 1, 1), (0, 0, 0)))
    middle, above = project(transform_points(camera_from_world, np.array([[0, 0, 0], [0, 0, 0.2]])),
                            np.array([[500, 0, 320], [0, 500, 240], [0, 0, 1.0]]))
    assert middle == pytest.approx((320, 240))
    assert above[0] == pytest.approx(320)
    assert above[1] < 240


def test_points_not_in_front_project_to_nan():
    intrinsics = np.array([[500, 0, 320], [0, 400, 240], [0, 0, 1.0]])
    pixels = project(np.array([[0.1, 0.2, 1.0], [0.1, 0.2, 0.0], [0.1, 0.2, -1.0]]), intrinsics)
    assert pixels[0] == pytest.approx((370, 320))
    assert np.isnan(pixels[1:]).all()


def test_perturb_moves_the_position_and_turns_about_fixed_axes(rng):
    pose = random_transform(rng)
    moved = perturb(pose, np.array([0.1, 0, 0, 0, 0, np.pi / 2]))
    assert moved[:3, 3] == pytest.approx(pose[:3, 3] + (0.1, 0, 0))  # the turn does not swing the position
    old_x = pose[:3, 0]
    assert moved[:3, 0] == pytest.approx((-old_x[1], old_x[0], old_x[2]))  # about the frame's z, not the object's


def test_covariance_turns_with_its_frame(rng):
    """Samples disturbed in frame a and then expressed in frame b spread as the rotated covariance says."""
    a_from_object, b_from_a = random_transform(rng), random_transform(rng)
    root = rng.normal(size=(6, 6)) * 1e-4
    turned = rotate_covariance(root @ root.T, b_from_a[:3, :3])
    b_from_object = b_from_a @ a_from_object
    deltas = []
    for delta in (root @ np.eye(6)).T:
        disturbed = b_from_a @ perturb(a_from_object, delta)
        turn = vector_from_rotation(disturbed[:3, :3] @ b_from_object[:3, :3].T)
        deltas.append(np.concatenate([disturbed[:3, 3] - b_from_object[:3, 3], turn]))
    assert np.array(deltas).T @ np.array(deltas) == pytest.approx(turned, abs=1e-13)


def test_random_rotations_are_rotations_and_uniform(rng):
    rotations = np.array([random_rotation(rng) for _ in range(2000)])
    assert np.linalg.det(rotations) == pytest.approx(np.ones(2000))
    assert rotations.mean(axis=0) == pytest.approx(np.zeros((3, 3)), abs=0.06)
    # A uniform rotation turns by pi/2 + 2/pi on average.
    assert rotation_angle(rotations).mean() == pytest.approx(np.pi / 2 + 2 / np.pi, abs=0.05)


CAN = Symmetry.generated(axis=(0, 0, 2))
PIPE = Symmetry.generated([make_transform(rotation_from_vector([np.pi, 0, 0]))], axis=(0, 0, 1))
OFF_CENTRE = Symmetry.generated(axis=(0, 1, 0), offset=(0.03, 0, 0.01))
BRICK = Symmetry.generated(make_transform(rotation_from_vector(np.pi * axis)) for axis in np.eye(3)[:2])


def test_half_turns_about_two_axes_bring_the_third():
    assert len(BRICK.discrete) == 4
    diagonals = {tuple(np.diag(transform).round(6)) for transform in BRICK.discrete}
    assert diagonals == {(1, 1, 1, 1), (1, -1, -1, 1), (-1, 1, -1, 1), (-1, -1, 1, 1)}
    assert BRICK.discrete[0] == pytest.approx(np.eye(4))


def test_a_turn_about_the_axis_is_no_discrete_symmetry_beside_it():
    quarter = make_transform(rotation_from_vector([0, 0, np.pi / 2]))
    assert len(Symmetry.generated([quarter]).discrete) == 4
    assert len(Symmetry.generated([quarter], axis=(0, 0, 1)).discrete) == 1
    assert len(PIPE.discrete) == 2


@pytest.mark.parametrize('transforms, axis, says', [
    ([rotation_from_vector([2.39996, 0, 0])], None, 'more than 120 combinations'),
    ([rotation_from_vector([0, np.pi / 2, 0])], (0, 0, 1), 'moves the axis'),
])
def test_what_is_no_symmetry_of_any_thing_is_refused(transforms, axis, says):
    with pytest.raises(ValueError, match=says):
        Symmetry.generated([make_transform(rotation) for rotation in transforms], axis)


@pytest.mark.parametrize('symmetry', [CAN, PIPE, OFF_CENTRE, BRICK, NO_SYMMETRY])
def test_nearest_is_no_farther_than_any_of_a_fine_sampling_and_looks_the_same(rng, symmetry):
    for _ in range(20):
        pose, reference = random_transform(rng), random_transform(rng)
        nearest = symmetry.nearest(pose, reference)
        sampled = pose @ symmetry.transforms(steps=720)
        angle = rotation_angle(reference[:3, :3].T @ nearest[:3, :3])
        angles = rotation_angle(reference[:3, :3].T @ sampled[:, :3, :3])
        assert angle <= angles.min() + 1e-9
        step = np.abs(sampled - nearest).max(axis=(1, 2)).min()
        assert step < np.pi / 720 + 1e-9, 'it is one of them'


@pytest.mark.parametrize('symmetry', [CAN, PIPE, OFF_CENTRE, BRICK])
def test_canonical_pose_is_the_same_whichever_way_the_object_is_turned(rng, symmetry):
    for _ in range(20):
        pose = random_transform(rng)
        first = symmetry.canonical(pose)
        for turn in symmetry.transforms(steps=7):
            assert symmetry.canonical(pose @ turn) == pytest.approx(first, abs=1e-6)


@pytest.mark.parametrize('elevation_deg', [0, 25, 45, 65, 90])
@pytest.mark.parametrize('axis_in_base', [(0, 0, 1), (0, 0, -1), *((np.cos(a), np.sin(a), 0) for a in range(6))])
def test_canonical_pose_of_a_can_that_stands_or_lies_never_jumps(rng, elevation_deg, axis_in_base):
    """Half a degree of tilt turns the answer by two at most."""
    elevation = np.radians(elevation_deg)
    camera_from_base = invert(look_at((np.cos(elevation), 0, np.sin(elevation)), (0, 0, 0), up=(-1e-4, 0, 1)))
    z = np.array(axis_in_base, dtype=float)
    x = np.cross(z, rng.normal(size=3))
    x /= np.linalg.norm(x)
    camera_from_object = camera_from_base @ make_transform(np.column_stack([x, np.cross(z, x), z]))
    for _ in range(5):
        tilt = rng.normal(size=3)
        tilted = perturb(camera_from_object, np.r_[0, 0, 0, np.radians(0.5) * tilt / np.linalg.norm(tilt)])
        first, second = CAN.canonical(camera_from_object), CAN.canonical(tilted)
        assert rotation_angle(first[:3, :3].T @ second[:3, :3]) < np.radians(2.0)


@pytest.mark.parametrize('symmetry', [CAN, PIPE, OFF_CENTRE])
def test_covariance_up_to_symmetry_is_that_of_the_errors_up_to_symmetry(rng, symmetry):
    pose = random_transform(rng)
    spin = symmetry.spin_direction(pose)
    turned = pose @ symmetry.turn(1e-6)
    delta = np.r_[turned[:3, 3] - pose[:3, 3], vector_from_rotation(turned[:3, :3] @ pose[:3, :3].T)]
    assert delta / 1e-6 == pytest.approx(spin, abs=1e-5)
    root = rng.normal(size=(6, 6)) * 1e-5
    folded = symmetry.without_spin(root @ root.T + 1e-4 * np.outer(spin, spin), pose)
    deltas = []
    for delta in root.T:
        nearest = symmetry.nearest(perturb(pose, delta), pose)
        deltas.append(np.r_[nearest[:3, 3] - pose[:3, 3], vector_from_rotation(nearest[:3, :3] @ pose[:3, :3].T)])
    assert folded == pytest.approx(np.array(deltas).T @ np.array(deltas), abs=1e-13)


def test_an_object_without_symmetry_keeps_its_pose_and_covariance(rng):
    pose, covariance = random_transform(rng), np.eye(6)
    assert NO_SYMMETRY.canonical(pose) is pose
    assert NO_SYMMETRY.without_spin(covariance, pose) is covariance
    assert NO_SYMMETRY.spin_direction(pose) is None
    assert NO_SYMMETRY.transforms() == pytest.approx(np.eye(4)[None])
