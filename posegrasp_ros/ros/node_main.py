# SPDX-License-Identifier: Apache-2.0
"""Main function of a node's process: arguments, spinning, signals and exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException

from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.runtime.errors import InvalidInputError, one_line
from posegrasp_ros.runtime.exit_codes import BAD_INPUT, DONE
from posegrasp_ros.runtime.interrupt import interrupts_raised


def _without_log_files() -> list[str]:
    """Arguments that turn off ROS log files if their folder is not writable; ROS would not start otherwise."""
    stated, ros_home = os.environ.get('ROS_LOG_DIR'), os.environ.get('ROS_HOME')
    try:
        folder = Path(stated or (Path(ros_home) / 'log' if ros_home else Path(os.environ['HOME']) / '.ros/log'))
        folder.expanduser().mkdir(parents=True, exist_ok=True)
        if os.access(folder.expanduser(), os.W_OK | os.X_OK):
            return []
    except (KeyError, OSError):
        pass  # reported below
    print('no log file is written: expected a writable folder, ROS_LOG_DIR or .ros/log in HOME',
          file=sys.stderr)
    return ['--ros-args', '--disable-external-lib-logs']


def run_node(node_class: Callable[[], AutostartLifecycleNode], arguments: list[str] | None = None) -> int:
    """Main function of a node: spin until Ctrl-C, SIGTERM or the node's own ``SystemExit``.

    :return: exit code of the process; 2 when the node could not be created
    """
    try:
        return _run_node(node_class, sys.argv if arguments is None else arguments)
    except KeyboardInterrupt:  # before the node spins
        rclpy.try_shutdown()
        return DONE


def _run_node(node_class: Callable[[], AutostartLifecycleNode], arguments: list[str]) -> int:
    try:
        rclpy.init(args=[*arguments, *_without_log_files()])
    except RuntimeError as error:  # from rclpy, for arguments that it cannot parse
        print(one_line(f'expected valid ROS arguments: {error}'), file=sys.stderr)
        return BAD_INPUT
    try:
        node = node_class()
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        return BAD_INPUT
    except Exception:
        if rclpy.ok():
            raise
        return DONE  # a signal shut down the context while the node was being created
    with interrupts_raised(False):
        return _spin(node)


def _spin(node: AutostartLifecycleNode) -> int:
    """Spin, then end the node; returns the exit code of the process."""
    code = DONE
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except SystemExit as request:
        code = int(request.code or 0)
    except Exception:
        # A signal may shut down the context between two steps of the executor, which then raises.
        if rclpy.ok():
            raise
    finally:
        node.end()
        node.destroy_node()
        rclpy.try_shutdown()
    return code
