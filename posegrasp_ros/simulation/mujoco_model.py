# SPDX-License-Identifier: Apache-2.0
"""Compilation of a SceneSpec to a MuJoCo model: room, lights, camera, distractors, object and hand."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
import trimesh

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.simulation.assets import add_painted_material, add_sky, add_textured_mesh
from posegrasp_ros.simulation.hand import add_hand
from posegrasp_ros.simulation.object_physics import DENSITY_KG_M3, ObjectPhysics
from posegrasp_ros.simulation.placement import Distractor
from posegrasp_ros.simulation.scene import Bystander, Light, Room, SceneSpec
from posegrasp_ros.simulation.solids import TouchBox, mass_properties, touch_solids

# Geom groups, which are shown or hidden in an image.
ROOM_GROUP, OBJECT_GROUP, HAND_GROUP, COLLISION_GROUP = 0, 1, 2, 3
# Of a geom that is drawn alone, while it is.
ALONE_GROUP = 4
TIMESTEP_S = 0.002
FLOOR_M, WALL_M = -0.75, 1.6
TABLE_THICKNESS_M = 0.04
# A lamp that falls off is brighter than its colour by this factor's inverse at most, where the lamp is.
NEAR_BRIGHTNESS = 0.15
# Lets a lying can or a ball come to rest; one of 60 mm diameter starts to roll on a slope of 4 degrees.
ROLLING_FRICTION_M = 0.002
# MuJoCo's cameras look along -z with y up.
FROM_OPTICAL = np.diag([1.0, -1.0, -1.0])

_SHAPES = {
    'box': mujoco.mjtGeom.mjGEOM_BOX,
    'cylinder': mujoco.mjtGeom.mjGEOM_CYLINDER,
    'sphere': mujoco.mjtGeom.mjGEOM_SPHERE,
    'capsule': mujoco.mjtGeom.mjGEOM_CAPSULE,
    'ellipsoid': mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}
_SCENERY = {'contype': 0, 'conaffinity': 0, 'group': ROOM_GROUP}


def build_model(mesh: Mesh, gripper: EndEffector | None, scene: SceneSpec, camera: Camera,
                convex_parts: Sequence[trimesh.Trimesh] | None = None) -> mujoco.MjModel:
    """Compile the scene, see :func:`build_spec`."""
    return build_spec(mesh, gripper, scene, camera, convex_parts).compile()


def build_spec(mesh: Mesh, gripper: EndEffector | None, scene: SceneSpec, camera: Camera,
               convex_parts: Sequence[trimesh.Trimesh] | None = None) -> mujoco.MjSpec:
    """Describe the scene to MuJoCo; the world frame is ``base``.

    Names used by other modules: body and geom ``object``, geoms ``instance_0`` and so on of further ones, bodies
    ``distractor_0``, bodies and geoms ``bystander_0``, geoms ``occluder_0`` and ``table``, camera ``camera``, and
    those of the hand.

    :param convex_parts: of the mesh, see :func:`posegrasp_ros.simulation.solids.touch_solids`
    """
    spec = mujoco.MjSpec()
    _set_options(spec, scene, camera)
    _add_room(spec, scene.room, scene.physics.friction)
    for light in scene.lights:
        _add_light(spec, light)
    _add_camera(spec, scene.base_from_camera, camera)
    for index, distractor in enumerate(scene.distractors):
        _add_distractor(spec, distractor, f'distractor_{index}', scene.physics.friction)
    for index, occluder in enumerate(scene.occluders):
        _add_occluder(spec, occluder, f'occluder_{index}')
    solids = touch_solids(mesh, convex_parts, fill_hollows=gripper is None)
    _add_object(spec, mesh, solids, scene.base_from_object, scene.physics)
    for index, pose in enumerate(scene.other_objects):
        spec.worldbody.add_geom(name=f'instance_{index}', type=mujoco.mjtGeom.mjGEOM_MESH, meshname='object',
                                material='object', pos=pose[:3, 3], quat=mujoco_quaternion(pose[:3, :3]),
                                contype=0, conaffinity=0, group=OBJECT_GROUP)
    for index, bystander in enumerate(scene.bystanders):
        _add_bystander(spec, bystander, f'bystander_{index}', scene.physics.friction)
    if gripper is not None:
        add_hand(spec, gripper, scene.physics.friction, HAND_GROUP)
    return spec


def mujoco_quaternion(rotation: np.ndarray) -> np.ndarray:
    """MuJoCo's quaternion (w, x, y, z) of a (3, 3) rotation."""
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(rotation, dtype=float).ravel())
    return quaternion


