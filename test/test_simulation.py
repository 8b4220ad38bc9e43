# SPDX-License-Identifier: Apache-2.0
"""Scenes are what they promise, images agree with their truth, the same seed gives the same world."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh, load_mesh
from posegrasp_ros.geometry.transforms import invert, look_at, make_transform, transform_points
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.simulation.assets import add_textured_mesh
from posegrasp_ros.simulation.placement import Distractor, stable_poses
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA, sample_scene
from posegrasp_ros.simulation.sensor import expose
from posegrasp_ros.simulation.textures import KINDS, Texture, paint
from posegrasp_ros.simulation.world import World

BOX = load_mesh(resource_path('models/box/mesh.obj'))
CAN = load_mesh(resource_path('models/can/mesh.obj'))
SMALL = (160, 120)


def plain(solid):
    return Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.full((1, 1, 3), 128, np.uint8))


@pytest.fixture(scope='module')
def scenes():
    rng = np.random.default_rng(5)
    return [sample_scene(rng, BOX) for _ in range(60)]


def test_cameras_look_from_where_a_robots_camera_would(scenes):
    for scene in scenes:
        to_camera = scene.base_from_camera[:3, 3] - scene.base_from_object[:3, 3]
        distance_m = np.linalg.norm(to_camera)
        assert 0.39 < distance_m < 0.81
        assert 24 < np.degrees(np.arcsin(to_camera[2] / distance_m)) < 76
        assert 55 <= np.degrees(scene.field_of_view_rad) <= 65


def test_the_fixed_camera_sees_every_object_whole():
    rng = np.random.default_rng(6)
    for _ in range(40):
        scene = sample_scene(rng, BOX, DEFAULT_BASE_FROM_CAMERA)
        camera = Camera.from_field_of_view(640, 480, scene.field_of_view_rad)
        camera_from_object = invert(scene.base_from_camera) @ scene.base_from_object
        pixels = camera.project(transform_points(camera_from_object, BOX.vertices))
        assert (pixels > 0).all() and (pixels < (639, 479)).all()
        assert 0.4 < camera_from_object[2, 3] < 0.8
        assert scene.base_from_camera == pytest.approx(DEFAULT_BASE_FROM_CAMERA)


def test_the_box_lies_on_each_of_its_six_faces(scenes):
    down = {tuple(np.rint(scene.base_from_object[2, :3]).astype(int)) for scene in scenes}
    assert len(down) == 6


def test_distractors_leave_the_object_room(scenes):
    assert {len(scene.distractors) for scene in scenes} == {2, 3, 4, 5}
    for scene in scenes:
        points = transform_points(scene.base_from_object, BOX.vertices)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        radius_m = np.linalg.norm((points - middle)[:, :2], axis=1).max()
        for distractor in scene.distractors:
            distance_m = np.linalg.norm(distractor.base_from_body[:2, 3] - middle[:2])
            assert distance_m - radius_m - distractor.footprint_m > 0.04


def test_everything_rests_where_it_was_put(scenes):
    for scene in scenes[:10]:
        world = World(BOX, None, scene, SMALL)
        moved = world.object_pose() - scene.base_from_object
        assert np.abs(moved[:3, 3]).max() < 0.001
        assert np.abs(moved[:3, :3]).max() < 0.01


def test_a_rolling_shape_can_rest_standing_or_lying():
    heights_mm = stable_poses(plain(trimesh.creation.cylinder(0.03, 0.11, sections=48)).solid)
    assert set(heights_mm) == {30, 55}


def test_a_can_stands_or_lies_and_stays_there():
    """Both ways are common, either end is up."""
    rng, standing, lying = np.random.default_rng(8), [], 0
    for _ in range(12):
        scene = sample_scene(rng, CAN)
        put, found = scene.base_from_object, World(CAN, None, scene, SMALL).object_pose()
        if abs(put[2, 2]) > 0.9:
            standing.append(put[2, 2] > 0)
        else:
            lying += 1
        assert np.linalg.norm(found[:3, 3] - put[:3, 3]) < 5e-4
    assert len(standing) >= 3 and lying >= 3
    assert set(standing) == {True, False}


def test_the_same_seed_gives_the_same_image():
    images = []
    for _ in range(2):
        with World(BOX, None, sample_scene(np.random.default_rng(9), BOX)) as world:
            images.append([world.frame().image, world.frame().image])
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0][0], images[0][1]), 'each frame has noise of its own'


def painted(colour):
    return Mesh(BOX.vertices, BOX.faces, None, np.array(colour, dtype=np.uint8).reshape(1, 1, 3))


def test_image_and_truth_agree_to_a_third_of_a_pixel(scenes):
    """Two worlds that differ in the object's colour alone differ where its projection is."""
    for scene in scenes[:4]:
        sensor = replace(scene.sensor, shot_noise=0.0, read_noise=0.0, blur_px=0.0)
        bare = replace(scene, distractors=(), sensor=sensor)
        images = []
        for colour in ((255, 60, 255), (60, 255, 60)):
            with World(painted(colour), None, bare) as world:
                frame = world.frame()
            images.append(frame.image.astype(int))
        seen = np.abs(images[0] - images[1]).max(axis=2) > 0
        pixels = frame.camera.project(transform_points(frame.camera_from_object, BOX.vertices))
        outline = np.zeros(seen.shape, np.uint8)
        hull = cv2.convexHull(np.round(pixels * 16).astype(np.int32))
        cv2.fillConvexPoly(outline, hull, 1, shift=4)
        assert np.count_nonzero(seen != outline.astype(bool)) < 0.03 * np.count_nonzero(outline)
        offset = np.argwhere(seen).mean(axis=0) - np.argwhere(outline).mean(axis=0)
        assert np.abs(offset).max() < 0.33


