# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch` as a user types it, where the package is built by colcon and sourced."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path


def why_not() -> str:
    """Why these tests cannot run here; empty where they can."""
    if importlib.util.find_spec('launch_ros') is None or shutil.which('ros2') is None:
        return 'launch, launch_ros and ros2cli are not installed (PyPI has none)'
    from ament_index_python.packages import get_packages_with_prefixes
    is_built = 'posegrasp_ros' in get_packages_with_prefixes()
    return '' if is_built else 'posegrasp_ros is not built by colcon and sourced'


class Launched:
    """A running `ros2 launch`, and what it has said."""

    def __init__(self, folder: Path, domain: int, arguments: tuple[str, ...]):
        self.said_in = folder / 'launch.log'
        environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain), 'ROS_LOG_DIR': str(folder / 'log'),
                       'PYTHONUNBUFFERED': '1', 'RCUTILS_LOGGING_BUFFERED_STREAM': '0'}
        with open(self.said_in, 'w') as file:
            self.process = subprocess.Popen(['ros2', 'launch', 'posegrasp_ros', *arguments], cwd=folder,
                                            env=environment, stdout=file, stderr=subprocess.STDOUT,
                                            start_new_session=True)

    @property
    def said(self) -> str:
        return self.said_in.read_text(errors='replace')

    def pids(self, executable: str) -> list[int]:
        """Of all processes of a node so far, in their order."""
        started = rf'\[{executable}-\d+\]: process started with pid \[(\d+)\]'
        return [int(pid) for pid in re.findall(started, self.said)]

    def wait_for(self, text: str, limit_s: float = 90.0) -> None:
        until_s = time.monotonic() + limit_s
        while text not in self.said:
            assert time.monotonic() < until_s and self.process.poll() is None, f'{text!r} is not in {self.said}'
            time.sleep(0.1)

    def interrupt(self) -> None:
        """Ctrl-C, which goes to the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, limit_s: float) -> int:
        """The exit code, which has to come in time."""
        return self.process.wait(limit_s)
