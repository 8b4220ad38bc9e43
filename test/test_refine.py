# SPDX-License-Identifier: Apache-2.0
"""Refinement pulls a coarse pose onto the image, also where a part is hidden, and says when it cannot."""

import numpy as np
import pytest
import trimesh
from conftest import simulated_frames

from posegrasp_ros.estimation.decoders.crop import CropCamera
from posegrasp_ros.estimation.decoders.initial_pose import VisibilityMask
from posegrasp_ros.estimation.refinement.blurred_image import Picture, read, steepness
from posegrasp_ros.estimation.refinement.camera_error import camera_covariance
from posegrasp_ros.estimation.refinement.colour_statistics import densities
from posegrasp_ros.estimation.refinement.colour_term import ColourTerm
from posegrasp_ros.estimation.refinement.contour_term import ContourTerm, contour_equations
from posegrasp_ros.estimation.refinement.edges import Edges, Faces, insets
from posegrasp_ros.estimation.refinement.illumination import Illumination, palette_of
from posegrasp_ros.estimation.refinement.mesh_refiner import OTHER_START, PRIOR_SLACK, MeshRefiner
from posegrasp_ros.estimation.refinement.mismatch import mismatch_prior, state_information
from posegrasp_ros.estimation.refinement.motion import difference, moved
from posegrasp_ros.estimation.refinement.place_likelihood import (
    Lines,
    Sides,
    contrast_weight,
    log_densities,
    log_peak,
    log_sum,
    place_likelihoods,
)
from posegrasp_ros.estimation.refinement.surface import Surface
from posegrasp_ros.estimation.refinement.visibility import Visibility
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import (
    invert,
    make_transform,
    move_covariance,
    perturb,
    random_rotation,
    rotation_angle,
)
from posegrasp_ros.runtime.resources import resource_path


@pytest.fixture(scope='module')
def mesh():
    return load_mesh(resource_path('models/box/mesh.obj'))


@pytest.fixture(scope='module')
def refiner(mesh):
    return MeshRefiner(mesh)


@pytest.fixture(scope='module')
def frames(mesh):
    return simulated_frames(mesh, 10, seed=99)


SPREAD = np.array([0.002, 0.002, 0.008, *np.radians((1.5, 1.5, 1.5))])
COVARIANCE = np.diag(SPREAD ** 2)


def coarse(frame, rng):
    """What a network gives: some millimetres aside, more in depth, a few degrees off."""
    return perturb(frame.camera_from_object, rng.normal(0, SPREAD))


def box_depth(frame, extents):
    """(H, W) depth of a box about the object's origin, metres, NaN off it, by rays and slabs."""
    u, v = np.meshgrid(np.arange(frame.camera.width), np.arange(frame.camera.height))
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(frame.camera.matrix).T
    object_from_camera = invert(frame.camera_from_object)
    direction = rays @ object_from_camera[:3, :3].T
    first, second = ((sign * extents / 2 - object_from_camera[:3, 3]) / direction for sign in (-1, 1))
    near, far = np.minimum(first, second).max(axis=2), np.maximum(first, second).min(axis=2)
    return np.where(near < far, near, np.nan)


def is_close(pose, truth, position_m, turn_deg):
    return (np.linalg.norm(pose[:3, 3] - truth[:3, 3]) < position_m
            and np.degrees(rotation_angle(pose[:3, :3].T @ truth[:3, :3])) < turn_deg)


def test_coarse_poses_are_pulled_onto_the_image(refiner, frames):
    rng = np.random.default_rng(0)
    found = [refiner.refine(frame.image, frame.camera, coarse(frame, rng), COVARIANCE) for frame in frames]
    close = [aligned is not None and is_close(aligned.pose, frame.camera_from_object, 0.006, 2)
             for aligned, frame in zip(found, frames)]
    assert sum(close) >= 8
    assert np.median([aligned.figures['correlation'] for aligned in found if aligned]) > 0.9


def test_a_hidden_corner_does_little_harm(refiner, frames):
    rng = np.random.default_rng(1)
    close = []
    for frame in frames:
        image = frame.image.copy()
        u, v = frame.camera.project(frame.camera_from_object[:3, 3][None])[0].astype(int)
        image[max(v, 0):v + 60, max(u, 0):u + 60] = (40, 90, 200)  # the quarter to the lower right
        aligned = refiner.refine(image, frame.camera, coarse(frame, rng), COVARIANCE)
        close.append(aligned is not None and is_close(aligned.pose, frame.camera_from_object, 0.01, 4))
    assert sum(close) >= 7


