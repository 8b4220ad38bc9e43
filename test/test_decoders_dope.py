# SPDX-License-Identifier: Apache-2.0
"""DOPE's maps: known poses written as belief maps and vectors, and read back."""

import numpy as np
import pytest

from posegrasp_ros.estimation.decoders import dope
from posegrasp_ros.estimation.decoders.keypoints import solve_keypoints
from posegrasp_ros.geometry.transforms import (
    make_transform,
    project,
    rotation_angle,
    rotation_from_vector,
    transform_points,
)

SIDES_M = np.array([0.12, 0.06, 0.045])
MATRIX = np.array([[600.0, 0, 319.5], [0, 600, 239.5], [0, 0, 1]])
WIDTH, HEIGHT = 640, 480
# Corners of NVlabs' cuboid in half extents, written out by hand; x right, y down, z away from the camera.
NVLABS_ORDER = [(1, -1, 1), (-1, -1, 1), (-1, 1, 1), (1, 1, 1), (1, -1, -1), (-1, -1, -1), (-1, 1, -1), (1, 1, -1)]
NEAR = make_transform(rotation_from_vector([0.5, -0.7, 0.3]), [-0.08, 0.03, 0.5])
FAR = make_transform(rotation_from_vector([-0.4, 0.9, 1.2]), [0.12, -0.04, 0.7])


def cuboid(pose: np.ndarray, signs=(1, 1, 1)) -> np.ndarray:
    """(9, 2) pixels of corners and centroid."""
    corners = np.array(NVLABS_ORDER) * signs * SIDES_M / 2
    return project(transform_points(pose, np.vstack([corners, np.zeros(3)])), MATRIX)


