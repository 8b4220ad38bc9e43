# SPDX-License-Identifier: Apache-2.0
"""A gripper of another kind, a suction cup: planner, grasp file, rviz and simulator take it as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
import trimesh

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.grasping.box import Box
from posegrasp_ros.grasping.end_effector import Closed, EndEffector, HoldingPart, HoldLimits
from posegrasp_ros.grasping.grasp_set import Grasp, GraspSet, load_grasps, save_grasps
from posegrasp_ros.grasping.planning.plan import DiscardedGrasp
from posegrasp_ros.grasping.planning.planner import GraspPlanner
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle, Scene
from posegrasp_ros.simulation.scene import DEFAULT_BASE_FROM_CAMERA, sample_scene
from posegrasp_ros.simulation.world import World

RADIUS_M, STROKE_M = 0.012, 0.004


@dataclass(frozen=True)
class SuctionCup:
    """One round cup on a flange; its TCP is the middle of the lip, and the lip gives way by the stroke."""

    name: str = 'suction_cup'
    base_frame: str = 'flange'
    force_n: float = 30.0
    max_opening_m: float = 0.0
    graspgen_base_from_tcp: None = None
    other_bases: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def gripper_base_from_tcp(self) -> np.ndarray:
        return make_transform(translation=(0, 0, 0.08))

    @property
    def palm_boxes(self) -> list[Box]:
        return [Box(np.array([0, 0, -0.06]), np.array([0.03, 0.03, 0.02]))]

    @property
    def cup(self) -> Box:
        return Box(np.array([0, 0, -0.022]), np.array([RADIUS_M, RADIUS_M, 0.018]))

    def boxes(self, opening_m: float) -> list[Box]:
        return [self.cup, *self.palm_boxes]

    def outline(self, opening_m: float) -> np.ndarray:
        return np.array([[0, 0, 0], [0, 0, -0.08], [-RADIUS_M, 0, 0], [RADIUS_M, 0, 0.0]])

    def holding_parts(self) -> list[HoldingPart]:
        return [HoldingPart(self.cup, np.array([0, 0, 1.0]), travel_m=0.0)]

    def travel_m(self, opening_m: float) -> float:
        return 0.0

    def base_from_tcp(self, width_m: float, graspgen: bool = False) -> np.ndarray:
        return self.gripper_base_from_tcp

    def joint_positions(self, opening_m: float) -> dict[str, float]:
        return {}

    def opening_of(self, joint_positions: Mapping[str, float]) -> float:
        return 0.0

    def close(self, object_from_tcp: np.ndarray, openings_m: np.ndarray, solid: trimesh.Trimesh) -> Closed:
        """Where the surface is within the lip's stroke."""
        z = object_from_tcp[:, :3, 2]
        origins, widths_m = object_from_tcp[:, :3, 3] - STROKE_M * z, np.full(len(z), np.nan)
        hits, rays, _ = solid.ray.intersects_location(origins, z, multiple_hits=False)
        widths_m[rays[np.linalg.norm(hits - origins[rays], axis=1) < 2 * STROKE_M]] = 0.0
        return Closed(widths_m, np.zeros(len(z), dtype=bool))

    def ratings(self, object_from_tcp: np.ndarray, openings_m: np.ndarray, solid: trimesh.Trimesh) -> np.ndarray:
        return np.ones(len(openings_m))

    def side_room_m(self, openings_m: np.ndarray, widths_m: np.ndarray) -> np.ndarray:
        return np.full(len(openings_m), np.inf)

    def hold_limits(self, points: np.ndarray, normals: np.ndarray, width_m: float) -> HoldLimits:
        """The whole lip must stay on the face that it is on, and its stroke must do."""
        face = points[(np.abs(points[:, 2]) < STROKE_M) & (normals[:, 2] < -0.9)]
        low, high = face.min(axis=0) + RADIUS_M, face.max(axis=0) - RADIUS_M
        x, y, z = np.eye(3)
        rim = RADIUS_M * np.array([x, -x, y, -y])
        return HoldLimits(np.concatenate([np.zeros((4, 3)), rim, rim]),
                          np.array([x, -x, y, -y, *[z] * 4, *[-z] * 4]),
                          np.array([-low[0], high[0], -low[1], high[1], *[STROKE_M] * 8]))

    def unknown_object(self, width_m: float) -> Box:
        return Box(np.array([0, 0, 0.02]), np.array([0.02, 0.02, 0.02]))


CUP: EndEffector = SuctionCup()
SIDES_M = (0.08, 0.06, 0.05)
DOWN = np.diag([1.0, -1.0, -1.0, 1.0])
TOP = Grasp('top', make_transform(translation=(0, 0, SIDES_M[2] / 2)) @ DOWN, 0.9, 0.0, 0.0)
BOTTOM = Grasp('bottom', make_transform(translation=(0, 0, -SIDES_M[2] / 2)), 0.9, 0.0, 0.0)
GRASPS = GraspSet([TOP, BOTTOM], 'object', CUP.base_frame)
ON_THE_TABLE = make_transform(translation=(0.4, 0.0, SIDES_M[2] / 2))