def test_how_much_is_visible_is_the_mean_of_what_the_network_sees_over_the_object(refiner, frames):
    for frame in frames[:4]:
        centre = frame.camera_from_object[:3, 3]
        crop = CropCamera.around(centre, 0.12 / float(np.linalg.norm(centre)), 128, 1.15)
        shares = []
        for probability in (np.ones((32, 32)), np.where(np.arange(32) < 16, 1.0, 0.0) * np.ones((32, 1))):
            refined = refiner.refine(frame.image, frame.camera, frame.camera_from_object, COVARIANCE,
                                     seen=VisibilityMask(probability, crop))
            shares.append(refined.visible_share)
        assert shares[0] == pytest.approx(1.0)
        assert 0.4 < shares[1] < 0.7, 'half, at least a tenth of the other half'
    assert refiner.refine(frame.image, frame.camera, frame.camera_from_object, COVARIANCE).visible_share is None


def test_other_starts_are_turned_not_moved_along_the_line_of_sight(refiner):
    """11 mm of 0.6 m change the size in the image by 2 %, a turn by 4 degrees far more of it."""
    start = make_transform(translation=(0, 0, 0.6))
    covariance = np.diag(np.r_[0.003, 0.003, 0.011, np.radians([4, 4, 2])] ** 2)
    others = refiner._other_starts(start, covariance)
    turns = [np.degrees(rotation_angle(other[:3, :3])) for other in others]
    np.testing.assert_allclose(turns, OTHER_START / PRIOR_SLACK * 4, rtol=1e-6)
    np.testing.assert_allclose([other[:3, 3] for other in others], np.tile(start[:3, 3], (4, 1)), atol=1e-12)


def test_a_pose_too_uncertain_is_not_refined(refiner, frames):
    frame = frames[0]
    for factor in (1e4, np.nan):
        assert refiner.refine(frame.image, frame.camera, frame.camera_from_object, factor * COVARIANCE) is None


def test_where_the_object_is_not_nothing_correlates(refiner, frames):
    rng = np.random.default_rng(2)
    for frame in frames[:4]:
        noise = rng.integers(0, 256, frame.image.shape, dtype=np.uint8)
        aligned = refiner.refine(noise, frame.camera, frame.camera_from_object, COVARIANCE)
        assert aligned is None or aligned.figures['correlation'] < 0.6


def test_depth_image_pulls_in_what_a_picture_does_not_tell(mesh, refiner, frames):
    rng = np.random.default_rng(3)
    for frame in frames[:4]:
        depth_m = box_depth(frame, mesh.extents)
        start = perturb(frame.camera_from_object, np.array([0.004, -0.004, 0.03, 0.02, -0.02, 0.02]))
        dark = np.full_like(frame.image, 30)
        depth_m += rng.normal(0, 0.001, depth_m.shape)
        aligned = refiner.refine(dark, frame.camera, start, 16 * COVARIANCE, depth_m)
        assert abs(aligned.pose[2, 3] - frame.camera_from_object[2, 3]) < 0.003
        assert is_close(aligned.pose, frame.camera_from_object, 0.008, 2)


def test_a_plain_mesh_is_aligned_by_contour_and_edges_alone(mesh):
    plain = Mesh(mesh.vertices, mesh.faces, None, np.full((1, 1, 3), 200, np.uint8))
    refiner, rng = MeshRefiner(plain), np.random.default_rng(5)
    close = []
    for frame in simulated_frames(plain, 36, seed=98):
        aligned = refiner.refine(frame.image, frame.camera, coarse(frame, rng), COVARIANCE)
        close.append(aligned is not None and is_close(aligned.pose, frame.camera_from_object, 0.006, 2))
    assert sum(close) >= 25  # three quarters, and chance


def test_an_object_cut_off_by_the_image_border_is_not_taken_for_a_smaller_one(refiner, frames):
    rng, close = np.random.default_rng(6), []
    for frame in frames:
        u = int(frame.camera.project(frame.camera_from_object[:3, 3][None])[0][0])
        # the side that is farther from the image's middle is cut off, but for 20 pixels
        left, right = (u - 20, frame.camera.width) if u < frame.camera.cx else (0, u + 20)
        matrix = frame.camera.matrix - [[0, 0, left], [0, 0, 0], [0, 0, 0]]
        image = np.ascontiguousarray(frame.image[:, left:right])
        aligned = refiner.refine(image, Camera(right - left, frame.camera.height, matrix), coarse(frame, rng),
                                 COVARIANCE)
        close.append(aligned is not None and is_close(aligned.pose, frame.camera_from_object, 0.01, 5))
    assert np.mean(close) >= 0.7


