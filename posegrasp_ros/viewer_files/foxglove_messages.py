# SPDX-License-Identifier: Apache-2.0
"""A shown frame as the messages of :mod:`posegrasp_ros.viewer_files.foxglove_schemas`."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import make_transform, quaternion_from_matrix, rotation_from_vector
from posegrasp_ros.viewer_files.foxglove_schemas import PRIMITIVES
from posegrasp_ros.viewer_files.shown_frame import (
    AXIS_COLOURS,
    ELLIPSOID_COLOUR,
    FIGURE_NAMES,
    GRASP_COLOUR,
    MESH_OPACITY,
    OTHER_GRASP_COLOUR,
    TRUTH_COLOUR,
    Colour,
    ShownFrame,
    ShownObject,
)

Message = dict[str, Any]
BASE, CAMERA = 'base', 'camera'
LINE_LIST, DELETE_ALL = 2, 1
LINE_PX, SHAFT_SHARE = 2.0, 0.02
# glTF has y up; Foxglove turns what it reads, so that z is up again.
GLTF_FROM_OBJECT = make_transform(rotation_from_vector((-np.pi / 2, 0.0, 0.0)))


def image(stamp_ns: int, jpeg: bytes) -> Message:
    """foxglove.CompressedImage."""
    return {'timestamp': _time(stamp_ns), 'frame_id': CAMERA, 'data': _base64(jpeg), 'format': 'jpeg'}


def calibration(stamp_ns: int, camera: Camera) -> Message:
    """foxglove.CameraCalibration of a camera without distortion."""
    matrix = camera.matrix
    return {'timestamp': _time(stamp_ns), 'frame_id': CAMERA, 'width': camera.width, 'height': camera.height,
            'distortion_model': 'plumb_bob', 'D': 5 * [0.0], 'K': matrix.ravel().tolist(),
            'R': np.eye(3).ravel().tolist(),
            'P': np.column_stack([matrix, np.zeros(3)]).ravel().tolist()}


def transforms(frame: ShownFrame) -> list[Message]:
    """foxglove.FrameTransform of camera, estimated poses and true poses."""
    found = [] if frame.base_from_camera is None else [(BASE, CAMERA, frame.base_from_camera)]
    for each in frame.objects:
        found += [(CAMERA, pose_frame(each, rank), pose.camera_from_object)
                  for rank, pose in enumerate(each.poses)]
        found += [(CAMERA, f'{each.title}_truth{_number(rank)}', truth) for rank, truth in enumerate(each.truths)]
    return [{'timestamp': _time(frame.stamp_ns), 'parent_frame_id': parent, 'child_frame_id': child,
             'translation': _vector(transform[:3, 3]), 'rotation': _quaternion(transform[:3, :3])}
            for parent, child, transform in found]


def pose_frame(shown: ShownObject, rank: int) -> str:
    """Name of the frame of an object's pose."""
    return f'{shown.title}{_number(rank)}'


def meshes(stamp_ns: int, models: dict[str, bytes]) -> Message:
    """foxglove.SceneUpdate of all meshes that are shown from now on; each follows its frame.

    :param models: by frame the mesh as :func:`model_file`
    """
    entities = [_entity(stamp_ns, name, name, frame_locked=True, models=[{
        'pose': _pose(np.eye(4)), 'scale': _vector(np.ones(3)), 'color': _colour((1.0, 1.0, 1.0, 1.0)),
        'override_color': False, 'url': '', 'media_type': 'model/gltf-binary', 'data': _base64(data)}])
        for name, data in models.items()]
    return {'deletions': [{'timestamp': _time(stamp_ns), 'type': DELETE_ALL, 'id': ''}], 'entities': entities}


def scene(frame: ShownFrame) -> Message:
    """foxglove.SceneUpdate of axes, ellipsoids, true poses and grasps, in the place of those before."""
    return {'deletions': [], 'entities': [_drawn(frame.stamp_ns, each) for each in frame.objects]}


def figures(stamp_ns: int, shown: ShownObject) -> Message:
    """An object's figures; null where they are not known."""
    values = {name: shown.figure(name) for name in FIGURE_NAMES}
    return {'timestamp': _time(stamp_ns), 'object': shown.name, 'reason': shown.reason,
            **{name: value if math.isfinite(value) else None for name, value in values.items()}}


