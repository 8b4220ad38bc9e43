"""``posegrasp``: one thin command each."""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from pathlib import Path

from posegrasp_ros import __version__, option_types
from posegrasp_ros.errors import BadInput
from posegrasp_ros.estimation.create import ESTIMATORS
from posegrasp_ros.resources import resource_path

DONE, BAD_INPUT, GATE_FAILED, INTERRUPTED = 0, 2, 3, 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 2 bad input, 3 a gate did not hold, 130 Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format='posegrasp: %(message)s')
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except BadInput as error:
        print(f'posegrasp: error: {error}', file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        if error.filename is None:
            raise
        print(f'posegrasp: error: {error.filename}: expected a file or folder that can be used: {error.strerror}',
              file=sys.stderr)
        return BAD_INPUT
    except ModuleNotFoundError as error:
        extra = {'rclpy': 'ros', 'mujoco': 'sim', 'torch': 'train', 'skimage': 'train', 'onnx': 'train'}.get(
            (error.name or '').split('.')[0])
        if extra is None:
            raise
        print(f"posegrasp: error: this command needs {error.name}; in the checkout: pip install -e '.[{extra}]'",
              file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print('posegrasp: interrupted', file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='posegrasp', description='From a camera image to a grasp, measured.',
        epilog='A first look: posegrasp demo. An own object: posegrasp train my_mesh.obj --out models/my_object.')
    parser.add_argument('--version', action='version', version=__version__)
    commands = parser.add_subparsers(title='commands', required=True, metavar='COMMAND')
    _add_demo(commands)
    _add_record(commands)
    _add_evaluate(commands)
    _add_train(commands)
    _add_bench(commands)
    _add_check(commands)
    return parser


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str:
        silent = action.default is None or action.default is False
        return action.help if silent else super()._get_help_string(action)


def _command(commands, name: str, run, help_text: str, epilog: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help_text, description=help_text, epilog=epilog,
                                 formatter_class=_HelpFormatter)
    parser.set_defaults(run=run)
    return parser


def _model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--model', type=Path, metavar='DIR',
                        help='model folder with a model.yaml (default: the shipped box)')


def _estimator_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--estimator', choices=ESTIMATORS, default='onnx',
                        help='onnx is the network with refinement, network without; the others are baselines')


def _threads_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--threads', type=option_types.positive, metavar='N',
                        help='processor threads of the networks (default: one for each core that may be used)')


def _model_folder(options: argparse.Namespace) -> Path:
    return options.model or resource_path('models/box')


def _add_demo(commands) -> None:
    parser = _command(commands, 'demo', _demo, 'pick in simulation, over real ROS topics, and report',
                      'Example: posegrasp demo --picks 50 --seed 4242 --out runs/fifty')
    parser.add_argument('--picks', type=option_types.positive, default=20, help='attempts')
    parser.add_argument('--seed', type=option_types.seed, default=1, help='same seed, same scenes')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='run folder for metrics and report (default: runs/demo-TIME)')
    _estimator_option(parser)
    _model_option(parser)


def _demo(options: argparse.Namespace) -> int:
    from posegrasp_ros.demo import run_demo

    run_demo(options.picks, options.seed, options.out, options.estimator, _model_folder(options))
    return DONE


def _add_record(commands) -> None:
    parser = _command(commands, 'record', _record, 'write simulated scenes with ground truth as a rosbag2 folder',
                      'Example: posegrasp record scenes --scenes 200 --seed 777')
    parser.add_argument('out', type=Path, metavar='OUT', help='folder to make')
    parser.add_argument('--scenes', type=option_types.positive, default=100, help='one frame each')
    parser.add_argument('--seed', type=option_types.seed, default=0, help='same seed, same scenes')
    parser.add_argument('--size', type=option_types.image_size, default='640x480', help='image size, pixels')
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--occlusion', type=option_types.share_range, metavar='LOW:HIGH',
                      help="put something between camera and object that hides such a share of the object's "
                           'pixels, such as 0.3:0.6')
    kind.add_argument('--without-object', action='store_true', help='the same scenes, the object taken away')
    kind.add_argument('--instances', type=option_types.positive, default=1, metavar='K',
                      help='how many of the object are in each scene')
    parser.add_argument('--depth', action='store_true', help='record a depth camera in the same place as well')
    _model_option(parser)