def test_where_the_origin_lies_does_not_matter(mesh, refiner, frames):
    away = make_transform(translation=(0.5, -0.3, 0.2))
    moved = Mesh(mesh.vertices + away[:3, 3], mesh.faces, mesh.uv, mesh.texture)
    rng = np.random.default_rng(7)
    start = coarse(frames[0], rng)
    shift = start[:3, :3] @ -away[:3, 3]
    near = refiner.refine(frames[0].image, frames[0].camera, start, COVARIANCE)
    far = MeshRefiner(moved).refine(frames[0].image, frames[0].camera, start @ invert(away),
                                move_covariance(COVARIANCE, shift))
    np.testing.assert_allclose(far.pose @ away, near.pose, atol=1e-3)
    np.testing.assert_allclose(move_covariance(far.covariance, far.pose[:3, :3] @ away[:3, 3]), near.covariance,
                               rtol=0.1, atol=1e-8)


def test_on_a_blank_image_nothing_speaks_for_a_pose(refiner, frames):
    blank = np.full_like(frames[0].image, 128)
    aligned = refiner.refine(blank, frames[0].camera, frames[0].camera_from_object, COVARIANCE)
    assert aligned is None or (aligned.figures['correlation'] < 0.1 and aligned.figures['evidence'] < 0.1)


def test_the_rim_of_a_sheet_is_an_edge():
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0, 0.1, 0.0]])
    sheet = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]), None, np.zeros((1, 1, 3), np.uint8))
    edges = Edges(sheet)
    seen = edges.points[edges.visible(np.array([0.05, 0.05, 0.5]))]
    assert len(seen) > 100
    assert (np.isclose(seen[:, :2], 0) | np.isclose(seen[:, :2], 0.1)).any(axis=1).all()


def test_surface_seen_through_another_part_is_hidden():
    wall = trimesh.creation.box((0.1, 0.1, 0.01), trimesh.transformations.translation_matrix((0, 0, 0.03)))
    floor = trimesh.creation.box((0.1, 0.1, 0.01))
    both = trimesh.util.concatenate([wall, floor])
    mesh = Mesh(np.array(both.vertices), np.array(both.faces), None, np.zeros((1, 1, 3), np.uint8))
    points = np.array([[0, 0, 0.035], [0, 0, 0.005]])
    visibility = Visibility(mesh, points, np.tile((0, 0, 1.0), (2, 1)))
    assert visibility.seen_from(np.array([0, 0, 0.5])).tolist() == [True, False]


def test_visible_points_are_those_of_the_sides_in_front(mesh):
    surface = Surface(mesh, Edges(mesh), (0.001,))
    cosines = surface.cosines(np.array([0, 0, 0.5]), 0.001)
    seen = np.flatnonzero(cosines)
    np.testing.assert_allclose(surface.normals[seen], np.tile((0, 0, 1.0), (len(seen), 1)), atol=1e-9)
    assert surface.colours(seen, cosines[seen], 0.001).shape == (len(seen), 3)


def test_outline_of_a_box_seen_straight_is_the_rim_of_its_lid(mesh):
    edges = Edges(mesh)
    seen = edges.points[edges.visible(np.array([0, 0, 0.5]))]
    assert len(seen) > 20
    np.testing.assert_allclose(seen[:, 2], mesh.extents[2] / 2, atol=1e-9)


def test_picture_is_read_between_its_pixels():
    ramp = np.repeat(np.tile(np.arange(40, dtype=np.float32) * 3, (40, 1))[:, :, None], 3, axis=2)
    value, along_u, along_v = read(Picture(ramp, blur_px=1.0).layers, np.array([[20.3, 17.8], [11.5, 20.0]]))
    np.testing.assert_allclose(value[:, 0], (60.9, 34.5), atol=1e-3)
    np.testing.assert_allclose(along_u, 3, atol=1e-4)
    np.testing.assert_allclose(along_v, 0, atol=1e-4)


def test_steepness_is_that_along_the_direction():
    ramp = np.repeat(np.tile(np.arange(40, dtype=np.float32) * 3, (40, 1))[:, :, None], 3, axis=2)
    tensor = Picture(ramp, blur_px=1.0).tensor
    assert steepness(tensor, 20.0, 20.0, 1.0, 0.0) == pytest.approx(3 * np.sqrt(3), abs=1e-3)
    assert steepness(tensor, 20.4, 20.7, 0.0, 1.0) == pytest.approx(0, abs=1e-3)
    assert steepness(tensor, 41.0, 20.0, 1.0, 0.0) == 0


