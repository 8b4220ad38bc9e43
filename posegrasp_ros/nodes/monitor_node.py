"""Monitor node: joins what all stages say, compares it with the baselines, keeps it in a run folder.

A robot tells how a pick went with one ``diagnostic_msgs/DiagnosticArray`` on ``execution_report``, in the shape of
every stage report::

    header.stamp   stamp of the image that the pick came from: that of ~/best_grasp, ~/approach and ~/gripper
    status         exactly one:
      name         'posegrasp: execution'
      level        OK when the object was lifted, else ERROR
      message      empty when lifted, else a short word such as 'missed', 'slipped', 'collided'
      values       named numbers as text, any or none: {key: 'latency_ms', value: '5230.0'}
"""

from __future__ import annotations

import datetime
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from sensor_msgs.msg import CameraInfo

from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.metrics.baselines import load_ledger
from posegrasp_ros.metrics.liveness import ERROR, OK, Health, Liveness
from posegrasp_ros.metrics.pose_errors import ErrorTarget
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.provenance import describe_run
from posegrasp_ros.resources import resource_path
from posegrasp_ros.ros import messages, qos
from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode, run_node
from posegrasp_ros.ros.messages import stamp_ns
from posegrasp_ros.ros.parameters import parameter
from posegrasp_ros.run_folder import RunFolder, RunFolderError

DIAGNOSTICS_EVERY_S = 1.0
# A summary looks at all images again, so its cost grows with the run.
MOST_TIME_SHARE = 0.05


@dataclass(frozen=True)
class MonitorParameters:
    """Parameters of the monitor node; they count from the next configure on."""

    model: str = parameter('', 'Folder with model.yaml. Empty: the box that comes with the package.')
    baselines: str = parameter('', 'Ledger of baselines. Empty: the one that comes with the package.')
    out: str = parameter('', 'Run folder. Empty: runs/<time> where the node was started.')
    estimator: str = parameter('', 'What perception uses, for the summary alone. Empty: not stated.')
    seed: int = parameter(-1, 'Seed of the run, for the summary alone. -1: not stated.', minimum=-1,
                          maximum=2**31 - 1)
    silence_s: float = parameter(2.0, 'After how long a stage counts as silent.', minimum=0.1, maximum=60.0)
    summary_every_s: float = parameter(
        10.0, 'How often to write the summary and publish the verdict; less often where that takes more than a '
        'twentieth of the time.', minimum=1.0, maximum=3600.0)