def _record(options: argparse.Namespace) -> int:
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.simulation.record import record

    record(options.out, load_model_card(_model_folder(options)).mesh, options.scenes, options.seed, options.size,
           occlusion=options.occlusion, without_object=options.without_object, instances=options.instances,
           depth=options.depth)
    print(f'{options.scenes} scenes in {options.out}')
    return DONE


def _add_evaluate(commands) -> None:
    parser = _command(commands, 'evaluate', _evaluate, 'replay bags through estimator, planner and metrics',
                      'Example: posegrasp evaluate scenes --out runs/scenes. Needs no ROS.')
    parser.add_argument('bags', nargs='+', type=Path, metavar='BAG',
                        help='rosbag2 folder, .mcap or .db3 file, or a folder of .png and .jpg images')
    parser.add_argument('--out', type=Path, metavar='DIR', default=Path('runs/evaluate'),
                        help='run folder for metrics and report')
    _estimator_option(parser)
    parser.add_argument('--beside', nargs='*', choices=ESTIMATORS, metavar='ESTIMATOR',
                        help=f'measure these on the same frames too, of {", ".join(ESTIMATORS)} (default: all of '
                             'them; a bare --beside at the end: none)')
    parser.add_argument('--gripper', type=Path, metavar='FILE',
                        help='gripper figures (default: the shipped Franka Hand)')
    for topic in ('image', 'camera-info', 'ground-truth'):
        parser.add_argument(f'--{topic}-topic', metavar='TOPIC', help='when the guess is wrong')
    parser.add_argument('--depth-topic', metavar='TOPIC',
                        help='depth registered to the images, 16UC1 or 32FC1, to refine with (default: none)')
    parser.add_argument('--track', action='store_true',
                        help='look first where the object was a moment ago; figures of accuracy are without')
    _camera_pose_options(parser)
    parser.add_argument('--no-object', action='store_true',
                        help='the object is in none of the images: the share that has a pose is measured')
    parser.add_argument('--paint-over', action='store_true',
                        help='paint the object over where the ground truth says it is, then as --no-object')
    parser.add_argument('--hfov', type=option_types.field_of_view, metavar='DEG', default=60.0,
                        help='horizontal field of view of the camera, for folders of images')
    _threads_option(parser)
    parser.add_argument('--require', nargs='+', action='extend', metavar='METRIC=VALUE',
                        type=option_types.requirement,
                        help='needed of this run instead of what the baselines say, such as recall_1cm_5deg=97%% '
                             'or position_error_median=2mm')
    parser.add_argument('--gate', action='store_true', help='exit with 3 when a requirement of the baselines is '
                        'missed or, for want of ground truth or answers, could not be measured')
    _model_option(parser)


def _camera_pose_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--base-frame', metavar='NAME', default='base',
                        help="the robot's frame, z up: grasps are planned in it, /tf tells where the camera is")
    parser.add_argument('--base-from-camera', nargs=7, type=option_types.finite,
                        metavar=('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW'),
                        help='pose of a camera that does not move, metres (default: what /tf says)')
    parser.add_argument('--support-height', type=option_types.finite, metavar='M', default=0.0,
                        help='z of the plane that the object stands on, in the base frame, metres')