def test_compiled_steps_are_those_of_geometry():
    rng = np.random.default_rng(4)
    pose = make_transform(random_rotation(rng), (0.1, -0.2, 0.6))
    for size in (1e-10, 1e-3, 1.0):
        step = size * rng.normal(size=6)
        np.testing.assert_allclose(moved(pose, step), perturb(pose, step), atol=1e-12)
        np.testing.assert_allclose(difference(pose, moved(pose, step)), step, rtol=1e-6, atol=1e-12)


def test_the_contour_says_how_far_the_outline_is_off(mesh):
    """A pose moved sideways by a pixel: what the contour asks for undoes it."""
    mesh = Mesh(mesh.vertices, mesh.faces, None, np.full((1, 1, 3), 200, np.uint8))
    frame = simulated_frames(mesh, 1, seed=98)[0]
    crop = CropCamera.around(frame.camera_from_object[:3, 3], mesh.radius / frame.camera_from_object[2, 3], 160,
                             1.15)
    picture = Picture(crop.shoot(frame.image, frame.camera).astype(np.float32), 0.7)
    truth = invert(make_transform(crop.camera_from_crop)) @ frame.camera_from_object
    pixel_m = truth[2, 3] / crop.matrix[0, 0]
    pose = perturb(truth, np.array([pixel_m, 0, 0, 0, 0, 0]))
    edges, mean, sigma = Edges(mesh), *mismatch_prior(0.045, mesh.radius)
    colour = ColourTerm.of(Surface(mesh, edges, (pixel_m,)), picture, crop.matrix, pose, None)
    term = ContourTerm.of(edges, picture, crop.matrix, pose, 3, 0.7, Illumination.of(colour, pose, crop.matrix),
                          palette_of(colour, picture, crop.matrix, pose, edges.points, 3), None)
    covariance = np.linalg.inv(state_information(np.linalg.inv(COVARIANCE), sigma))
    equations, fit = contour_equations(term, pose, 0 * mean, crop.matrix, covariance)
    step = -equations.gradient[0] / equations.information[0, 0]
    assert step == pytest.approx(-pixel_m, rel=0.5)
    assert 0 < fit < contour_equations(term, truth, 0 * mean, crop.matrix, covariance)[1] <= 1


def sides_of(colours, second_shown):
    """Sides of edges with colours (N, 2, S, 3), all known to 10 levels, 1.4 px apart."""
    sigmas = np.full(colours.shape[:3], 10.0)
    return Sides(colours, sigmas, np.full_like(sigmas, log_peak(10.0)), np.full((len(colours), 2), 1.4),
                 np.array(second_shown))


def test_a_stronger_edge_behind_the_outline_is_not_taken_for_it():
    """A grey object whose outline is faint, and 4 px behind it the border of something black.

    The strongest gradient is at 4 px; that colours left of 0 are the object's says that the outline is at 0.
    """
    image = np.full((60, 60, 3), 160, np.float32)
    image[:, 30:34] = 120
    image[:, 34:] = 10
    picture = Picture(image, 0.7)
    object_, around = densities(np.full((50, 3), 160.0)), densities(np.concatenate(
        [np.full((50, 3), 120.0), np.full((50, 3), 10.0)]))
    colours = np.full((1, 2, 8, 3), 160.0)
    lines = Lines(np.array([[29.5, 30.0]]), np.array([[1.0, 0.0]]), np.arange(-5, 5.5, 0.5),
                  np.arange(-10.0, 10.5))
    sides = sides_of(colours, [False])
    likelihood, hidden = place_likelihoods(picture.layers[0], picture.tensor, lines, sides,
                                           log_densities(object_, around), 1.2)
    assert lines.places_px[likelihood[0].argmax()] == pytest.approx(0, abs=0.5)
    assert likelihood[0].max() > hidden[0]
    steep = [steepness(picture.tensor, 29.5 + place, 30.0, 1.0, 0.0) for place in lines.places_px]
    assert lines.places_px[np.argmax(steep)] == pytest.approx(4, abs=0.5)


def test_an_edge_behind_something_striped_is_likelier_hidden_than_at_any_place():
    """Strong gradients everywhere, and nothing of the colours of the object or around it."""
    image = np.full((60, 60, 3), (40.0, 200.0, 60.0), np.float32)
    image[:, ::4] = image[:, 1::4] = (90.0, 20.0, 220.0)
    picture = Picture(image, 0.7)
    object_, around = densities(np.full((50, 3), 160.0)), densities(np.full((50, 3), 10.0))
    colours = np.full((1, 2, 8, 3), 160.0)
    lines = Lines(np.array([[29.5, 30.0]]), np.array([[1.0, 0.0]]), np.arange(-5, 5.5, 0.5),
                  np.arange(-10.0, 10.5))
    sides = sides_of(colours, [False])
    likelihood, hidden = place_likelihoods(picture.layers[0], picture.tensor, lines, sides,
                                           log_densities(object_, around), 1.2)
    assert hidden[0] > likelihood[0].max()


