# SPDX-License-Identifier: Apache-2.0
"""The nodes as programs: Ctrl-C and SIGTERM end them at any instant, also while they are still being imported."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

from posegrasp_ros.runtime.exit_codes import BAD_INPUT, DONE
from posegrasp_ros.runtime.extras import missing_package
from posegrasp_ros.runtime.interrupt import end_at_interrupts, hold_interrupts, raise_interrupts


def run(executable: str) -> NoReturn:
    """Import one of the modules beside this one and run its node.

    :param executable: its name, such as ``monitor_node``
    """
    # Imports take seconds, leave nothing to clean up, and do not bear an exception in their midst.
    end_at_interrupts(DONE)
    hold_interrupts(False)
    try:
        node = importlib.import_module(f'posegrasp_ros.nodes.{executable}')
    except ModuleNotFoundError as error:
        line = missing_package(error)
        if not line:
            raise
        print(f'{executable}: error: {line}', file=sys.stderr)
        sys.exit(BAD_INPUT)
    try:
        raise_interrupts()
        code = node.main()
        end_at_interrupts(code)
    except KeyboardInterrupt:  # before or after main, which ends its own
        code = DONE
        end_at_interrupts(code)
    sys.exit(code)


def perception_node() -> NoReturn:
    """Console script."""
    run('perception_node')


def grasp_planner_node() -> NoReturn:
    """Console script."""
    run('grasp_planner_node')


def monitor_node() -> NoReturn:
    """Console script."""
    run('monitor_node')


def simulator_node() -> NoReturn:
    """Console script."""
    run('simulator_node')


def board_node() -> NoReturn:
    """Console script."""
    run('board_node')


def handeye_node() -> NoReturn:
    """Console script."""
    run('handeye_node')


if __name__ == '__main__':
    run(sys.argv.pop(1))
