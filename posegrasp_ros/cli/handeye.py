# SPDX-License-Identifier: Apache-2.0
"""``posegrasp handeye``: where a camera is mounted on or beside an arm, and whether that still holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from posegrasp_ros.cli.options import File, Folder, Frame, Threads, Topic, option
from posegrasp_ros.datasets.base_frame import BASE_FRAME
from posegrasp_ros.runtime.console import show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE, GATE_FAILED
from posegrasp_ros.runtime.interrupt import exit_code

EXAMPLES = """Examples:
  posegrasp handeye recording --mounting eye-in-hand --target charuco:11x8:25:18 --tool-frame tool0
  posegrasp handeye recording --mounting eye-to-hand --target board.yaml --arm arm_poses.csv
  posegrasp handeye recording --mounting eye-in-hand --target box --out calibration
  posegrasp handeye later --check handeye/handeye.yaml --target board.yaml

Record the camera's images, camera_info and /tf while the arm moves to 12 to 20 poses and rests at each for a
second; turn the tool by 30 degrees or more about at least two of its axes, with the target in view. Eye-in-hand:
the target stays still and the arm carries the camera. Eye-to-hand: the arm carries the target.

Writes handeye.yaml (pose and covariance; the planner, feasibility and --check read it), camera_mount.launch.py,
camera_mount.urdf and report.html. Exit code 3: --check finds that the calibration no longer holds."""
DEFAULT_OUT = Path('handeye')
TargetText = Annotated[str, option('TARGET')]


def handeye(bag: Path, /, *,
            target: TargetText,
            mounting: Literal['eye-in-hand', 'eye-to-hand'] | None = None,
            base_frame: Frame = BASE_FRAME,
            tool_frame: Frame = 'tool0',
            camera_frame: Frame | None = None,
            arm: Annotated[str | None, option('CSV|TOPIC')] = None,
            out: Folder = DEFAULT_OUT,
            check: File | None = None,
            image_topic: Topic | None = None,
            camera_info_topic: Topic | None = None,
            rectified: Literal['auto', 'yes', 'no'] = 'auto',
            threads: Threads = None) -> int:
    """Calibrate where a camera is mounted, from a recording in which an arm moves the camera or the target.

    :param bag: rosbag2 folder, .mcap or .db3 file (also .zstd), ROS 1 .bag
    :param target: board.yaml of posegrasp board, charuco:COLUMNSxROWS:SQUARE_MM:MARKER_MM[:DICTIONARY],
        chessboard:COLUMNSxROWS:SQUARE_MM (squares, not inner corners), apriltag:FAMILY:NUMBER:SIDE_MM, or a model
        whose object has no symmetry
    :param mounting: eye-in-hand if the arm carries the camera, eye-to-hand if it carries the target
    :param base_frame: base frame of the arm in /tf
    :param tool_frame: frame of the arm in /tf that carries camera or target
    :param camera_frame: name of the camera's optical frame; default: that of the images
    :param arm: poses of the tool in the base frame, instead of /tf: a topic of poses, or a CSV file as for
        posegrasp evaluate --ground-truth
    :param out: folder to write
    :param check: instead of calibrating, check whether this calibration still holds
    :param image_topic: topic of the images, if the guess is wrong
    :param camera_info_topic: topic of their camera_info, if the guess is wrong
    :param rectified: whether the images are rectified, so that P of camera_info is used instead of K and D; auto:
        from the names of topic and frame, image_rect or image_raw
    """
    from posegrasp_ros.datasets.bag_topics import BagTopics
    from posegrasp_ros.datasets.frame_sources import SourceOptions
    from posegrasp_ros.handeye.arm_track import track_of_bag, track_of_file
    from posegrasp_ros.handeye.calibrate import calibrate
    from posegrasp_ros.handeye.calibration_file import load_mounted_camera, mounted_camera
    from posegrasp_ros.handeye.recorded_samples import record_samples
    from posegrasp_ros.handeye.sample import Mounting
    from posegrasp_ros.handeye.targets.target_kinds import target_of
    from posegrasp_ros.report.handeye_report import write_calibration

    if (mounting is None) == (check is None):
        raise InvalidInputError('expected --mounting to calibrate, or --check to test a calibration')
    held = load_mounted_camera(check) if check else None
    wanted = target_of(target, threads)
    if arm and Path(arm).suffix in ('.csv', '.txt'):
        track = track_of_file(Path(arm))
    else:
        track = track_of_bag(bag, base_frame, tool_frame, arm)
    topics = BagTopics(image_topic, camera_info_topic, base_frame=None, rectified=rectified)
    seen = record_samples(bag, wanted, track, SourceOptions(topics))
    if not seen.samples:
        raise InvalidInputError(f'{bag}: expected {wanted} in its images: {seen.left_out.commonest()}')
    if held:
        from posegrasp_ros.handeye.drift import drift

        found = drift(held.solution, seen.samples)
        show(str(found))
        return GATE_FAILED if found.is_moved else DONE
    calibrated = calibrate(seen.samples, Mounting(mounting), track)
    frames = base_frame, tool_frame, camera_frame or seen.camera_frame or 'camera_optical_frame'
    show(write_calibration(out, calibrated, mounted_camera(calibrated, frames, str(wanted)), seen))
    return DONE if seen.is_complete else exit_code()
