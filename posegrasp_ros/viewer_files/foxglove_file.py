# SPDX-License-Identifier: Apache-2.0
"""FoxgloveFile: shown frames as an MCAP file that Foxglove opens without ROS, meshes and all."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from mcap.writer import CompressionType, Writer

from posegrasp_ros.viewer_files import foxglove_messages
from posegrasp_ros.viewer_files.foxglove_schemas import FIGURES, SCHEMAS
from posegrasp_ros.viewer_files.shown_frame import ShownFrame
from posegrasp_ros.viewer_files.viewer_files import LIBRARY
from posegrasp_ros.viewer_files.viewer_image import ViewerImage

IMAGE_TOPIC, CAMERA_TOPIC, FRAMES_TOPIC = '/camera/image', '/camera/calibration', '/tf'
MESH_TOPIC, SCENE_TOPIC, FIGURES_TOPIC = '/meshes', '/scene', '/figures'


class FoxgloveFile:
    """Writes frames; :meth:`close` completes the file.

    :raises OSError: when the file cannot be written
    """

    def __init__(self, path: Path):
        self._writer = Writer(str(path), compression=CompressionType.ZSTD)
        self._writer.start(profile='', library=LIBRARY)
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._meshes: frozenset[str] = frozenset()
        self._model_file = lru_cache(foxglove_messages.model_file)

    def add(self, frame: ShownFrame, image: ViewerImage) -> None:
        """Write a frame."""
        stamp_ns = frame.stamp_ns
        if image.jpeg is not None:
            self._write(IMAGE_TOPIC, 'foxglove.CompressedImage', stamp_ns,
                        foxglove_messages.image(stamp_ns, image.jpeg))
        if image.camera is not None:
            self._write(CAMERA_TOPIC, 'foxglove.CameraCalibration', stamp_ns,
                        foxglove_messages.calibration(stamp_ns, image.camera))
        for transform in foxglove_messages.transforms(frame):
            self._write(FRAMES_TOPIC, 'foxglove.FrameTransform', stamp_ns, transform)
        self._write_meshes(frame)
        self._write(SCENE_TOPIC, 'foxglove.SceneUpdate', stamp_ns, foxglove_messages.scene(frame))
        for shown in frame.objects:
            topic = f'{FIGURES_TOPIC}/{shown.name}' if shown.name else FIGURES_TOPIC
            self._write(topic, FIGURES, stamp_ns, foxglove_messages.figures(stamp_ns, shown))

    def close(self) -> None:
        """Complete the file."""
        self._writer.finish()

    def _write_meshes(self, frame: ShownFrame) -> None:
        """All meshes in view, but only where those in view change: they are large.

        Their last message then tells what is in view at any time, which is what Foxglove reads after a jump.
        """
        shown = {foxglove_messages.pose_frame(each, rank): each.mesh for each in frame.objects
                 if each.mesh is not None for rank in range(len(each.poses))}
        if self._meshes == shown.keys():
            return
        self._meshes = frozenset(shown)
        models = {name: self._model_file(mesh) for name, mesh in shown.items()}
        self._write(MESH_TOPIC, 'foxglove.SceneUpdate', frame.stamp_ns,
                    foxglove_messages.meshes(frame.stamp_ns, models))

    def _write(self, topic: str, schema: str, stamp_ns: int, message: dict[str, Any]) -> None:
        if topic not in self._channels:
            if schema not in self._schemas:
                self._schemas[schema] = self._writer.register_schema(
                    schema, 'jsonschema', json.dumps(SCHEMAS[schema]).encode())
            self._channels[topic] = self._writer.register_channel(topic, 'json', self._schemas[schema])
        self._writer.add_message(self._channels[topic], stamp_ns, json.dumps(message, allow_nan=False).encode(),
                                 stamp_ns)