def _set_options(spec: mujoco.MjSpec, scene: SceneSpec, camera: Camera) -> None:
    """Physics options against slip of a gripped object (MuJoCo's manual, "Preventing slip"), and image quality."""
    option, visual = spec.option, spec.visual
    option.timestep = TIMESTEP_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    option.noslip_iterations = 3
    visual.global_.offwidth, visual.global_.offheight = camera.width, camera.height
    visual.quality.shadowsize = 2048
    visual.headlight.ambient = list(scene.ambient)
    visual.headlight.diffuse = [0.0, 0.0, 0.0]
    visual.headlight.specular = [0.0, 0.0, 0.0]
    # With extent 1, near and far planes of the camera and the box of directional shadows are in metres.
    spec.stat.extent = 1.0
    spec.stat.center = [0.0, 0.0, 0.0]
    visual.map.znear, visual.map.zfar = 0.02, 20.0


def _add_room(spec: mujoco.MjSpec, room: Room, friction: float) -> None:
    """Table with its top at z = 0, floor, and walls or sky."""
    add_painted_material(spec, room.table, 'table', size=512, flat=True)
    add_painted_material(spec, room.floor, 'floor', repeat=4, flat=True)
    x, y = room.table_half_size
    half_thickness = TABLE_THICKNESS_M / 2
    spec.worldbody.add_geom(name='table', type=mujoco.mjtGeom.mjGEOM_BOX, size=[x, y, half_thickness],
                            pos=[0, 0, -half_thickness], material='table', group=ROOM_GROUP,
                            friction=[friction, 0.005, 0.0001])
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[6, 6, 1], pos=[0, 0, FLOOR_M],
                            material='floor', **_SCENERY)
    if not room.has_walls:
        add_sky(spec, room.wall)
        return
    add_painted_material(spec, room.wall, 'wall')
    for axis in (0, 1):
        size = [WALL_M, WALL_M, 1.5]
        size[axis] = 0.02
        for side in (-WALL_M, WALL_M):
            position = [0.0, 0.0, FLOOR_M + 1.5]
            position[axis] = side
            spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=size, pos=position, material='wall',
                                    **_SCENERY)


def _add_light(spec: mujoco.MjSpec, light: Light) -> None:
    kind = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL if light.directional else mujoco.mjtLightType.mjLIGHT_SPOT
    position = np.array(light.position)
    beam = np.array(light.target) - position
    added = spec.worldbody.add_light(type=kind, pos=position, dir=beam / np.linalg.norm(beam),
                                     diffuse=list(light.colour), specular=[0.4 * part for part in light.colour],
                                     ambient=[0.0, 0.0, 0.0], castshadow=light.casts_shadow, cutoff=60, exponent=2)
    if light.falloff_m is not None:
        added.attenuation = [NEAR_BRIGHTNESS, 0.0, (1.0 - NEAR_BRIGHTNESS) / light.falloff_m**2]


def _add_camera(spec: mujoco.MjSpec, base_from_camera: np.ndarray, camera: Camera) -> None:
    """Add the camera; base_from_camera is an optical frame."""
    fovy_deg = np.degrees(2 * np.arctan2(camera.height / 2, camera.fy))
    spec.worldbody.add_camera(name='camera', pos=base_from_camera[:3, 3], fovy=fovy_deg,
                              quat=mujoco_quaternion(base_from_camera[:3, :3] @ FROM_OPTICAL))