def test_twice_the_pixels_show_the_same_view(scenes):
    with World(BOX, None, scenes[0], (320, 240)) as small, World(BOX, None, scenes[0], (640, 480)) as large:
        few, many = small.frame(), large.frame()
    assert few.camera.resized(640, 480).matrix == pytest.approx(many.camera.matrix)
    assert few.image.shape == (240, 320, 3) and many.image.shape == (480, 640, 3)
    shrunk = cv2.resize(many.image, (320, 240), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - few.image).mean() < 8


def test_visible_fraction_counts_what_hides_the_object_and_what_the_border_cuts(scenes):
    wall = Distractor('box', np.array([0.02, 0.2, 0.1]), np.array([0.02, 0.2, 0.1]),
                      make_transform(None, (0.15, 0.0, 0.1)), Texture('plain', ((1, 1, 1), (1, 1, 1)), 0))
    lying = replace(scenes[0], base_from_object=make_transform(None, (0, 0, 0.0225)), distractors=(),
                    base_from_camera=look_at((0.6, 0, 0.2), (0, 0, 0.02)))
    to_the_side = look_at((0.6, 0, 0.2), (0, 0, 0.02))
    half_view = lying.field_of_view_rad / 2
    turned = make_transform(look_at((0, 0, 0), (-np.cos(half_view), np.sin(half_view), -0.3))[:3, :3],
                            to_the_side[:3, 3])
    fractions = []
    for scene in (lying, replace(lying, distractors=(wall,)), replace(lying, base_from_camera=turned)):
        with World(BOX, None, scene, SMALL) as world:
            fractions.append(world.visible_fraction())
    assert fractions[0] == 1.0
    assert fractions[1] < 0.1
    assert 0.3 < fractions[2] < 0.7


def test_a_texture_is_the_right_way_up():
    """A square whose picture is red above and blue below, upright before the camera."""
    import mujoco  # not above: posegrasp_ros decides how it renders, so posegrasp_ros goes first

    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    red_above_blue = np.zeros((64, 64, 3), np.uint8)
    red_above_blue[:32, :, 2] = red_above_blue[32:, :, 0] = 255
    vertices, faces = np.column_stack([0.2 * corners - 0.1, np.zeros(4)]), np.array([[0, 1, 2], [0, 2, 3]])
    square = Mesh(vertices, faces, corners, red_above_blue)
    spec = mujoco.MjSpec()
    add_textured_mesh(spec, square, 'square', emission=1.0)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname='square', material='square',
                            contype=0, conaffinity=0)
    spec.worldbody.add_camera(name='camera', pos=[0, 0, 0.3])
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, 64, 64)
    renderer.update_scene(data, 'camera')
    above, below = renderer.render()[[24, 40], 32].astype(int)
    renderer.close()
    assert above[0] > above[2] + 100 and below[2] > below[0] + 100


@pytest.mark.parametrize('kind', KINDS)
def test_a_texture_recipe_gives_one_picture(kind):
    texture = Texture(kind, ((0.8, 0.2, 0.1), (0.1, 0.3, 0.9)), 4)
    assert np.array_equal(paint(texture), paint(texture))
    assert paint(texture).std() > 0


def test_the_sensor_darkens_tints_and_adds_noise(scenes):
    grey = np.full((50, 50, 3), 100, np.uint8)
    sensor = replace(scenes[0].sensor, exposure=0.5, white_balance=(1.2, 1.0, 0.8), shot_noise=3.0)
    image = expose(sensor, grey)
    assert image.mean(axis=(0, 1)) == pytest.approx([60, 50, 40], abs=1.5)
    assert image.std(axis=(0, 1)).min() > 0.2
