# SPDX-License-Identifier: Apache-2.0
"""What the monitor node takes."""

from __future__ import annotations

from dataclasses import dataclass

from posegrasp_ros.faults.correction_file import read_corrections
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.monitoring.live_run import MOST_IMAGES
from posegrasp_ros.ros.parameter_checks import are_models, is_file, is_gripper, is_model
from posegrasp_ros.ros.parameters import parameter


@dataclass(frozen=True)
class MonitorParameters:
    """Parameters of the monitor node; they count from the next configure on."""

    model: str = parameter(
        '', 'Folder with model.yaml. Empty: the box that comes with the package.', check=is_model)
    models: tuple[str, ...] = parameter(
        (), 'Several such folders, in place of model, as for perception: each object is measured, and all '
        'together.', check=are_models)
    gripper: str = parameter(
        '', 'Gripper file or name, as for the planner. Empty: franka_hand.', check=is_gripper)
    grasps: str = parameter(
        '', "Grasp set, as for the planner. Empty: the model's. Only with one model.", check=is_file)
    baselines: str = parameter(
        '', 'Baselines file. Empty: the one that comes with the package.', check=load_baselines)
    any_poses: bool = parameter(
        False, 'The topic pose is of any other node, with no perception_report: PoseStamped, '
        'PoseWithCovarianceStamped, PoseArray, TransformStamped, Odometry, vision_msgs/Detection3DArray, '
        'Detection2DArray with poses or, as /tf, TFMessage. Each message counts as a report on the image with its '
        'stamp.')
    pose_classes: tuple[str, ...] = parameter(
        (), 'With any_poses: class id of each object in messages that name one, or its frame in /tf. Empty: the '
        "objects' names, any class of a single one.")
    corrections: str = parameter(
        '', 'corrections.yaml of a run of posegrasp evaluate, applied to the poses of any_poses; not to their '
        'stamps. Empty: none.', check=read_corrections)
    out: str = parameter(
        '', 'Run folder; where it holds a run, <out>-2 and so on. Empty: runs/<time> where the node was started.')
    most_megabytes: int = parameter(
        1000, 'Of reports in the run folder; beyond it the oldest are deleted. 0: all are kept.', minimum=0,
        maximum=1_000_000)
    estimator: str = parameter('', 'Estimator that perception uses, only for the summary. Empty: not stated.')
    seed: int = parameter(-1, 'Seed of the run, only for the summary. -1: not stated.', minimum=-1,
                          maximum=2**31 - 1)
    silence_s: float = parameter(
        1.5, 'After how long a stage with an overdue report is silent, and a camera without images stale.',
        minimum=0.1, maximum=60.0)
    summary_every_s: float = parameter(
        120.0, 'How often to write the summary; less often where that takes more than a fiftieth of the time.',
        minimum=1.0, maximum=3600.0)
    most_images: int = parameter(
        MOST_IMAGES, 'Images that a summary looks back on; verdicts look back on all.', minimum=1000,
        maximum=10_000_000)
    block_s: float = parameter(
        1.0, 'Images within this many seconds count as one observation for verdicts: as long as a scene is '
        'static.', minimum=0.001, maximum=3600.0)
    truth_sigma_mm: tuple[float, ...] = parameter(
        (), 'Standard deviations of the ground truth across x, y and along the line of sight, or one for all. '
        'Empty: as stated by the ground truth, but 0 if truth_sigma_deg is given.')
    truth_sigma_deg: tuple[float, ...] = parameter(
        (), 'The same for its rotation about these axes. Empty: 0 if truth_sigma_mm is given.')
    prometheus_port: int = parameter(
        0, 'Port of the Prometheus endpoint, /metrics over HTTP. 0: none.', minimum=0, maximum=65535)
    prometheus_address: str = parameter(
        '127.0.0.1', 'IP address of the Prometheus endpoint. 127.0.0.1 or empty: this machine only; 0.0.0.0: all '
        'interfaces.')