@pytest.fixture(scope='module')
def mesh() -> Mesh:
    solid = trimesh.creation.box(SIDES_M)
    return Mesh(np.array(solid.vertices), np.array(solid.faces), None, np.zeros((1, 1, 3), np.uint8))


@pytest.fixture(scope='module')
def planner(mesh) -> GraspPlanner:
    return GraspPlanner(CUP, GRASPS, mesh=mesh)


def errors(sideways_m: float) -> np.ndarray:
    return np.diag([sideways_m**2, sideways_m**2, 1e-6, 1e-4, 1e-4, 1e-4])


def test_it_is_planned_with(planner):
    plan = planner.plan(ON_THE_TABLE, errors(0.003), Scene())
    assert [grasp.name for grasp in plan.grasps] == ['top'] and plan.rejected['below_support'] == 1
    best = plan.grasps[0]
    assert best.force_n == CUP.force_n and best.opening_m == 0.0
    np.testing.assert_allclose(best.base_from_tcp[:3, 3], (0.4, 0.0, SIDES_M[2]))


def test_its_flange_keeps_off_obstacles(planner):
    beside = BoxObstacle(make_transform(translation=(0.44, 0.0, 0.09)), np.array([0.015, 0.05, 0.02]))
    assert planner.plan(ON_THE_TABLE, None, Scene(boxes=[beside])).rejected['collides'] == 1


def test_a_pose_too_uncertain_for_its_lip_is_refused(planner):
    assert planner.plan(ON_THE_TABLE, errors(0.003), Scene()).grasps[0].success_probability > 0.9
    assert planner.plan(ON_THE_TABLE, errors(0.05), Scene()).reason == 'pose_too_uncertain'


def test_its_tolerance_is_what_it_says_of_the_face(planner):
    along = planner.tolerance.along()[0]
    np.testing.assert_allclose(np.abs(along[1]), SIDES_M[1] / 2 - RADIUS_M, atol=0.002)
    np.testing.assert_allclose(along[2], [-STROKE_M, STROKE_M], atol=0.001)


def test_it_is_planned_with_where_the_object_has_no_mesh():
    assert GraspPlanner(CUP, GRASPS).plan(ON_THE_TABLE, errors(0.002), Scene()).grasps[0].name == 'top'


def test_its_grasps_of_a_file_are_closed_on_the_mesh(tmp_path, mesh):
    air = Grasp('air', make_transform(translation=(0, 0, 0.1)) @ DOWN, 0.9, 0.0, 0.0)
    stated = GraspSet([TOP, air, BOTTOM], 'object', CUP.base_frame, is_rated=False)
    save_grasps(tmp_path / 'grasps.yaml', stated, CUP)
    read = load_grasps(tmp_path / 'grasps.yaml', CUP, mesh)
    assert [grasp.name for grasp in read.grasps] == ['top', 'bottom'] and read.left_out == {'touch nothing': 1}


def test_its_grasps_are_kept_in_files(tmp_path):
    save_grasps(tmp_path / 'grasps.yaml', GRASPS, CUP)
    read = load_grasps(tmp_path / 'grasps.yaml', CUP)
    np.testing.assert_allclose(read.object_from_tcp, GRASPS.object_from_tcp, atol=2e-6)
    assert [(grasp.opening_m, grasp.width_m) for grasp in read.grasps] == [(0.0, 0.0)] * 2


def test_rviz_shows_it(planner):
    pytest.importorskip('visualization_msgs')
    from posegrasp_ros.ros import markers, messages

    header, plan = messages.to_header(5, 'base_link'), planner.plan(ON_THE_TABLE, None, Scene())
    _, cup, flange = markers.of_grasps(header, CUP, plan.grasps).markers
    assert cup.pose.position.z == pytest.approx(SIDES_M[2] + 0.022)
    assert flange.pose.position.z == pytest.approx(SIDES_M[2] + 0.06)
    _, lines = markers.of_discarded(header, CUP, [DiscardedGrasp('a', np.eye(4), 0.0, 'collides')]).markers
    assert len(lines.points) == 4


def test_the_simulator_moves_it_to_the_object_and_has_no_suction(mesh, planner):
    scene = sample_scene(np.random.default_rng(0), mesh, DEFAULT_BASE_FROM_CAMERA)
    with World(mesh, CUP, scene) as world:
        best = planner.plan(world.object_pose(), None, Scene()).grasps[0]
        outcome = world.pick(best.approach, best.opening_m, best.force_n)
        assert (outcome.result, outcome.numbers['approach_force_n']) == ('missed', 0.0)
        np.testing.assert_allclose(world._hand.base_from_tcp, best.approach[-1], atol=0.005)
