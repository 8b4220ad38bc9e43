# SPDX-License-Identifier: Apache-2.0
"""ArmBodies: whether the collision bodies of a URDF touch each other or obstacles, by Pinocchio and Coal."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import trimesh
from scipy.spatial import ConvexHull, QhullError

from posegrasp_ros.grasping.box import Box
from posegrasp_ros.grasping.planning.arm_model import ArmModel, chain_of, pinocchio, read_model
from posegrasp_ros.grasping.planning.arm_obstacles import ArmObstacles
from posegrasp_ros.grasping.planning.arm_urdf import ReachError
from posegrasp_ros.grasping.planning.swept_boxes import touch_balls, touch_boxes
from posegrasp_ros.runtime.extras import missing_package

SELF_COLLISION, ARM_COLLISION = 'self_collision', 'arm_collision'
GRIPPER = 'gripper'
# Bodies that touch in all of so many postures touch by design.
POSTURES = 60


class Contact(NamedTuple):
    """What an arm touches.

    :param reason: :data:`SELF_COLLISION` or :data:`ARM_COLLISION`
    :param what: the two, for a person
    """

    reason: str
    what: str


class _Body(NamedTuple):
    """A body that obstacles are checked against.

    :param number: in Pinocchio's geometry model
    :param vertices: (V, 3) of its convex hull in its own frame, metres
    :param faces: (F, 4) outward normals and offsets of the hull's faces
    :param middle: (3,) of the box around it, along the axes of its own frame
    :param half_extents: (3,) of that box
    """

    name: str
    number: int
    vertices: np.ndarray
    faces: np.ndarray
    middle: np.ndarray
    half_extents: np.ndarray


class ArmBodies:
    """The links' bodies.

    For meshes, the convex hulls are checked first, and the meshes themselves where hulls touch each other. Against
    obstacles only the hulls count. Links fixed to the root are not checked against them, since the arm stands on
    something, nor are the tip and what is fixed to it: that is the gripper, which the planner checks.

    :param model: Pinocchio's
    :param geometry: of the model, without bodies that other joints than the arm's move
    :param ignored: pairs of links that may touch
    """

    def __init__(self, model: Any, geometry: Any, arm: ArmModel, tip: str, coal: ModuleType,
                 ignored: set[frozenset[str]]):
        self._pin, self._coal, self._model, self._arm = pinocchio(), coal, model, arm
        self._meshes, self._hulls = geometry, geometry.copy()
        self._links = [_link_name(model, body) for body in geometry.geometryObjects]
        for body in self._hulls.geometryObjects:
            if hasattr(body.geometry, 'buildConvexHull'):
                body.geometry.buildConvexHull(True, 'Qt')
                body.geometry = body.geometry.convex
        self._data, self._neutral = model.createData(), self._pin.neutral(model)
        self._turns_freely = np.array([model.joints[model.getJointId(name)].nq == 2 for name in arm.names])
        self._pair(tip, ignored)
        self._mesh_data, self._hull_data = self._meshes.createData(), self._hulls.createData()
        self.touching = self._drop_pairs_that_touch_by_design()
        self._moved = [_body(name, number, body.geometry) for number, (name, body) in enumerate(
            zip(self._links, self._hulls.geometryObjects)) if self._may_meet_obstacles(body, tip)]
        self._request, self._result = coal.CollisionRequest(), coal.CollisionResult()
        self._transform = getattr(coal, 'Transform3s', None) or coal.Transform3f

    def contact(self, postures: np.ndarray, obstacles: ArmObstacles, grasp: np.ndarray) -> Contact | None:
        """What the arm touches in one of some postures (K, J); None where it is free in all.

        :param grasp: (3,) where the tip grasps, in the root's frame
        """
        places = np.tile(np.eye(4), (len(self._moved), len(postures), 1, 1))
        for index, posture in enumerate(postures):
            itself = self.self_contact(posture)
            if itself is not None:
                return itself
            for body, place in zip(self._moved, places):
                place[index] = self._hull_data.oMg[body.number].homogeneous
        for body, root_from_body in zip(self._moved, places):
            what = self._obstacle(body, root_from_body, obstacles, grasp)
            if what:
                return Contact(ARM_COLLISION, f'{body.name} and {what}')
        return None

    def self_contact(self, posture: np.ndarray) -> Contact | None:
        """The links that touch each other in a posture (J,); None where there are none. The bodies stay placed."""
        touching = self._touching_links(posture)
        return None if touching is None else Contact(SELF_COLLISION, ' and '.join(touching))

    def _configuration(self, posture: np.ndarray) -> np.ndarray:
        """Pinocchio's: joints without limits by cosine and sine, others than the arm's at their neutral place."""
        positions, at = self._neutral.copy(), self._arm.numbers
        positions[at] = np.where(self._turns_freely, np.cos(posture), posture)
        positions[at[self._turns_freely] + 1] = np.sin(posture[self._turns_freely])
        return positions

    def _touching_links(self, posture: np.ndarray) -> tuple[str, str] | None:
        pin, positions = self._pin, self._configuration(posture)
        pin.updateGeometryPlacements(self._model, self._data, self._hulls, self._hull_data, positions)
        if not pin.computeCollisions(self._hulls, self._hull_data, False):
            return None
        pin.updateGeometryPlacements(self._model, self._data, self._meshes, self._mesh_data)
        for number, result in enumerate(self._hull_data.collisionResults):
            if result.isCollision() and pin.computeCollision(self._meshes, self._mesh_data, number):
                pair = self._meshes.collisionPairs[number]
                return self._links[pair.first], self._links[pair.second]
        return None

    def _obstacle(self, body: _Body, root_from_body: np.ndarray, obstacles: ArmObstacles,
                  grasp: np.ndarray) -> str:
        """The obstacle that a body touches in one of its places (K, 4, 4); empty where there is none."""
        if obstacles.supports(body.vertices, root_from_body, grasp):
            return 'the support'
        count, half_extents = len(root_from_body), body.half_extents[None]
        centers, still = np.tile(body.middle, (count, 1, 1)), np.zeros((count, 3))
        geometry = self._hulls.geometryObjects[body.number].geometry
        # The box around the body first, compiled; then the body itself.
        for place in root_from_body[touch_boxes(root_from_body, centers, half_extents, still,
                                                *obstacles.boxes)]:
            for box, (pose, sizes) in enumerate(zip(*obstacles.boxes)):
                self._result.clear()
                if self._coal.collide(geometry, self._placed(place), self._coal.Box(*(2.0 * sizes)),
                                      self._placed(pose), self._request, self._result):
                    return f'obstacle box {box}'
        balls, radii = obstacles.balls
        for place in root_from_body[touch_balls(root_from_body, centers, half_extents, still, balls, radii)]:
            local = (balls - place[:3, 3]) @ place[:3, :3]
            near = (np.abs(local - body.middle) <= body.half_extents + radii[:, None]).all(axis=1)
            outside = local[near] @ body.faces[:, :3].T + body.faces[:, 3]
            if (outside.max(axis=1) <= radii[near]).any():
                return 'an obstacle sphere or point'
        return ''

    def _placed(self, pose: np.ndarray) -> Any:
        """A (4, 4) pose as Coal has it."""
        return self._transform(pose[:3, :3].copy(), pose[:3, 3].copy())

    def _pair(self, tip: str, ignored: set[frozenset[str]]) -> None:
        """Pair the bodies of links that no joint, or more than one, lies between."""
        place = {joint: index for index, joint in enumerate([0, *chain_of(self._model, tip)])}
        places = [place[body.parentJoint] for body in self._meshes.geometryObjects]
        for first, second in combinations(range(len(places)), 2):
            if abs(places[first] - places[second]) > 1 and frozenset(
                    (self._links[first], self._links[second])) not in ignored:
                for geometry in (self._meshes, self._hulls):
                    geometry.addCollisionPair(self._pin.CollisionPair(first, second))

    def _drop_pairs_that_touch_by_design(self) -> list[str]:
        """Drop pairs of links that touch in the neutral posture or in all sampled ones; their names."""
        low, high = self._arm.limits
        neutral = self._touching_pairs(np.zeros(len(self._arm.names)).clip(low, high), self._paired_links())
        always = self._paired_links()
        for posture in self._arm.postures(np.random.default_rng(4), POSTURES):
            always = self._touching_pairs(posture, always)
        dropped = neutral | always
        for pair in list(self._meshes.collisionPairs):
            if self._links_of(pair) in dropped:
                for geometry in (self._meshes, self._hulls):
                    geometry.removeCollisionPair(pair)
        self._mesh_data, self._hull_data = self._meshes.createData(), self._hulls.createData()
        return sorted(' and '.join(sorted(pair)) for pair in dropped)

    def _paired_links(self) -> set[frozenset[str]]:
        return {self._links_of(pair) for pair in self._meshes.collisionPairs}

    def _links_of(self, pair: Any) -> frozenset[str]:
        return frozenset((self._links[pair.first], self._links[pair.second]))

    def _touching_pairs(self, posture: np.ndarray, asked: set[frozenset[str]]) -> set[frozenset[str]]:
        """Those pairs of links that touch in a posture."""
        self._pin.updateGeometryPlacements(self._model, self._data, self._meshes, self._mesh_data,
                                           self._configuration(posture))
        return {links for number, pair in enumerate(self._meshes.collisionPairs)
                if (links := self._links_of(pair)) in asked
                and self._pin.computeCollision(self._meshes, self._mesh_data, number)}

    def _may_meet_obstacles(self, body: Any, tip: str) -> bool:
        if not body.parentJoint:
            return False
        frame, ends = body.parentFrame, self._model.getFrameId(tip)
        while frame and frame != ends:
            frame = _parent(self._model.frames[frame])
        return frame != ends


def load_bodies(urdf_path: str | Path, tip: str, arm: ArmModel, package_dirs: Sequence[str] = (),
                gripper_boxes: Sequence[Box] = (), tip_from_tcp: np.ndarray | None = None,
                srdf_path: str | Path = '') -> tuple[ArmBodies | None, list[str]]:
    """The bodies of an arm, or None; and lines about what is left out of the check, and why.

    :param arm: of the same URDF and tip
    :param package_dirs: folders in which the packages of ``package://NAME/mesh`` lie
    :param gripper_boxes: in the TCP frame, checked against the arm's links
    :param srdf_path: whose ``disable_collisions`` count; empty for none
    :raises ReachError: when the SRDF cannot be read
    """
    nothing = 'collisions of the arm are not checked'
    try:
        coal = _coal()
    except ModuleNotFoundError as error:
        return None, [f'{nothing}: {missing_package(error)}']
    pin = pinocchio()
    if not hasattr(pin, 'computeCollisions'):
        return None, [f'{nothing}: this build of pinocchio is without coal']
    ignored = _disabled(Path(srdf_path)) if srdf_path else set()
    model, locked = read_model(urdf_path, tip)
    try:
        geometry = pin.buildGeomFromUrdf(model, str(urdf_path), pin.GeometryType.COLLISION,
                                         package_dirs=list(package_dirs))
    except (RuntimeError, ValueError) as error:
        return None, [f'{nothing}: {urdf_path}: {error}']
    if locked:
        model, geometry = pin.buildReducedModel(model, geometry, [model.getJointId(name) for name in locked],
                                                pin.neutral(model))
    chain = chain_of(model, tip)
    left_out = sorted({_link_name(model, body) for body in geometry.geometryObjects
                       if body.parentJoint not in (0, *chain)})
    for body in [each.name for each in geometry.geometryObjects if each.parentJoint not in (0, *chain)]:
        geometry.removeGeometryObject(body)
    lines = [f'not checked for collisions, since other joints than those of the arm move them: '
             f'{", ".join(left_out)}'] if left_out else []
    if not any(body.parentJoint for body in geometry.geometryObjects):
        return None, [f'{nothing}: {urdf_path}: its links have no collision bodies', *lines]
    frame = model.frames[model.getFrameId(tip)]
    for number, box in enumerate(gripper_boxes):
        placement = frame.placement.homogeneous @ (np.eye(4) if tip_from_tcp is None else tip_from_tcp)
        placement[:3, 3] += placement[:3, :3] @ box.center
        geometry.addGeometryObject(pin.GeometryObject(
            name=f'{GRIPPER} {number}', parent_joint=frame.parentJoint, parent_frame=model.getFrameId(tip),
            placement=pin.SE3(placement), collision_geometry=coal.Box(*(2.0 * np.asarray(box.half_extents)))))
    bodies = ArmBodies(model, geometry, arm, tip, coal, ignored)
    if bodies.touching:
        lines.append(f'not checked for collisions with each other, since they touch in the neutral posture or in '
                     f'all: {", ".join(bodies.touching)}')
    return bodies, lines


def _coal() -> ModuleType:
    """Import Coal, under its former name where it has that.

    :raises ModuleNotFoundError: when it is not installed
    """
    try:
        return import_module('coal')
    except ModuleNotFoundError as error:
        try:
            return import_module('hppfcl')
        except ModuleNotFoundError:
            raise error from None


def _link_name(model: Any, body: Any) -> str:
    return GRIPPER if body.name.startswith(f'{GRIPPER} ') else model.frames[body.parentFrame].name


def _parent(frame: Any) -> int:
    """Number of the frame before; older releases of Pinocchio have another name for it."""
    return frame.parentFrame if hasattr(frame, 'parentFrame') else frame.previousFrame


def _disabled(path: Path) -> set[frozenset[str]]:
    """Pairs of links of an SRDF's ``disable_collisions``."""
    try:
        root = ElementTree.fromstring(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, ElementTree.ParseError) as error:
        raise ReachError(f'{path}: expected an SRDF that can be read: {error}') from error
    return {frozenset((each.get('link1', ''), each.get('link2', ''))) for each in root.iter('disable_collisions')}


def _body(name: str, number: int, geometry: Any) -> _Body:
    vertices = _vertices(geometry)
    try:
        hull = ConvexHull(vertices)
        vertices, faces = vertices[hull.vertices], hull.equations
    except (QhullError, ValueError):  # flat: the box around it
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        faces = np.concatenate([np.column_stack([np.eye(3), -high]), np.column_stack([-np.eye(3), low])])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return _Body(name, number, vertices, faces, (low + high) / 2, (high - low) / 2)


def _vertices(geometry: Any) -> np.ndarray:
    """(V, 3) of a body in its own frame; round ones have the corners of a fine mesh."""
    if hasattr(geometry, 'points'):
        return np.array(geometry.points(), dtype=float)
    kind = type(geometry).__name__
    if kind == 'Cylinder':
        return trimesh.creation.cylinder(geometry.radius, 2.0 * geometry.halfLength).vertices.view(np.ndarray)
    if kind == 'Sphere':
        return trimesh.creation.icosphere(2, geometry.radius).vertices.view(np.ndarray)
    geometry.computeLocalAABB()
    low, high = np.array(geometry.aabb_local.min_).ravel(), np.array(geometry.aabb_local.max_).ravel()
    return Box((low + high) / 2, (high - low) / 2).corners()