def model_file(mesh: Mesh) -> bytes:
    """The textured mesh as binary glTF."""
    picture = Image.fromarray(mesh.texture[:, :, ::-1])
    # A mesh of one colour needs some place in its texture of one pixel.
    uv = np.full((len(mesh.vertices), 2), 0.5) if mesh.uv is None else mesh.uv
    visual = TextureVisuals(uv, material=PBRMaterial(
        baseColorTexture=picture, baseColorFactor=[255, 255, 255, round(255 * MESH_OPACITY)], alphaMode='BLEND',
        metallicFactor=0.0, roughnessFactor=1.0))
    textured = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False, visual=visual)
    textured.apply_transform(GLTF_FROM_OBJECT)
    content = io.BytesIO()
    textured.export(content, file_type='glb')
    return content.getvalue()


def _drawn(stamp_ns: int, shown: ShownObject) -> Message:
    lines = [_lines(truth, TRUTH_COLOUR) for truth in shown.truth_lines]
    lines += [_lines(grasp.lines, OTHER_GRASP_COLOUR if rank else GRASP_COLOUR)
              for rank, grasp in enumerate(shown.grasps)]
    spheres = [] if shown.ellipsoid is None else [{
        'pose': _pose(make_transform(shown.ellipsoid.rotation, shown.ellipsoid.centre)),
        'size': _vector(2 * shown.ellipsoid.radii), 'color': _colour(ELLIPSOID_COLOUR)}]
    arrows = [arrow for pose in shown.poses for arrow in _axes(pose.camera_from_object, shown.axis_length_m)]
    return _entity(stamp_ns, CAMERA, shown.title, lines=lines, spheres=spheres, arrows=arrows)


def _axes(transform: np.ndarray, length_m: float) -> list[Message]:
    """Arrows, which point along x of their own poses."""
    turns = (np.eye(3), rotation_from_vector((0.0, 0.0, np.pi / 2)), rotation_from_vector((0.0, -np.pi / 2, 0.0)))
    thick = SHAFT_SHARE * length_m
    return [{'pose': _pose(transform @ make_transform(turn)), 'shaft_length': 0.85 * length_m,
             'shaft_diameter': thick, 'head_length': 0.15 * length_m, 'head_diameter': 3 * thick,
             'color': _colour(colour)} for turn, colour in zip(turns, AXIS_COLOURS)]


def _lines(lines: np.ndarray, colour: Colour) -> Message:
    """Lines (L, 2, 3) as thick on the screen from everywhere."""
    return {'type': LINE_LIST, 'pose': _pose(np.eye(4)), 'thickness': LINE_PX, 'scale_invariant': True,
            'points': [_vector(point) for point in lines.reshape(-1, 3)], 'color': _colour(colour), 'colors': [],
            'indices': []}


def _entity(stamp_ns: int, frame_id: str, name: str, frame_locked: bool = False, **primitives: Any) -> Message:
    return {'timestamp': _time(stamp_ns), 'frame_id': frame_id, 'id': name, 'lifetime': {'sec': 0, 'nsec': 0},
            'frame_locked': frame_locked, 'metadata': [],
            **{kind: primitives.get(kind, []) for kind in PRIMITIVES}}


def _number(rank: int) -> str:
    return f'_{rank + 1}' if rank else ''


def _time(stamp_ns: int) -> Message:
    sec, nsec = divmod(stamp_ns, 1_000_000_000)
    return {'sec': sec, 'nsec': nsec}


def _pose(transform: np.ndarray) -> Message:
    return {'position': _vector(transform[:3, 3]), 'orientation': _quaternion(transform[:3, :3])}


def _vector(values: np.ndarray) -> Message:
    return dict(zip('xyz', np.asarray(values, dtype=float).tolist()))


def _quaternion(rotation: np.ndarray) -> Message:
    return dict(zip('xyzw', np.asarray(quaternion_from_matrix(rotation), dtype=float).tolist()))


def _colour(colour: Sequence[float]) -> Message:
    return dict(zip('rgba', colour))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode('ascii')