def place_camera(model: mujoco.MjModel, base_from_camera: np.ndarray) -> None:
    """Move the camera of a compiled model; the optical frame is (4, 4) ``base_from_camera``."""
    camera = model.camera('camera')
    camera.pos, camera.quat = base_from_camera[:3, 3], mujoco_quaternion(base_from_camera[:3, :3] @ FROM_OPTICAL)


def _add_distractor(spec: mujoco.MjSpec, distractor: Distractor, name: str, friction: float) -> None:
    pose = distractor.base_from_body
    add_painted_material(spec, distractor.texture, name, size=128)
    body = spec.worldbody.add_body(name=name, pos=pose[:3, 3], quat=mujoco_quaternion(pose[:3, :3]))
    body.add_freejoint()
    # Rolling friction (condim 6) lets spheres and lying cylinders come to rest.
    body.add_geom(name=name, type=_SHAPES[distractor.shape], size=distractor.size, material=name,
                  density=DENSITY_KG_M3, condim=6, friction=[friction, 0.005, ROLLING_FRICTION_M],
                  group=ROOM_GROUP)


def _add_occluder(spec: mujoco.MjSpec, occluder: Distractor, name: str) -> None:
    """Add a fixed solid without collision."""
    pose = occluder.base_from_body
    add_painted_material(spec, occluder.texture, name, size=128)
    spec.worldbody.add_geom(name=name, type=_SHAPES[occluder.shape], size=occluder.size, pos=pose[:3, 3],
                            quat=mujoco_quaternion(pose[:3, :3]), material=name, **_SCENERY)


def _add_object(spec: mujoco.MjSpec, mesh: Mesh, solids: Sequence[TouchBox | trimesh.Trimesh],
                base_from_object: np.ndarray, physics: ObjectPhysics) -> None:
    """Add the textured mesh for rendering, convex solids for collision, and its mass spread over its volume."""
    add_textured_mesh(spec, mesh, 'object')
    weight = mass_properties(mesh, physics)
    ixx, ixy, ixz, _, iyy, iyz, _, _, izz = weight.inertia.ravel()
    body = spec.worldbody.add_body(name='object', pos=base_from_object[:3, 3],
                                   quat=mujoco_quaternion(base_from_object[:3, :3]), mass=weight.mass_kg,
                                   ipos=weight.center, fullinertia=[ixx, iyy, izz, ixy, ixz, iyz],
                                   explicitinertial=True)
    body.add_freejoint()
    body.add_geom(name='object', type=mujoco.mjtGeom.mjGEOM_MESH, meshname='object', material='object',
                  mass=0, contype=0, conaffinity=0, group=OBJECT_GROUP)
    _add_solids(spec, body, solids, 'object_touch', physics.friction)


def _add_bystander(spec: mujoco.MjSpec, bystander: Bystander, name: str, friction: float) -> None:
    """An object to be seen and touched, fixed where it is."""
    add_textured_mesh(spec, bystander.mesh, name)
    pose = bystander.base_from_object
    body = spec.worldbody.add_body(name=name, pos=pose[:3, 3], quat=mujoco_quaternion(pose[:3, :3]))
    body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=name, contype=0,
                  conaffinity=0, group=ROOM_GROUP)
    _add_solids(spec, body, touch_solids(bystander.mesh, None, fill_hollows=True), f'{name}_touch', friction)


def _add_solids(spec: mujoco.MjSpec, body: mujoco.MjsBody, solids: Sequence[TouchBox | trimesh.Trimesh],
                prefix: str, friction: float) -> None:
    """What of a body can be touched."""
    for index, solid in enumerate(solids):
        name = f'{prefix}_{index}'
        if isinstance(solid, TouchBox):
            body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=solid.half_extents,
                          pos=solid.object_from_box[:3, 3], quat=mujoco_quaternion(solid.object_from_box[:3, :3]),
                          condim=4, friction=[friction, 0.005, 0.0001], group=COLLISION_GROUP)
        else:
            spec.add_mesh(name=name, uservert=solid.vertices.ravel(), userface=solid.faces.ravel())
            body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, condim=6,
                          friction=[friction, 0.005, ROLLING_FRICTION_M], group=COLLISION_GROUP)
