# SPDX-License-Identifier: Apache-2.0
"""Snapshots: watched frames kept as cases, an image and what was said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import quaternion_from_matrix
from posegrasp_ros.runtime.atomic_file import write_whole
from posegrasp_ros.watch.saved_pictures import Draws, write_png
from posegrasp_ros.watch.watch_error import WatchError
from posegrasp_ros.watch.watched_frame import WatchedFrame

FORMAT = 'posegrasp.snapshot/1'


class Snapshots:
    """Writes NAME.png (the image as it came), NAME_drawn.png and NAME.json to a folder, which is made when needed.

    :param source: what is watched
    :param draws: the picture
    """

    def __init__(self, folder: Path, source: str, card: ModelCard, draws: Draws):
        self.folder, self._source, self._card, self._draws = folder, source, card, draws

    def keep(self, watched: WatchedFrame) -> Path:
        """Write a frame; the path of its JSON file.

        :raises WatchError: when its image could not be decoded
        :raises OSError: when a file cannot be written
        """
        image, picture = watched.frame.image, self._draws(watched)
        if image is None or picture is None:
            raise WatchError(f'snapshot: expected a frame with an image, got {watched.rejected}')
        self.folder.mkdir(parents=True, exist_ok=True)
        name = self._free_name(watched.frame.stamp_ns)
        write_png(self.folder / f'{name}.png', image)
        write_png(self.folder / f'{name}_drawn.png', picture)
        path = self.folder / f'{name}.json'
        write_whole(path, json.dumps(self._case(watched, f'{name}.png'), indent=1) + '\n')
        return path

    def _free_name(self, stamp_ns: int) -> str:
        """A name by the stamp that no file has."""
        name, number = str(stamp_ns), 1
        while (self.folder / f'{name}.json').exists():
            number += 1
            name = f'{stamp_ns}_{number}'
        return name

    def _case(self, watched: WatchedFrame, image_name: str) -> dict[str, Any]:
        outcome, planned = watched.perceived.outcome, watched.planned
        stamp_ns = watched.frame.stamp_ns
        return {
            'format': FORMAT, 'source': self._source, 'model': self._card.identity,
            'frame': watched.number, 'image': image_name, 'camera': _camera(watched.frame.camera),
            'poses': [{'position_m': pose.camera_from_object[:3, 3].tolist(),
                       'quaternion_xyzw': quaternion_from_matrix(pose.camera_from_object[:3, :3]).tolist(),
                       'score': float(pose.score), 'covariance': pose.covariance.tolist()}
                      for pose in watched.poses],
            'perception': outcome.report('perception', stamp_ns).to_dict(),
            'planning': planned.outcome.report('planning', stamp_ns).to_dict() if planned else None,
        }


def _camera(camera: Camera | None) -> dict[str, Any] | None:
    """As sensor_msgs/CameraInfo."""
    if camera is None:
        return None
    return {'width': camera.width, 'height': camera.height, 'distortion_model': camera.model,
            'k': camera.matrix.ravel().tolist(), 'd': camera.distortion.tolist()}
