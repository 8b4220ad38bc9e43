# SPDX-License-Identifier: Apache-2.0
"""``posegrasp check`` and ``posegrasp bench``, for a model folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import Count, File, Gripper, Model, Size, Threads, option
from posegrasp_ros.runtime.console import remark, show, show_json
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE
from posegrasp_ros.runtime.resources import DEFAULT_GRIPPER, DEFAULT_MODEL, model_folder

if TYPE_CHECKING:  # slow to import
    import numpy as np

    from posegrasp_ros.geometry.camera import Camera

BENCH_EXAMPLES = 'Example: posegrasp bench --json'
CHECK_EXAMPLES = 'Example: posegrasp check models/mine --image shot.png --hfov 69 --overlay seen.png'
IMAGE = Parameter(group=Group.create_ordered('Image to run on'))


def bench(*, planner: bool = False, frames: Count = 20, repeats: Count = 5, size: Size = (640, 480),
          threads: Threads = None, json: bool = False, model: Model = DEFAULT_MODEL) -> int:
    """Time image to pose and the networks' share of it, or the planner.

    :param planner: time the grasp planner instead: 500 grasps, a plane and 10 boxes, an uncertain pose
    :param frames: simulated frames to time on
    :param repeats: rounds over the frames
    :param size: image size, pixels
    :param json: print one JSON object
    """
    folder = model_folder(model)
    if planner:
        return _bench_planner(folder, json)
    return _bench_estimator(folder, frames, repeats, size, threads, json)


def _bench_planner(folder: Path, as_json: bool) -> int:
    from posegrasp_ros.benchmarks.planning_benchmark import bench_planner
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.grasping.gripper import load_gripper

    result = bench_planner(load_model_card(folder), load_gripper())
    if as_json:
        show_json(result)
    else:
        times = result['plan_ms']
        show(f'plan               p50 {times["p50"]:.1f} ms, p95 {times["p95"]:.1f} ms')
        show(f'among              {result["grasps"]} grasps in {result["candidates"]} places, '
             f'{result["obstacles"]} boxes, {result["feasible"]:.0f} grasps feasible')
        show(f'load               {result["load_s"]:.1f} s for the tolerances, once')
    return DONE


def _bench_estimator(folder: Path, frames: int, repeats: int, size: tuple[int, int], threads: int | None,
                     as_json: bool) -> int:
    from posegrasp_ros.benchmarks import perception_benchmark
    from posegrasp_ros.estimation.model_card import load_model_card

    card = load_model_card(folder)
    result = perception_benchmark.bench(card, perception_benchmark.simulated_images(card, frames, size), repeats,
                                        threads)
    if as_json:
        show_json(result)
    else:
        times = result['image_to_pose_ms']
        show(f'image to pose      p50 {times["p50"]:.1f} ms, p95 {times["p95"]:.1f} ms')
        show(f'onnxruntime alone  p50 {result["onnxruntime_ms"]["p50"]:.1f} ms')
        show(f'ratio              {result["ratio"]:.2f} at {size[0]}x{size[1]}, '
             f'{result["threads"]} threads')
        if result['resident_mb'] is not None:
            show(f'memory             at most {result["resident_mb"]:.0f} MB resident, in a process that only '
                 'estimates')
    return DONE


def check(model: Model, /, *,
          json: bool = False,
          gripper: Gripper = DEFAULT_GRIPPER,
          grasps_picture: File | None = None,
          threads: Threads = None,
          time_limit: Annotated[float, option('S', option_types.above_zero)] = 15.0,
          image: Annotated[File | None, IMAGE] = None,
          camera: Annotated[File | None, IMAGE] = None,
          hfov: Annotated[float | None, option('DEG', option_types.field_of_view), IMAGE] = None,
          overlay: Annotated[File | None, IMAGE] = None) -> int:
    """Validate a model folder, run it once, print how it was interpreted.

    :param json: print one JSON object
    :param grasps_picture: write a picture of the gripper at the three best grasps, .png or .jpg
    :param time_limit: for the first run of each network, seconds
    :param image: PNG or JPEG to run on; default: grey noise
    :param camera: the image's camera_info as YAML, as written by ROS camera calibration
    :param hfov: horizontal field of view of the image's camera if there is no --camera; default: 60, a guess that
        makes distances a guess too
    :param overlay: write the image with the poses drawn in to this file
    """
    from posegrasp_ros.estimation.check import check_model, describe, read_image, write_image
    from posegrasp_ros.estimation.grasp_picture import draw_grasps
    from posegrasp_ros.grasping.gripper import load_gripper

    if image is None and (camera or hfov or overlay):
        raise InvalidInputError('--camera, --hfov and --overlay: expected together with --image')
    pixels = read_image(image) if image else None
    intrinsics = None if pixels is None else _camera_of(pixels, camera, hfov)
    fingers = load_gripper(gripper)
    checked = check_model(model_folder(model), fingers, pixels, intrinsics, threads, time_limit)
    if overlay:
        write_image(overlay, checked.overlay)
    if grasps_picture:
        if checked.grasps is None:
            raise InvalidInputError(f'--grasps-picture: expected grasps to draw, found no '
                                    f'{checked.card.grasps_path}')
        write_image(grasps_picture, draw_grasps(checked.grasps.grasps, fingers, checked.card.mesh))
    if json:
        show_json(checked.report)
    else:
        show(describe(checked.report))
    return DONE


def _camera_of(image: np.ndarray, camera_file: Path | None, hfov_deg: float | None) -> Camera:
    """The image's intrinsics: from the file, from the field of view, else a guess, with a remark."""
    from posegrasp_ros.geometry.camera import Camera
    from posegrasp_ros.geometry.camera_info_file import load_camera

    if camera_file:
        return load_camera(camera_file)
    if hfov_deg is None:
        remark('posegrasp: no --camera and no --hfov: a field of view of 60 degrees is assumed, so distances are '
               'a guess')
    height, width = image.shape[:2]
    return Camera.from_field_of_view(width, height, math.radians(hfov_deg or 60.0))
