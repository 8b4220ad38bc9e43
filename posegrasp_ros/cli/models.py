"""Of a model folder: ``check`` and ``bench``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import (
    DONE,
    command,
    model_option,
    threads_option,
)
from posegrasp_ros.runtime.console import remark, show, show_json
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import model_folder


def add_bench(commands) -> None:
    """``posegrasp bench``."""
    parser = command(commands, 'bench', _bench, "time image to pose beside the networks' own time, or the planner",
                      'Example: posegrasp bench --json')
    parser.add_argument('--planner', action='store_true',
                        help='time the grasp planner instead: 500 grasps, plane and 10 boxes, an uncertain pose')
    parser.add_argument('--frames', type=option_types.positive, default=20, help='simulated frames to time on')
    parser.add_argument('--repeats', type=option_types.positive, default=5, help='rounds over the frames')
    parser.add_argument('--size', type=option_types.image_size, default='640x480', help='image size, pixels')
    threads_option(parser)
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    model_option(parser)


def _bench(options: argparse.Namespace) -> int:
    return _bench_planner(options) if options.planner else _bench_estimator(options)


def _bench_planner(options: argparse.Namespace) -> int:
    from posegrasp_ros.benchmarks.planning_benchmark import bench_planner
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.grasping.gripper import load_gripper

    result = bench_planner(load_model_card(options.model), load_gripper())
    if options.json:
        show_json(result)
    else:
        times = result['plan_ms']
        show(f'plan               p50 {times["p50"]:.1f} ms, p95 {times["p95"]:.1f} ms')
        show(f'among              {result["grasps"]} grasps in {result["candidates"]} places, '
             f'{result["obstacles"]} boxes, {result["feasible"]:.0f} grasps feasible')
        show(f'load               {result["load_s"]:.1f} s for the tolerances, once')
    return DONE


def _bench_estimator(options: argparse.Namespace) -> int:
    from posegrasp_ros.benchmarks.perception_benchmark import bench, simulated_images
    from posegrasp_ros.estimation.model_card import load_model_card

    card = load_model_card(options.model)
    result = bench(card, simulated_images(card, options.frames, options.size), options.repeats, options.threads)
    if options.json:
        show_json(result)
    else:
        times = result['image_to_pose_ms']
        show(f'image to pose      p50 {times["p50"]:.1f} ms, p95 {times["p95"]:.1f} ms')
        show(f'onnxruntime alone  p50 {result["onnxruntime_ms"]["p50"]:.1f} ms')
        show(f'ratio              {result["ratio"]:.2f} at {options.size[0]}x{options.size[1]}, '
             f'{result["threads"]} threads')
        if result['resident_mb'] is not None:
            show(f'memory             {result["resident_mb"]:.0f} MB resident at most, in a process that only '
                 'estimates')
    return DONE


def add_check(commands) -> None:
    """``posegrasp check``."""
    parser = command(commands, 'check', _check, 'validate a model folder, run it once, print what was understood',
                      'Example: posegrasp check models/mine --image shot.png --hfov 69 --overlay seen.png')
    parser.add_argument('model', type=model_folder, metavar='MODEL_DIR',
                        help='model folder with a model.yaml, or a shipped one: box, can')
    parser.add_argument('--image', type=Path, metavar='FILE', help='PNG or JPEG to run on (default: grey noise)')
    parser.add_argument('--camera', type=Path, metavar='FILE',
                        help="the image's camera_info as YAML, as ROS's calibration writes it")
    parser.add_argument('--hfov', type=option_types.field_of_view, metavar='DEG',
                        help="horizontal field of view of the image's camera where there is no --camera (default: "
                             '60, a guess that makes distances one)')
    parser.add_argument('--overlay', type=Path, metavar='FILE', help='write the image with the poses drawn in')
    parser.add_argument('--time-limit', type=option_types.above_zero, metavar='S', default=15.0,
                        help='for the first run of each network, seconds')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    threads_option(parser)


def _check(options: argparse.Namespace) -> int:
    from posegrasp_ros.estimation.check import check_model, describe, read_image, write_image

    if options.image is None and (options.camera or options.hfov or options.overlay):
        raise InvalidInputError('--camera, --hfov and --overlay: expected together with --image')
    image = read_image(options.image) if options.image else None
    camera = _camera_of(image, options) if options.image else None
    report, picture = check_model(options.model, image, camera, options.threads, options.time_limit)
    if options.overlay:
        write_image(options.overlay, picture)
    if options.json:
        show_json(report)
    else:
        show(describe(report))
    return DONE


def _camera_of(image, options: argparse.Namespace):
    """The image's intrinsics: from the file, from the field of view, else a guess that is said aloud."""
    from posegrasp_ros.geometry.camera import Camera
    from posegrasp_ros.geometry.camera_info_file import load_camera

    if options.camera:
        return load_camera(options.camera)
    if options.hfov is None:
        remark('posegrasp: no --camera and no --hfov: a field of view of 60 degrees is assumed, so distances are '
               'a guess')
    return Camera.from_field_of_view(*image.shape[1::-1], math.radians(options.hfov or 60.0))
