"""What several commands have in common: exit codes, and options that mean the same everywhere."""

from __future__ import annotations

import argparse

from posegrasp_ros.cli import option_types
from posegrasp_ros.estimation.create import estimator_names
from posegrasp_ros.grasping.gripper import DEFAULT_GRIPPER, shipped_grippers
from posegrasp_ros.runtime.resources import SHIPPED_MODELS, model_folder

DONE, GATE_FAILED = 0, 3


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults that say something, and leaves a text of several lines as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if '\n' in text else super()._fill_text(text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str:
        silent = action.default is None or action.default is False
        return action.help if silent else super()._get_help_string(action)


def command(commands, name: str, run, help_text: str, epilog: str) -> argparse.ArgumentParser:
    """A parser for a command that ``run(options)`` carries out."""
    parser = commands.add_parser(name, help=help_text, description=help_text, epilog=epilog,
                                 formatter_class=_HelpFormatter)
    parser.set_defaults(run=run)
    return parser


def model_option(parser: argparse.ArgumentParser) -> None:
    """``--model``, see :func:`posegrasp_ros.runtime.resources.model_folder`."""
    parser.add_argument('--model', type=model_folder, metavar='DIR|NAME', default=SHIPPED_MODELS[0],
                        help=f'model folder with a model.yaml, or a shipped one: {", ".join(SHIPPED_MODELS)}')


def estimator_option(parser: argparse.ArgumentParser) -> None:
    """``--estimator``."""
    parser.add_argument('--estimator', choices=estimator_names(), default='onnx',
                        help='onnx is the network with refinement, network without; the others are baselines')


def gripper_option(parser: argparse.ArgumentParser) -> None:
    """``--gripper``."""
    parser.add_argument('--gripper', metavar='NAME|FILE', default=DEFAULT_GRIPPER,
                        help=f'{", ".join(shipped_grippers())}, or a YAML file of such figures')


def symmetry_options(parser: argparse.ArgumentParser) -> None:
    """``--symmetry-axis`` and ``--symmetry-half-turn``, see :func:`declared_symmetry`."""
    parser.add_argument('--symmetry-axis', choices='xyz',
                        help="the mesh's axis about which every turn looks the same, as a can has")
    parser.add_argument('--symmetry-half-turn', choices='xyz', action='append', default=[],
                        help="a mesh's axis about which half a turn does; may be given twice")


def threads_option(parser: argparse.ArgumentParser) -> None:
    """``--threads``."""
    parser.add_argument('--threads', type=option_types.positive, metavar='N',
                        help='processor threads of the networks (default: one for each core that may be used)')