class MonitorNode(AutostartLifecycleNode):
    """Wires the metrics to the reports of all stages."""

    PARAMETERS = MonitorParameters
    parameters: MonitorParameters

    def __init__(self, **options):
        super().__init__('monitor', **options)

    def configure(self) -> None:
        card = load_model_card(self.parameters.model or resource_path('models/box'))
        target = ErrorTarget.from_mesh(card.mesh, card.symmetry, card.tolerance)
        self._metrics = RunMetrics(target, load_ledger(self.parameters.baselines or None))
        self._liveness = Liveness(self.parameters.silence_s)
        self._provenance = describe_run(card, seed=self.parameters.seed if self.parameters.seed >= 0 else None)
        self._rest_until_s = 0.0
        self._newest_ns = 0
        # Of each second the newest image; those of silence_s ago should have their answers by now.
        self._recent: deque[tuple[float, int]] = deque()
        self._folder, self._folder_error = self._open_folder()
        self._diagnostics_out = self.publisher(DiagnosticArray, '/diagnostics', qos.RESULT)
        self._verdict_out = self.publisher(DiagnosticArray, '~/verdict', qos.LATCHED)

    def activate(self) -> None:
        self.subscribe_sensor(messages.CAMERA_INFO, 'camera_info', self.on_camera_info, qos.SENSOR)
        self.subscribe_sensor(messages.GROUND_TRUTH, 'ground_truth', self.on_ground_truth, qos.SENSOR)
        self.subscribe(PoseWithCovarianceStamped, 'pose', self.on_pose, qos.COUNTED)
        for stage in ('perception', 'planning', 'execution'):
            self.subscribe(DiagnosticArray, f'{stage}_report', self.on_report, qos.COUNTED)
        self.every(DIAGNOSTICS_EVERY_S, self.publish_diagnostics)
        self.every(self.parameters.summary_every_s, self.publish_verdict)

    def deactivate(self) -> None:
        """Write what is known, all images included."""
        self._write(lambda: self._folder.write_summary(self._summary()))

    def cleanup(self) -> None:
        if self._folder:
            self._write(self._folder.close)
            self._folder = None

    def on_camera_info(self, message: CameraInfo) -> None:
        stamp = stamp_ns(message.header.stamp)
        self._newest_ns = max(self._newest_ns, stamp)
        self._metrics.add_image(stamp)
        self._liveness.image(stamp, time.monotonic())

    def on_ground_truth(self, message: PoseStamped) -> None:
        self._metrics.add_truth(stamp_ns(message.header.stamp), messages.transform_from(message.pose))

    def on_pose(self, message: PoseWithCovarianceStamped) -> None:
        # As it is: unlike the planner, who must not use a covariance that is none, the metrics count it as wrong.
        covariance = np.asarray(message.pose.covariance, dtype=float).reshape(6, 6)
        self._metrics.add_estimate(stamp_ns(message.header.stamp), messages.transform_from(message.pose.pose),
                                   covariance)

    def on_report(self, message: DiagnosticArray) -> None:
        report = messages.report_from(message)
        self._newest_ns = max(self._newest_ns, report.stamp_ns)
        self._metrics.add_report(report)
        self._liveness.report(report, time.monotonic())
        self._write(lambda: self._folder.append(report))

    def publish_diagnostics(self) -> None:
        """Say once a second how the camera, every stage and the run folder are."""
        now_s = time.monotonic()
        self._recent.append((now_s, self._newest_ns))
        folder = Health('run folder', ERROR if self._folder_error else OK,
                        self._folder_error or str(self._folder.path))
        self._diagnostics_out.publish(messages.to_diagnostics(
            self.get_clock().now().to_msg(), self.get_name(), [*self._liveness.health(now_s), folder]))

    def publish_verdict(self) -> None:
        """Compare with the baselines all images that had time to be answered, unless it was too dear just now."""
        started_s = time.monotonic()
        if started_s < self._rest_until_s:
            return
        summary = self._summary(self._settled_ns())
        self._verdict_out.publish(messages.to_verdicts(self.get_clock().now().to_msg(), summary))
        self._write(lambda: self._folder.write_summary(summary))
        self._rest_until_s = started_s + (time.monotonic() - started_s) / MOST_TIME_SHARE

    def _summary(self, until_ns: int | None = None) -> dict:
        """The run so far, up to a stamp."""
        summary = self._metrics.summary(self._provenance, until_ns=until_ns)
        return {**summary, 'estimator': self.parameters.estimator} if self.parameters.estimator else summary

    def _settled_ns(self) -> int:
        """Stamp of the newest image older than the silence that is allowed."""
        limit_s = time.monotonic() - self.parameters.silence_s
        while len(self._recent) > 1 and self._recent[1][0] < limit_s:
            self._recent.popleft()
        return self._recent[0][1] if self._recent and self._recent[0][0] < limit_s else 0

    def _open_folder(self) -> tuple[RunFolder | None, str]:
        """The run folder, or why there is none: a monitor without a disk still monitors."""
        path = Path(self.parameters.out or f'runs/{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}').absolute()
        try:
            folder = RunFolder(path)
        except RunFolderError as error:
            self.get_logger().error(f'{error}; the node goes on without it')
            return None, str(error)
        self.get_logger().info(f'run folder: {path}')
        return folder, ''

    def _write(self, step: Callable[[], None]) -> None:
        """Write to the run folder; a full disk is reported and never stops the node."""
        if self._folder is None:
            return
        try:
            step()
            self._folder_error = ''
        except OSError as error:
            self._folder_error = f'{self._folder.path}: {error.strerror or error}'
            self.get_logger().error(f'{self._folder_error}; the node goes on', throttle_duration_sec=5.0)


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    return run_node(MonitorNode, arguments)


if __name__ == '__main__':
    sys.exit(main())