def test_the_table_of_sums_of_exponentials_is_accurate():
    pairs = np.random.default_rng(5).uniform(-30, 5, (2000, 2))
    found = [log_sum(one, other) for one, other in pairs]
    np.testing.assert_allclose(found, np.logaddexp(*pairs.T), atol=1e-4)
    assert log_sum(-1e9, -3.0) == -3.0


def test_gradients_count_less_where_print_is_beside_an_edge():
    colours = np.full((3, 2, 8, 3), 200.0)
    colours[1, 0, 1:] = 20  # a dark print beside the edge
    sides = sides_of(colours, [False, False, True])
    weights = [contrast_weight(sides, i) for i in range(3)]
    assert weights[1] < weights[0] / 3
    assert weights[2] == pytest.approx(0)  # two faces of one colour show no edge


def test_how_far_a_rounded_edge_seems_to_move():
    """A square bar of side 2 seen along its edges' normal: the support of a rounded square, by hand."""
    first, second = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    faces = Faces(np.array([[True, False], [True, True]]), np.array([[first, second]] * 2), np.zeros((2, 2, 3)),
                  np.zeros((2, 2, 1, 3)), np.zeros((2, 2, 1)), np.ones(2, bool))
    diagonal = (first + second) / np.sqrt(2)
    outline, inner = insets(faces, np.array([diagonal, diagonal]))
    assert outline == pytest.approx(np.sqrt(2) - 1)
    assert inner == pytest.approx(np.sqrt(2) - 1)  # the arc's middle is that far from the corner too
    across = (first - second) / np.sqrt(2)
    assert insets(faces, np.array([across, across]))[1] == pytest.approx(0)  # seen from above, it stays


def test_a_wrong_principal_point_is_in_the_covariance():
    """An error of the principal point turns what the camera sees; one of the focal length moves it away."""
    camera = Camera.from_field_of_view(640, 480, 1.0)
    centre = np.array([0.05, -0.02, 0.6])
    covariance = camera_covariance(camera, centre, with_depth=True)
    assert np.sqrt(covariance[0, 0]) == pytest.approx(0.6 * 1.5 / camera.fx, rel=0.02)
    assert np.sqrt(covariance[4, 4]) == pytest.approx(1.5 / camera.fx)
    assert np.sqrt(camera_covariance(camera, centre, False)[2, 2]) == pytest.approx(0.003 * 0.6, rel=0.02)
    assert np.linalg.eigvalsh(covariance).min() > -1e-15


@pytest.mark.parametrize('blur_m', [0.0005, 0.002])
def test_colours_so_near_to_the_outline_of_a_cylinder_that_the_blur_mixes_them_are_not_compared(tmp_path, blur_m):
    radius_m = 0.03
    trimesh.creation.cylinder(radius_m, 0.1, sections=64).export(tmp_path / 'cylinder.obj')
    mesh = load_mesh(tmp_path / 'cylinder.obj')
    surface = Surface(mesh, Edges(mesh), (blur_m,))
    side = np.abs(surface.normals[:, 2]) < 0.1
    inner = side & (np.abs(surface.points[:, 2]) < 0.03)
    assert np.median(surface._curvature[inner]) == pytest.approx(1 / radius_m, rel=0.1)
    assert (surface._curvature[np.abs(surface.normals[:, 2]) > 0.9] == 0).all()
    # from afar the outline is at x = ±radius
    compared = side & (surface.cosines(np.array([0.0, -20.0, 0.0]), blur_m) > 0)
    within_m = radius_m - np.abs(surface.points[compared, 0])
    assert compared.sum() > 50 and within_m.min() > blur_m


def test_a_can_is_not_taken_to_be_farther_than_it_is():
    can = load_mesh(resource_path('models/can/mesh.obj'))
    along_m = []
    for frame in simulated_frames(can, 12, seed=7):
        truth = frame.camera_from_object
        refined = MeshRefiner(can).refine(frame.image, frame.camera, truth, COVARIANCE)
        sight = truth[:3, 3] / np.linalg.norm(truth[:3, 3])
        along_m.append(sight @ (refined.pose[:3, 3] - truth[:3, 3]))
    assert abs(np.median(along_m)) < 0.001
