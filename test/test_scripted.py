# SPDX-License-Identifier: Apache-2.0
"""The scripted baselines find, or say why not, what they are shown."""

import cv2
import numpy as np
import pytest

from posegrasp_ros.estimation.scripted import (
    LOCALISATION_PX,
    FeatureMatchEstimator,
    MeanPoseEstimator,
    OracleEstimator,
    surface_points,
)
from posegrasp_ros.estimation.solve import pose_covariance
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import (
    invert,
    look_at,
    make_transform,
    perturb,
    rotation_angle,
    rotation_from_vector,
    transform_points,
    vector_from_rotation,
)
from posegrasp_ros.training.product_box import make_product_box

PINHOLE = Camera.from_field_of_view(640, 480, np.radians(50))
BARREL = Camera(640, 480, PINHOLE.matrix, [-0.25, 0.08, 0.001, -0.001, 0.0])
FISHEYE = Camera(640, 480, PINHOLE.matrix, [-0.05, 0.01, 0.0, 0.0], 'equidistant')


@pytest.fixture(scope='module')
def mesh(tmp_path_factory) -> Mesh:
    folder = tmp_path_factory.mktemp('box')
    make_product_box(folder)
    return load_mesh(folder / 'mesh.obj')


@pytest.fixture(scope='module')
def matcher(mesh) -> FeatureMatchEstimator:
    return FeatureMatchEstimator(mesh)


def view(mesh: Mesh, camera: Camera, pose: np.ndarray) -> np.ndarray:
    """The box on grey, its faces warped into the image one by one, four samples a pixel and direction."""
    fine = Camera(camera.width, camera.height, camera.matrix).resized(camera.width * 4, camera.height * 4)
    image = np.full((fine.height, fine.width, 3), 128, dtype=np.uint8)
    height, width = mesh.texture.shape[:2]
    for first in range(0, len(mesh.vertices), 4):
        seen = transform_points(pose, mesh.vertices[first:first + 4])
        if np.dot(np.cross(seen[1] - seen[0], seen[2] - seen[0]), seen[0]) >= 0:
            continue
        u, v = mesh.uv[first:first + 4].T
        printed = np.column_stack([u * width - 0.5, (1 - v) * height - 0.5]).astype(np.float32)
        place = fine.project(seen).astype(np.float32)
        warp = cv2.getPerspectiveTransform(printed, place)
        face = cv2.warpPerspective(mesh.texture, warp, (fine.width, fine.height))
        mask = cv2.fillConvexPoly(np.zeros(image.shape[:2], np.uint8), np.rint(place).astype(int), 255)
        image[mask > 0] = face[mask > 0]
    image = cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return through_lens(image, camera)


