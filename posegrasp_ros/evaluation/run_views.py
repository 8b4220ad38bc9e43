# SPDX-License-Identifier: Apache-2.0
"""RunViews: the frames of a run with the answers of the method that it is about, for viewers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.frame_sources import SourcedFrame
from posegrasp_ros.evaluation.frame_answers import Answer
from posegrasp_ros.evaluation.method import of_object
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.viewer_files.shown_frame import ShownFrame, ShownObject, shown_grasps
from posegrasp_ros.viewer_files.viewer_files import Shows, ViewerFiles


@dataclass(frozen=True)
class RunViews:
    """What a run shows, and where.

    :param grippers: of the objects whose grasps are planned, by name
    """

    files: ViewerFiles = field(default_factory=ViewerFiles)
    grippers: Mapping[str, EndEffector] = field(default_factory=dict)

    def opened(self) -> AbstractContextManager[Shows | None]:
        """What writes a frame; None where nothing is asked for."""
        return self.files.opened() if self.files.paths else nullcontext()

    def shown(self, item: SourcedFrame, frame: BagFrame, answers: Mapping[str, Answer], metrics: RunMetrics,
              meshes: Mapping[str, Mesh]) -> ShownFrame:
        """A frame that was measured.

        :param answers: by object
        :param metrics: that it was measured with
        :param meshes: of the objects by name, as far as they are known
        """
        image = item.undecoded.decode().image if frame.image is None else frame.image
        stamp_ns = frame.stamp_ns + item.shift_ns
        return ShownFrame(stamp_ns, image, frame.camera, frame.base_from_camera, [ShownObject(
            name, meshes.get(name), answer.estimation.poses, of_object(frame, name).truths,
            shown_grasps(answer.grasps, self.grippers.get(name), frame.base_from_camera),
            answer.perception.reason, _figures(answer, metrics, stamp_ns)) for name, answer in answers.items()])


def _figures(answer: Answer, metrics: RunMetrics, stamp_ns: int) -> dict[str, float]:
    numbers, errors = answer.perception.numbers, metrics.errors(stamp_ns, answer.perception.object)
    figures = {name: numbers.get(name, math.nan) for name in ('score', 'latency_ms')}
    if errors:
        figures |= {'position_error_mm': 1000 * errors.position_m,
                    'rotation_error_deg': math.degrees(errors.rotation_rad)}
    return figures
