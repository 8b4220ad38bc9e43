# SPDX-License-Identifier: Apache-2.0
"""RerunFile: shown frames as a recording of Rerun, with the layout to look at it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import rerun
import rerun.blueprint as layout

from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import quaternion_from_matrix
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
from posegrasp_ros.viewer_files.viewer_image import ViewerImage

APPLICATION, TIMELINE = 'posegrasp', 'stamp'
# Objects lie beside the image, not below it: what lies below a pinhole camera is taken for flat.
CAMERA, IMAGE, FIGURES = 'camera', 'camera/image', 'figures'
IMAGE_PLANE_M = 0.2


class RerunFile:
    """Writes frames; :meth:`close` completes the file."""

    def __init__(self, path: Path):
        self._stream = rerun.RecordingStream(APPLICATION)
        self._stream.save(path, _layout())
        self._stream.log(CAMERA, rerun.ViewCoordinates.RDF, static=True)
        self._meshes: set[str] = set()

    def add(self, frame: ShownFrame, image: ViewerImage) -> None:
        """Write a frame."""
        self._stream.set_time(TIMELINE, timestamp=np.datetime64(frame.stamp_ns, 'ns'))
        # What is not known must not stay as it was.
        self._stream.log(CAMERA, rerun.Clear(recursive=False) if frame.base_from_camera is None
                         else _transform(frame.base_from_camera))
        if image.jpeg is None:
            self._stream.log(IMAGE, rerun.Clear(recursive=False))
        if image.camera is not None:
            self._stream.log(IMAGE, rerun.Pinhole(
                image_from_camera=image.camera.matrix, width=image.camera.width, height=image.camera.height,
                camera_xyz=rerun.ViewCoordinates.RDF, image_plane_distance=IMAGE_PLANE_M))
        if image.jpeg is not None:
            self._stream.log(IMAGE, rerun.EncodedImage(contents=image.jpeg, media_type='image/jpeg'))
        shown: dict[str, Mesh | None] = {}
        for each in frame.objects:
            shown |= self._add_object(each)
        self._change_meshes(shown)

    def close(self) -> None:
        """Complete the file."""
        self._stream.flush()
        self._stream.disconnect()

    def _add_object(self, shown: ShownObject) -> dict[str, Mesh | None]:
        """Log an object; its poses' places with what is to be seen there."""
        place = f'{CAMERA}/{shown.title}'
        places: dict[str, Mesh | None] = {}
        for rank, pose in enumerate(shown.poses):
            places[f'{place}/pose_{rank + 1}'] = shown.mesh
            self._stream.log(f'{place}/pose_{rank + 1}', _transform(pose.camera_from_object), rerun.Arrows3D(
                vectors=shown.axis_length_m * np.eye(3), colors=[_rgba(colour) for colour in AXIS_COLOURS]))
        for rank, truth in enumerate(shown.truths):
            self._stream.log(f'{place}/truth_{rank + 1}/frame', _transform(truth))
        self._stream.log(f'{place}/truths', rerun.LineStrips3D(
            [line for lines in shown.truth_lines for line in lines], colors=[_rgba(TRUTH_COLOUR)]))
        self._stream.log(f'{place}/grasps', rerun.LineStrips3D(
            [line for grasp in shown.grasps for line in grasp.lines],
            colors=[_rgba(OTHER_GRASP_COLOUR if rank else GRASP_COLOUR)
                    for rank, grasp in enumerate(shown.grasps) for _ in grasp.lines]))
        if shown.ellipsoid is None:
            self._stream.log(f'{place}/ellipsoid', rerun.Clear(recursive=False))
        else:
            self._stream.log(f'{place}/ellipsoid', rerun.Ellipsoids3D(
                half_sizes=[shown.ellipsoid.radii], centers=[shown.ellipsoid.centre],
                quaternions=[_quaternion(shown.ellipsoid.rotation)], colors=[_rgba(ELLIPSOID_COLOUR)],
                fill_mode='solid'))
        for name in FIGURE_NAMES:
            value = shown.figure(name)
            if math.isfinite(value):
                self._stream.log(f'{FIGURES}/{name}/{shown.title}', rerun.Scalars(value))
        self._stream.log(f'{FIGURES}/reason/{shown.title}', rerun.TextLog(shown.reason or 'found'))
        return places

    def _change_meshes(self, shown: dict[str, Mesh | None]) -> None:
        """Log the meshes that come into view, clear those that leave it: they are large, and stay."""
        for place in self._meshes - shown.keys():
            self._stream.log(place, rerun.Clear(recursive=True))
        for place in shown.keys() - self._meshes:
            mesh = shown[place]
            if mesh is not None:
                self._stream.log(f'{place}/mesh', _mesh(mesh))
        self._meshes = set(shown)


def _layout() -> layout.Blueprint:
    """Image with what is drawn into it, space, and figures below."""
    return layout.Blueprint(layout.Vertical(
        layout.Horizontal(layout.Spatial2DView(origin=IMAGE, contents=['/**'], name='image'),
                          layout.Spatial3DView(origin='/', name='space')),
        layout.Horizontal(*[layout.TimeSeriesView(origin=f'{FIGURES}/{name}', name=name)
                            for name in FIGURE_NAMES]),
        row_shares=[3, 1]), collapse_panels=True)


def _mesh(mesh: Mesh) -> rerun.Mesh3D:
    # Their v points down.
    uv = np.full((len(mesh.vertices), 2), 0.5) if mesh.uv is None else mesh.uv * (1, -1) + (0, 1)
    return rerun.Mesh3D(vertex_positions=mesh.vertices, triangle_indices=mesh.faces, vertex_texcoords=uv,
                        albedo_texture=np.ascontiguousarray(mesh.texture[:, :, ::-1]),
                        albedo_factor=_rgba((1.0, 1.0, 1.0, MESH_OPACITY)))


def _transform(transform: np.ndarray) -> rerun.Transform3D:
    return rerun.Transform3D(translation=transform[:3, 3], quaternion=_quaternion(transform[:3, :3]))


def _quaternion(rotation: np.ndarray) -> rerun.Quaternion:
    return rerun.Quaternion(xyzw=quaternion_from_matrix(rotation))


def _rgba(colour: Colour) -> list[int]:
    return [round(255 * part) for part in colour]