def _evaluate(options: argparse.Namespace) -> int:
    from posegrasp_ros.bags import BagTopics
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.evaluate import evaluate_bags
    from posegrasp_ros.grasping.planner import Scene
    from posegrasp_ros.metrics.baselines import load_ledger
    from posegrasp_ros.report import format_table

    card, ledger = load_model_card(_model_folder(options)), load_ledger()
    for metric, value in options.require or ():
        ledger = ledger.with_requirement(metric, value)
    topics = BagTopics(options.image_topic, options.camera_info_topic, options.ground_truth_topic,
                       options.base_frame, options.depth_topic)
    beside = ESTIMATORS if options.beside is None else options.beside
    base_from_camera = None
    if options.base_from_camera:
        base_from_camera = option_types.transform('--base-from-camera', options.base_from_camera)
    summary = evaluate_bags(options.bags, card, options.estimator, beside, _planner(card, options),
                            Scene(options.support_height), ledger, out=options.out, topics=topics,
                            base_from_camera=base_from_camera, threads=options.threads,
                            no_object=options.no_object, paint=options.paint_over,
                            field_of_view_rad=math.radians(options.hfov), track=options.track)
    print(format_table(summary))
    print(f'\nreport: {options.out / "report.html"}')
    return _gate(summary, ledger) if options.gate else DONE


def _gate(summary: dict, ledger) -> int:
    """Say what holds and what does not."""
    from posegrasp_ros.metrics.gate import check_gate

    results = check_gate(summary['metrics'], ledger)
    for result in results:
        print(f'gate: {"held" if result.held else "MISSED"}: {result.text}', file=sys.stderr)
    return DONE if all(result.held for result in results) else GATE_FAILED


def _planner(card, options: argparse.Namespace):
    """The planner for the model's grasps; None, said aloud, for a model without any."""
    from posegrasp_ros.grasping.gripper import load_gripper
    from posegrasp_ros.grasping.library import load_grasps
    from posegrasp_ros.grasping.planner import GraspPlanner

    if not card.grasps_path.is_file():
        print(f'posegrasp: {card.grasps_path}: no grasps; poses are measured, grasps are not', file=sys.stderr)
        return None
    gripper = load_gripper(options.gripper or resource_path('config/gripper.yaml'))
    return GraspPlanner(gripper, load_grasps(card.grasps_path, gripper), symmetry=card.symmetry)


def _add_train(commands) -> None:
    parser = _command(commands, 'train', _train, 'train a pose model for a mesh on synthetic images',
                      'Example: posegrasp train my_mesh.obj --out models/my_object --minutes 60. The mesh is in '
                      'metres; its texture is what the network goes by.')
    parser.add_argument('mesh', type=Path, metavar='MESH', help='.obj, .ply, .glb, ...: any mesh trimesh reads')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='model folder to write (default: models/NAME, after the mesh file)')
    parser.add_argument('--minutes', type=option_types.minutes, default=60.0,
                        help='time for fitting; rendering and measuring come on top')
    parser.add_argument('--seed', type=option_types.seed, default=0, help='of views, samples and first weights')
    parser.add_argument('--backgrounds', type=Path, metavar='DIR',
                        help='folder of photographs (default: those that scikit-image ships)')
    parser.add_argument('--only', choices=('detector', 'network'),
                        help='train this one anew in a folder that has both')
    parser.add_argument('--symmetry-axis', choices='xyz',
                        help="the mesh's axis about which every turn looks the same, as a can has")
    parser.add_argument('--symmetry-half-turn', choices='xyz', action='append', default=[],
                        help="a mesh's axis about which half a turn does; may be given twice")
    parser.add_argument('--start', metavar='DIR', default='box',
                        help='model folder whose networks are the first weights, or none (default: box)')
    parser.add_argument('--resume', action='store_true',
                        help='go on where an interrupted training with the same options stood')


def _train(options: argparse.Namespace) -> int:
    from posegrasp_ros.mesh import load_mesh

    load_mesh(options.mesh)  # a mistyped path is told before what is not installed
    from posegrasp_ros.training.train import TrainingOptions, train

    out = options.out or Path('models') / options.mesh.stem
    card = train(options.mesh, out, TrainingOptions(
        minutes=options.minutes, seed=options.seed, symmetry_axis=options.symmetry_axis,
        half_turns=tuple(options.symmetry_half_turn), start=options.start, backgrounds=options.backgrounds,
        only=options.only, resume=options.resume))
    print(f'model card: {card}')
    return DONE