def through_lens(image: np.ndarray, camera: Camera) -> np.ndarray:
    """What the distorted camera makes of a pinhole image with the same matrix."""
    if not camera.is_distorted:
        return image
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = camera.rays(np.column_stack([columns.ravel(), rows.ravel()]))
    source = (rays * (camera.fx, camera.fy) + (camera.cx, camera.cy)).astype(np.float32)
    source = source.reshape(camera.height, camera.width, 2)
    return cv2.remap(image, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def box_seen_from(*eye: float) -> np.ndarray:
    """camera_from_object of a camera at ``eye``, object frame, that looks past the centre."""
    return invert(look_at(eye, (0.02, 0.01, 0.0)))


def errors(estimate, truth: np.ndarray) -> tuple[float, float]:
    """Position error in millimetres and rotation error in degrees."""
    found = estimate.camera_from_object
    turn = rotation_angle(found[:3, :3] @ truth[:3, :3].T)
    return float(np.linalg.norm(found[:3, 3] - truth[:3, 3])) * 1000, float(np.degrees(turn))


@pytest.mark.parametrize('eye', [(0.05, -0.2, 0.3), (-0.1, 0.25, 0.25), (0.1, -0.15, -0.3), (0.25, -0.15, 0.15)],
                         ids=['lid and front', 'lid and back', 'underside', 'right end'])
def test_feature_match_finds_the_box_from_all_sides(mesh, matcher, eye):
    truth = box_seen_from(*eye)
    answer = matcher.estimate(view(mesh, PINHOLE, truth), PINHOLE)
    position_mm, rotation_deg = errors(answer.poses[0], truth)
    assert position_mm < 10 and rotation_deg < 5  # the small faces have few features, fewer still in OpenCV 4.5
    assert 0.3 < answer.poses[0].score <= 1


@pytest.mark.parametrize('camera', [BARREL, FISHEYE], ids=['plumb_bob', 'equidistant'])
def test_feature_match_accounts_for_the_lens(mesh, matcher, camera):
    truth = make_transform(translation=(0.1, 0.07, 0)) @ box_seen_from(0.05, -0.15, 0.25)
    image = view(mesh, camera, truth)
    position_mm, rotation_deg = errors(matcher.estimate(image, camera).poses[0], truth)
    assert position_mm < 5
    assert rotation_deg < 2
    ignorant = matcher.estimate(image, PINHOLE)
    assert not ignorant.poses or errors(ignorant.poses[0], truth)[0] > 2 * position_mm


def test_feature_match_answers_the_same_twice(mesh, matcher):
    image = view(mesh, PINHOLE, box_seen_from(0.05, -0.2, 0.3))
    first, second = (matcher.estimate(image, PINHOLE).poses[0] for _ in range(2))
    assert np.array_equal(first.camera_from_object, second.camera_from_object)


def test_feature_match_timings_add_up(mesh, matcher):
    numbers = matcher.estimate(view(mesh, PINHOLE, box_seen_from(0.05, -0.2, 0.3)), PINHOLE).numbers
    parts = numbers['features_ms'] + numbers['matching_ms'] + numbers['solve_ms']
    assert 0 < parts <= numbers['estimate_ms']
    assert numbers['inliers'] <= numbers['matches'] <= numbers['features']


def test_feature_match_says_why_it_has_no_answer(mesh, matcher):
    blank = np.full((480, 640, 3), 90, dtype=np.uint8)
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    plain = Mesh(mesh.vertices, mesh.faces, None, np.zeros((1, 1, 3), np.uint8))
    assert matcher.estimate(blank, PINHOLE).reason == 'no_features'
    assert matcher.estimate(noise, PINHOLE).reason in ('too_few_matches', 'no_pose')
    assert FeatureMatchEstimator(plain).estimate(noise, PINHOLE).reason == 'no_texture'


def test_feature_match_refuses_a_mirror_image(mesh, matcher):
    mirrored = view(mesh, PINHOLE, box_seen_from(0.0, -0.01, 0.3))[:, ::-1].copy()
    assert not matcher.estimate(mirrored, PINHOLE).poses


def test_texture_pixels_lie_where_they_are_printed(mesh):
    corners = mesh.vertices[mesh.faces]
    weights = np.array([0.2, 0.3, 0.5])
    uv = np.einsum('k,fkd->fd', weights, mesh.uv[mesh.faces])
    pixels = uv * (1, -1) * mesh.texture.shape[1::-1] + (-0.5, mesh.texture.shape[0] - 0.5)
    points, normals, found = surface_points(mesh, pixels)
    assert found.all()
    assert points == pytest.approx(np.einsum('k,fkd->fd', weights, corners), abs=1e-9)
    assert (np.einsum('nd,nd->n', normals, points) > 0).all()


def test_texture_pixels_that_no_triangle_uses_are_left_out(mesh):
    _, _, found = surface_points(mesh, np.array([[mesh.texture.shape[1] - 5.0, mesh.texture.shape[0] - 5.0]]))
    assert not found.any()


def test_covariance_is_what_noise_does_to_the_pose():
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.06, 0.06, (40, 3))
    truth = make_transform(rotation_from_vector((1.0, -0.7, 2.0)), (0.05, -0.03, 0.5))
    clean = PINHOLE.project(transform_points(truth, points))
    found = []
    for _ in range(300):
        noisy = clean + rng.normal(scale=2.0, size=clean.shape)
        rotation, translation = cv2.Rodrigues(truth[:3, :3])[0], truth[:3, 3:].copy()
        rotation, translation = cv2.solvePnPRefineLM(points, noisy, PINHOLE.matrix, None, rotation, translation)
        turn = vector_from_rotation(cv2.Rodrigues(rotation)[0] @ truth[:3, :3].T)
        found.append(np.concatenate([translation.ravel() - truth[:3, 3], turn]))
    noisy = clean + rng.normal(scale=2.0, size=clean.shape)
    predicted = pose_covariance(points, noisy, truth, PINHOLE.matrix, LOCALISATION_PX)
    assert np.sqrt(np.diag(predicted)) == pytest.approx(np.std(found, axis=0), rel=0.3)
    along = predicted[2, 3:] / np.sqrt(predicted[2, 2] * np.diag(predicted)[3:])
    measured = np.corrcoef(np.array(found).T)[2, 3:]
    assert along == pytest.approx(measured, abs=0.2)


def test_covariance_disturbs_as_geometry_perturb_does():
    """The derivative behind the covariance is that of ``perturb``, not of a rotation vector."""
    rng = np.random.default_rng(3)
    points = rng.uniform(-0.06, 0.06, (30, 3))
    pose = make_transform(rotation_from_vector((1.0, -0.7, 2.0)), (0.05, -0.03, 0.5))
    step = 1e-6
    columns = [(PINHOLE.project(transform_points(perturb(pose, step * unit), points))
                - PINHOLE.project(transform_points(perturb(pose, -step * unit), points))).ravel() / (2 * step)
               for unit in np.eye(6)]
    jacobian = np.column_stack(columns)
    exact = PINHOLE.project(transform_points(pose, points))
    predicted = pose_covariance(points, exact, pose, PINHOLE.matrix, LOCALISATION_PX)
    numeric = np.linalg.inv(jacobian.T @ jacobian)  # for a spread of 1 px, the least that is claimed
    assert predicted == pytest.approx(numeric, rel=1e-3, abs=1e-12)


def test_mean_pose_never_looks(mesh):
    mean = make_transform(rotation_from_vector((0.3, 0.2, 0.1)), (0, 0, 0.6))
    estimator = MeanPoseEstimator(mean)
    answer = estimator.estimate(np.zeros((480, 640, 3), np.uint8), PINHOLE)
    assert np.array_equal(answer.poses[0].camera_from_object, mean)
    assert answer.reason == ''
    assert 'estimate_ms' in answer.numbers
    answer.poses[0].camera_from_object[:] = 0
    assert np.array_equal(estimator.estimate(None, PINHOLE).poses[0].camera_from_object, mean)


def test_oracle_repeats_the_truth_or_says_there_is_none():
    truth = box_seen_from(0.2, 0.2, 0.3)
    image = np.zeros((480, 640, 3), np.uint8)
    answer = OracleEstimator().estimate(image, PINHOLE, truth)
    assert np.array_equal(answer.poses[0].camera_from_object, truth)
    assert answer.poses[0].score == 1.0
    nothing = OracleEstimator().estimate(image, PINHOLE)
    assert (nothing.poses, nothing.reason) == ([], 'no_ground_truth')
