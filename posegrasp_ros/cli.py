"""``posegrasp``: one thin command each."""

from __future__ import annotations

import argparse
import logging
import sys

from posegrasp_ros import __version__
from posegrasp_ros.commands.baseline import add_baseline
from posegrasp_ros.commands.compare import add_compare
from posegrasp_ros.commands.evaluate import add_evaluate
from posegrasp_ros.commands.feasibility import add_feasibility
from posegrasp_ros.commands.grasps import add_grasps
from posegrasp_ros.commands.models import add_bench, add_check
from posegrasp_ros.commands.options import BAD_INPUT, INTERRUPTED
from posegrasp_ros.commands.picks import add_picks
from posegrasp_ros.commands.simulate import add_demo, add_record
from posegrasp_ros.commands.status import add_status
from posegrasp_ros.commands.train import add_calibrate, add_train
from posegrasp_ros.errors import BadInput

# what may be missing -> the extra of setup.py that brings it; trimesh wants rtree for rays where embreex is not
_EXTRAS = {'rclpy': 'ros', 'mujoco': 'sim', 'coacd': 'sim', 'networkx': 'sim', 'rtree': 'sim', 'torch': 'train',
           'skimage': 'train', 'onnx': 'train'}


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
        extra = _EXTRAS.get((error.name or '').split('.')[0])
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
    for add in (add_demo, add_picks, add_record, add_evaluate, add_compare, add_baseline, add_train, add_calibrate,
                add_grasps, add_bench, add_check, add_feasibility, add_status):
        add(commands)
    return parser


if __name__ == '__main__':
    sys.exit(main())
