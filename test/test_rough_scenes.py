# SPDX-License-Identifier: Apache-2.0
"""Rough scenes: what is not ideal in them, within which bounds, and that the truth is the nominal mesh's pose."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from posegrasp_ros.datasets.bag_reader import read_frames
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import transform_points
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation import rough_world as rough_worlds
from posegrasp_ros.simulation.human_hand import sample_hand
from posegrasp_ros.simulation.mesh_family import family_object
from posegrasp_ros.simulation.record import record
from posegrasp_ros.simulation.rough_camera import (
    CameraMismatch,
    RoughSensor,
    expose_roughly,
    sample_mismatch,
    sample_rough_sensor,
)
from posegrasp_ros.simulation.rough_object import ObjectWear, displacement, sample_wear, worn
from posegrasp_ros.simulation.rough_scene import sample_rough_scene
from posegrasp_ros.simulation.rough_world import RoughWorld, rough_world
from posegrasp_ros.simulation.sensor import Sensor

MESH = load_mesh(resource_path('models/box/mesh.obj'))
SIZE = (320, 240)
PERFECT = RoughSensor(Sensor(1.0, (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 0))


def rough_scenes(count, mesh=MESH, seed=1):
    rng = np.random.default_rng(seed)
    return [sample_rough_scene(rng, mesh) for _ in range(count)]


def outline(mesh, camera, camera_from_object):
    mask = np.zeros((camera.height, camera.width), np.uint8)
    pixels = camera.project(transform_points(camera_from_object, mesh.vertices))
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(pixels).astype(np.int32)), 255)
    return mask


def disagreement_px(first, second):
    """Width of the band in which two masks differ, from the area between them."""
    contours, _ = cv2.findContours(second, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.count_nonzero(first != second) / sum(cv2.arcLength(each, True) for each in contours)


@pytest.mark.parametrize('mismatch', [CameraMismatch(), CameraMismatch(1.005, (3.0, -3.0), 0.05)])
def test_the_truth_is_the_pose_of_the_nominal_mesh_in_the_true_camera(mismatch):
    bare = [replace(rough, wear=ObjectWear(), sensor=PERFECT, mismatch=mismatch) for rough in rough_scenes(3)]
    for rough in bare:
        with RoughWorld(MESH, rough, SIZE) as world:
            frame, mask = world.frame(), world.object_mask(alone=True)
        expected = outline(MESH, world.true_camera, frame.camera_from_object)
        assert disagreement_px(mask, expected) < 0.7
        if mismatch != CameraMismatch():
            stated = outline(MESH, frame.camera, frame.camera_from_object)
            assert disagreement_px(mask, stated) > disagreement_px(mask, expected) + 0.1
        else:
            assert np.allclose(world.true_camera.matrix, frame.camera.matrix)
            assert not world.true_camera.is_distorted


def test_the_frame_states_the_camera_that_the_scene_was_drawn_with():
    rough = rough_scenes(1)[0]
    with RoughWorld(MESH, rough, SIZE) as world:
        frame = world.frame()
    stated = Camera.from_field_of_view(*SIZE, rough.scene.field_of_view_rad)
    assert np.allclose(frame.camera.matrix, stated.matrix) and not frame.camera.is_distorted
    assert world.true_camera.fx == pytest.approx(stated.fx * rough.mismatch.focal)


def test_the_same_seed_gives_the_same_image_and_another_seed_another():
    images = []
    for seed in (4, 4, 5):
        with rough_world(np.random.default_rng(seed), MESH, SIZE) as world:
            images.append(world.frame().image)
    assert (images[0] == images[1]).all()
    assert (images[0] != images[2]).any()


def test_stated_intrinsics_are_off_by_the_bounds_at_most_and_by_something():
    rng = np.random.default_rng(0)
    stated = Camera.from_field_of_view(640, 480, 1.0)
    true = [sample_mismatch(rng).true_camera(stated) for _ in range(300)]
    focal = np.array([camera.fx / stated.fx - 1 for camera in true])
    centre_px = np.array([camera.matrix[:2, 2] - stated.matrix[:2, 2] for camera in true])
    k1 = np.array([camera.distortion[0] if camera.is_distorted else 0.0 for camera in true])
    for values, bound in ((focal, 0.005), (centre_px, 3.0), (k1, 0.05)):
        assert np.abs(values).max() <= bound and np.abs(values).max() > 0.9 * bound
    assert 0.3 < (k1 == 0).mean() < 0.7


def test_the_principal_point_is_off_by_the_same_share_of_a_small_image():
    mismatch = CameraMismatch(centre_px=(3.0, 0.0))
    stated = Camera.from_field_of_view(320, 240, 1.0)
    assert mismatch.true_camera(stated).cx - stated.cx == pytest.approx(1.5)


def test_objects_differ_from_their_mesh_within_the_bounds():
    rng = np.random.default_rng(0)
    wear = [sample_wear(rng) for _ in range(300)]
    scale = np.array([each.scale for each in wear])
    assert 0.009 < np.abs(scale - 1).max() <= 0.01
    assert {each.edge_radius_m for each in wear} == {0.001, 0.0015, 0.002, 0.0025, 0.003}
    assert 0.012 < max(each.print_warp for each in wear) <= 0.015
    assert np.median([each.print_warp for each in wear]) < 0.01, 'seldom at its largest'


def test_the_object_is_scaled_about_the_centre_of_its_mesh():
    shown = worn(MESH, ObjectWear(scale=(1.01, 0.99, 1.0)))
    assert shown.centre == pytest.approx(MESH.centre)
    assert shown.extents == pytest.approx(MESH.extents * (1.01, 0.99, 1.0))


def test_the_print_moves_by_the_stated_share_of_a_face_at_most():
    flow = displacement(np.random.default_rng(2), 6, 200, 300)
    assert np.linalg.norm(flow, axis=2).max() == pytest.approx(1.0)
    # a texture that says where each pixel was
    rows, columns = np.indices((256, 256))
    places = np.dstack([columns, rows, np.zeros_like(rows)]).astype(np.uint8)
    shown = worn(replace(MESH, texture=places), ObjectWear(print_warp=0.015, warp_points=6, warp_seed=3)).texture
    moved_px = np.linalg.norm(shown[..., :2].astype(float) - places[..., :2], axis=2)
    patch_px = 256 * np.sqrt(np.abs(np.ptp(MESH.uv, axis=0)).prod() / 6)
    assert 1.0 <= moved_px.max() <= 0.015 * patch_px + np.sqrt(2) + 0.5


def test_a_mesh_without_texture_and_one_with_hollows_are_shown():
    mesh = family_object('mug').mesh
    with rough_world(np.random.default_rng(2), mesh, SIZE) as world:
        assert np.count_nonzero(world.object_mask()) > 50


def test_low_views_hands_and_near_lamps_are_in_some_scenes():
    scenes = [rough.scene for rough in rough_scenes(60)]
    heights_deg = []
    for scene in scenes:
        sight = scene.base_from_camera[:3, 3] - transform_points(scene.base_from_object, MESH.centre[None])[0]
        heights_deg.append(np.degrees(np.arcsin(sight[2] / np.linalg.norm(sight))))
    assert 5.0 <= min(heights_deg) < 12.0 and max(heights_deg) > 60.0
    hands = [any(body.shape == 'ellipsoid' for body in scene.occluders) for scene in scenes]
    assert 0.2 < np.mean(hands) < 0.7
    assert 0.3 < np.mean([any(light.falloff_m for light in scene.lights) for scene in scenes]) < 0.7


def test_things_stand_close_behind_the_object_and_do_not_reach_into_it():
    for rough in rough_scenes(20):
        points = transform_points(rough.scene.base_from_object, MESH.vertices)
        bodies = [body for body in rough.scene.occluders if body.shape in ('box', 'cylinder')]
        assert bodies
        for body in bodies:
            inside = transform_points(np.linalg.inv(body.base_from_body), points)
            assert (np.abs(inside) > body.half_extents - 1e-6).any(axis=1).all()


def test_fingertips_touch_the_object():
    rng = np.random.default_rng(0)
    points = MESH.vertices + (0, 0, 0.1)
    low, high = points.min(axis=0), points.max(axis=0)
    for _ in range(5):
        bodies = [body for body in sample_hand(rng, points) if body.shape == 'capsule']
        gaps_m = []
        for body in bodies:
            radius_m, half_m = body.size[:2]
            ends = transform_points(body.base_from_body, np.array([[0, 0, -half_m], [0, 0, half_m]]))
            gaps_m.append(np.linalg.norm(ends - np.clip(ends, low, high), axis=1).min() - radius_m)
        assert min(gaps_m) < 0.001


def test_as_much_of_the_object_is_hidden_as_is_asked_for():
    rng = np.random.default_rng(6)
    for _ in range(3):
        with rough_world(rng, MESH, SIZE, occlusion=(0.3, 0.5)) as world:
            assert 0.3 <= world.hidden_share() <= 0.5


def test_without_a_wanted_occlusion_most_of_the_object_is_seen():
    rng = np.random.default_rng(8)
    for _ in range(4):
        with rough_world(rng, MESH, SIZE) as world:
            assert world.hidden_share() <= 0.35 and world.inside_share() >= 0.85


def test_a_share_that_cannot_be_reached_is_refused(monkeypatch):
    monkeypatch.setattr(rough_worlds, 'MOST_SCENES', 1)
    with pytest.raises(InvalidInputError, match=r'rough scenes: .* use a wider range'):
        rough_world(np.random.default_rng(0), MESH, SIZE, occlusion=(0.5, 0.5001))


def test_sharpening_makes_halos_motion_blurs_and_jpeg_loses():
    image = np.full((64, 64, 3), 60, np.uint8)
    image[:, 32:] = 180
    sharp = expose_roughly(replace(PERFECT, sharpening=1.0, sharpening_px=1.5), image)
    assert sharp.max() > 200 and sharp.min() < 40
    moved = expose_roughly(replace(PERFECT, motion_px=(5.0, 0.0)), image)[32, :, 0].astype(int)
    assert 4 <= np.count_nonzero((moved > 62) & (moved < 178)) <= 6
    still = expose_roughly(replace(PERFECT, motion_px=(0.0, 5.0)), image)
    assert (still == image).all()
    assert (expose_roughly(PERFECT, image) == image).all()
    noisy = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    assert (expose_roughly(replace(PERFECT, jpeg_quality=50), noisy) != noisy).any()


def test_exposure_is_automatic_and_sometimes_far_off():
    dark = np.full((64, 64, 3), 50, np.uint8)
    assert expose_roughly(replace(PERFECT, mean_level=100.0), dark).mean() == pytest.approx(100, abs=1)
    rng = np.random.default_rng(0)
    sensors = [sample_rough_sensor(rng) for _ in range(200)]
    factors = [sensor.sensor.exposure for sensor in sensors]
    assert min(factors) < 0.55 and max(factors) > 1.6
    assert all(50 <= sensor.jpeg_quality <= 95 for sensor in sensors)


def test_record_writes_rough_scenes_with_and_without_the_object(tmp_path):
    for name, options in (('with', {}), ('without', {'without_object': True}), ('again', {})):
        record(tmp_path / name, MESH, 1, 3, SIZE, progress=False, rough=True, **options)
    with_object, without, again = (list(read_frames(tmp_path / name)) for name in ('with', 'without', 'again'))
    for one, other, same in zip(with_object, without, again):
        assert one.camera_from_object is not None and other.camera_from_object is None
        assert (one.image != other.image).any() and (one.image == same.image).all()


@pytest.mark.parametrize('options, found', [({'depth': True}, 'depth'), ({'instances': 2}, 'several instances')])
def test_what_rough_scenes_do_not_have_is_refused(tmp_path, options, found):
    with pytest.raises(InvalidInputError, match=f'rough: .* {found} as well: leave out one of the two'):
        record(tmp_path / 'out', MESH, 1, 0, SIZE, progress=False, rough=True, **options)
    assert not (tmp_path / 'out').exists()