def _add_bench(commands) -> None:
    parser = _command(commands, 'bench', _bench, "time image to pose beside the networks' own time",
                      'Example: posegrasp bench --json')
    parser.add_argument('--frames', type=option_types.positive, default=20, help='simulated frames to time on')
    parser.add_argument('--repeats', type=option_types.positive, default=5, help='rounds over the frames')
    parser.add_argument('--size', type=option_types.image_size, default='640x480', help='image size, pixels')
    _threads_option(parser)
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    _model_option(parser)


def _bench(options: argparse.Namespace) -> int:
    from posegrasp_ros.bench import bench, simulated_images
    from posegrasp_ros.estimation.model_card import load_model_card

    card = load_model_card(_model_folder(options))
    result = bench(card, simulated_images(card, options.frames, options.size), options.repeats, options.threads)
    if options.json:
        print(json.dumps(result))
    else:
        times = result['image_to_pose_ms']
        print(f'image to pose      p50 {times["p50"]:.1f} ms, p95 {times["p95"]:.1f} ms')
        print(f'onnxruntime alone  p50 {result["onnxruntime_ms"]["p50"]:.1f} ms')
        print(f'ratio              {result["ratio"]:.2f} at {options.size[0]}x{options.size[1]}, '
              f'{result["threads"]} threads')
        if result['resident_mb'] is not None:
            print(f'memory             {result["resident_mb"]:.0f} MB resident at most, in a process that only '
                  'estimates')
    return DONE


def _add_check(commands) -> None:
    parser = _command(commands, 'check', _check, 'validate a model folder, run it once, print what was understood',
                      'Example: posegrasp check models/mine --image shot.png --hfov 69 --overlay seen.png')
    parser.add_argument('model', type=Path, metavar='MODEL_DIR', help='model folder with a model.yaml')
    parser.add_argument('--image', type=Path, metavar='FILE', help='PNG or JPEG to run on (default: grey noise)')
    parser.add_argument('--camera', type=Path, metavar='FILE',
                        help="the image's camera_info as YAML, as ROS's calibration writes it")
    parser.add_argument('--hfov', type=option_types.field_of_view, metavar='DEG',
                        help="horizontal field of view of the image's camera where there is no --camera (default: "
                             '60, a guess that makes distances one)')
    parser.add_argument('--overlay', type=Path, metavar='FILE', help='write the image with the poses drawn in')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    _threads_option(parser)


def _check(options: argparse.Namespace) -> int:
    from posegrasp_ros.check import check_model, describe, read_image, write_image

    if options.image is None and (options.camera or options.hfov or options.overlay):
        raise BadInput('--camera, --hfov and --overlay: expected together with --image')
    image = read_image(options.image) if options.image else None
    camera = _camera_of(image, options) if options.image else None
    report, picture = check_model(options.model, image, camera, options.threads)
    if options.overlay:
        write_image(options.overlay, picture)
    print(json.dumps(report, default=str) if options.json else describe(report))
    return DONE


def _camera_of(image, options: argparse.Namespace):
    """The image's intrinsics: from the file, from the field of view, else a guess that is said aloud."""
    from posegrasp_ros.calibration_file import load_camera
    from posegrasp_ros.camera import Camera

    if options.camera:
        return load_camera(options.camera)
    if options.hfov is None:
        print('posegrasp: no --camera and no --hfov: a field of view of 60 degrees is assumed, so distances are a '
              'guess', file=sys.stderr)
    return Camera.from_field_of_view(*image.shape[1::-1], math.radians(options.hfov or 60.0))


if __name__ == '__main__':
    sys.exit(main())