def encode(instances, sigma_cells: float = 2.0, hidden=(), noise: float = 0.0) -> np.ndarray:
    """(25, H/8, W/8) maps of instances, each (9, 2) pixels; ``hidden`` are (instance, corner) without belief."""
    rows, columns = np.mgrid[:HEIGHT // 8, :WIDTH // 8]
    # a cell stands for the middle of its eight pixels, 8 i to 8 i + 7
    u, v = 8 * columns + 3.5, 8 * rows + 3.5
    maps = np.zeros((25, HEIGHT // 8, WIDTH // 8), np.float32)
    for index, pixels in enumerate(instances):
        for corner, (x, y) in enumerate(pixels):
            if (index, corner) in hidden:
                continue
            squared = ((u - x) ** 2 + (v - y) ** 2) / 64
            maps[corner] = np.maximum(maps[corner], np.exp(-squared / 2 / sigma_cells ** 2))
            if corner < 8:
                way = pixels[8] - (x, y)
                maps[9 + 2 * corner:11 + 2 * corner, squared < 4] = (way / np.linalg.norm(way))[:, None]
    return maps + np.random.default_rng(0).normal(0, noise, maps.shape).astype(np.float32)


def pose_of(instance, convention: str = 'nvlabs') -> np.ndarray:
    points = dope.cuboid_keypoints(SIDES_M, np.zeros(3), convention)
    return solve_keypoints(points[instance.seen], instance.pixels[instance.seen], 2.0, MATRIX).pose


def assert_pose(found: np.ndarray, pose: np.ndarray, within_m: float, within_deg: float) -> None:
    assert np.linalg.norm(found[:3, 3] - pose[:3, 3]) < within_m
    assert np.degrees(rotation_angle(found[:3, :3].T @ pose[:3, :3])) < within_deg


@pytest.mark.parametrize('sigma_cells', [0.5, 1.0, 2.0, 3.0])
def test_keypoints_come_back_between_the_cells(sigma_cells):
    [found] = dope.decode_dope(encode([cuboid(NEAR)], sigma_cells))
    assert found.seen.all()
    # a blob of half a cell is hardly sampled at all
    np.testing.assert_allclose(found.pixels, cuboid(NEAR), atol=0.1 if sigma_cells >= 1 else 1.0)
    assert 0.5 < found.confidence <= 1


def test_a_corner_at_the_border_comes_back():
    shifted = NEAR.copy()
    shifted[:3, 3] += [-0.098, -0.162, 0]
    pixels = cuboid(shifted)
    assert 8 < pixels.min(axis=0)[0] < 20 and 8 < pixels.min(axis=0)[1] < 20
    [found] = dope.decode_dope(encode([pixels]))
    np.testing.assert_allclose(found.pixels, pixels, atol=1.0)


def test_the_pose_comes_back():
    [found] = dope.decode_dope(encode([cuboid(NEAR)]))
    assert_pose(pose_of(found), NEAR, within_m=0.001, within_deg=0.2)


@pytest.mark.parametrize('convention, signs', [('nvlabs', (1, 1, 1)), ('isaac', (-1, -1, 1))])
def test_either_convention_of_signs_gives_the_pose_it_was_made_with(convention, signs):
    [found] = dope.decode_dope(encode([cuboid(NEAR, signs)]))
    assert_pose(pose_of(found, convention), NEAR, within_m=0.001, within_deg=0.2)
    other = {'nvlabs': 'isaac', 'isaac': 'nvlabs'}[convention]
    turned = pose_of(found, other)
    assert np.degrees(rotation_angle(turned[:3, :3].T @ NEAR[:3, :3])) == pytest.approx(180, abs=0.5)


def test_several_instances_keep_their_own_corners():
    instances = [cuboid(NEAR), cuboid(FAR)]
    found = dope.decode_dope(encode(instances))
    assert len(found) == 2
    for pixels in instances:
        assert min(np.abs(each.pixels - pixels).max() for each in found if each.seen.all()) < 0.5


def test_interleaved_instances_are_told_apart_by_their_vectors():
    shifted = NEAR.copy()
    shifted[:3, 3] += [0.07, 0.02, 0.0]  # each stands within the other's outline
    instances = [cuboid(NEAR), cuboid(shifted)]
    found = dope.decode_dope(encode(instances, sigma_cells=1.0))
    assert len(found) == 2
    for pose in (NEAR, shifted):
        errors = [np.linalg.norm(pose_of(each)[:3, 3] - pose[:3, 3]) for each in found]
        assert min(errors) < 0.002


def test_hidden_corners_are_not_seen_and_the_pose_holds():
    [found] = dope.decode_dope(encode([cuboid(NEAR)], hidden={(0, 2), (0, 5), (0, 7)}))
    assert np.flatnonzero(~found.seen).tolist() == [2, 5, 7]
    assert_pose(pose_of(found), NEAR, within_m=0.002, within_deg=0.5)


def test_a_wrong_corner_is_voted_down():
    pixels = cuboid(NEAR)
    pixels[3] += (40, -25)
    [found] = dope.decode_dope(encode([pixels]))
    assert_pose(pose_of(found), NEAR, within_m=0.002, within_deg=0.5)


def test_noisy_maps_still_give_the_pose():
    [found] = dope.decode_dope(encode([cuboid(NEAR)], noise=0.02))
    np.testing.assert_allclose(found.pixels[found.seen], cuboid(NEAR)[found.seen], atol=1.5)
    assert_pose(pose_of(found), NEAR, within_m=0.005, within_deg=1.5)


def test_no_belief_no_instance():
    assert dope.decode_dope(encode([], noise=0.02)) == []
    assert dope.decode_dope(np.full((25, 60, 80), np.nan, np.float32)) == []


def test_a_corner_whose_vector_points_elsewhere_belongs_to_nobody():
    maps = encode([cuboid(NEAR)])
    maps[9:11] *= -1
    [found] = dope.decode_dope(maps)
    assert not found.seen[0] and found.seen[1:].all()


def test_the_offset_moves_every_keypoint():
    maps = encode([cuboid(NEAR)])
    [standard], [moved] = dope.decode_dope(maps), dope.decode_dope(maps, offset_cells=0.0)
    np.testing.assert_allclose(standard.pixels - moved.pixels, 3.5, atol=1e-6)
