"""The main of a node's process: from its arguments to its exit code, whatever signal comes when."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException

from posegrasp_ros.ros.lifecycle import AutostartLifecycleNode
from posegrasp_ros.runtime.errors import InvalidInputError, one_line
from posegrasp_ros.runtime.interrupt import interrupts_raised


def _without_log_files() -> list[str]:
    """Arguments that keep ROS from writing its log to a file where it cannot: it would not start."""
    stated, ros_home = os.environ.get('ROS_LOG_DIR'), os.environ.get('ROS_HOME')
    try:
        folder = Path(stated or (Path(ros_home) / 'log' if ros_home else Path(os.environ['HOME']) / '.ros/log'))
        folder.expanduser().mkdir(parents=True, exist_ok=True)
        if os.access(folder.expanduser(), os.W_OK | os.X_OK):
            return []
    except (KeyError, OSError):
        pass  # said below
    print('no log file is written: expected a folder that can be written, ROS_LOG_DIR or .ros/log in HOME',
          file=sys.stderr)
    return ['--ros-args', '--disable-external-lib-logs']


def run_node(node_class: type[AutostartLifecycleNode], arguments: list[str] | None = None) -> int:
    """A node's main: spin until Ctrl-C, SIGTERM or the node's own ``SystemExit``.

    :return: the process's exit code; 2 when the node could not even be made
    """
    try:
        rclpy.init(args=[*(sys.argv if arguments is None else arguments), *_without_log_files()])
    except KeyboardInterrupt:
        return 0
    except RuntimeError as error:  # rclpy's own, on what it cannot parse
        print(one_line(f'expected arguments as ROS takes them: {error}'), file=sys.stderr)
        return 2
    try:
        node = node_class()
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    except KeyboardInterrupt:
        rclpy.try_shutdown()
        return 0
    except Exception:
        if rclpy.ok():
            raise
        return 0  # a signal ended the context, and the node tripped over that
    with interrupts_raised(False):
        return _spin(node)


def _spin(node: AutostartLifecycleNode) -> int:
    """Spin, then end the node; the process's exit code."""
    code = 0
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except SystemExit as request:
        code = int(request.code or 0)
    except Exception:
        # A signal may end the context between two steps of the executor, which then trips over it.
        if rclpy.ok():
            raise
    finally:
        node.end()
        node.destroy_node()
        rclpy.try_shutdown()
    return code
