# SPDX-License-Identifier: Apache-2.0
"""NodeProcesses: the nodes as child processes, connected as in the graph and always terminated."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from posegrasp_ros.ros.graph import NODES, remappings
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.interrupt import hold_interrupts
from posegrasp_ros.runtime.resources import resource_path

# The monitor writes its report at the end, which takes a minute on a machine under load.
END_WITHIN_S = {signal.SIGINT: 90.0, signal.SIGTERM: 5.0, signal.SIGKILL: 5.0}
PR_SET_PDEATHSIG = 1


class NodeProcessError(InvalidInputError):
    """A folder to which the nodes' output cannot be written."""


class NodeProcesses:
    """Context manager that starts nodes and terminates them all on exit.

    :param folder: for each node's parameters (``<node>.yaml``) and output (``<node>.log``)
    :param domain_id: ROS domain of the nodes
    :raises NodeProcessError: when the folder cannot be created
    """

    def __init__(self, folder: Path, domain_id: int):
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NodeProcessError(f'{self._folder}: expected a folder that can be created: {error}') from error
        self._environment = node_environment(domain_id)
        self._processes: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> NodeProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(*self._processes)

    def start(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Start one of :data:`posegrasp_ros.ros.graph.NODES`.

        :raises NodeProcessError: when the folder cannot be written
        """
        executable = NODES[name][0]
        file = self._folder / f'{name}.yaml'
        text = yaml.safe_dump({'/**': {'ros__parameters': dict(parameters)}})
        try:
            file.write_text(text, encoding='utf-8')
            log = self.log_path(name).open('wb')
        except OSError as error:
            raise NodeProcessError(f'{self._folder}: expected a folder that can be written: {error}') from error
        command = [sys.executable, '-m', 'posegrasp_ros.nodes.scripts', executable, '--ros-args',
                   '--params-file', str(file)]
        for topic, target in remappings(name):
            command += ['-r', f'{topic}:={target}']
        # In a new session, so that Ctrl-C only reaches this process, which ends the nodes in order.
        with log:
            self._processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self._environment,
                start_new_session=True, preexec_fn=_prepare)

    def log_path(self, name: str) -> Path:
        return self._folder / f'{name}.log'

    def last_words(self, name: str) -> str:
        """The last line that a node printed."""
        return self.log_path(name).read_text(errors='replace').rstrip().rpartition('\n')[2]

    def exit_code(self, name: str) -> int | None:
        """A node's exit code; None while it runs."""
        return self._processes[name].poll()

    def ended(self) -> list[str]:
        """Names of the nodes that have ended."""
        return [name for name, process in self._processes.items() if process.poll() is not None]

    def kill(self, name: str) -> None:
        """Kill a node with SIGKILL, to simulate a crash."""
        self._processes[name].kill()
        self._processes[name].wait()

    def stop(self, *names: str) -> None:
        """Stop nodes simultaneously, with escalating signals for those that do not end."""
        processes = [self._processes[name] for name in names]
        for signal_number, limit_s in END_WITHIN_S.items():
            running = [process for process in processes if process.poll() is None]
            for process in running:
                process.send_signal(signal_number)
            until_s = time.monotonic() + limit_s
            for process in running:
                try:
                    process.wait(max(0.0, until_s - time.monotonic()))
                except subprocess.TimeoutExpired:
                    continue


def node_environment(domain_id: int) -> dict[str, str]:
    """Environment for nodes that communicate on this machine only; existing variables are kept.

    :param domain_id: ROS domain
    """
    chosen = {
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'FASTDDS_DEFAULT_PROFILES_FILE': str(resource_path('config/fastdds.xml')),
        'MUJOCO_GL': 'osmesa',
    }
    return {**chosen, **os.environ, 'ROS_DOMAIN_ID': str(domain_id), 'PYTHONUNBUFFERED': '1'}


@contextmanager
def free_domain() -> Iterator[int]:
    """An exclusive ROS domain: ROS_DOMAIN_ID if it is set, else one that is not reserved."""
    if os.environ.get('ROS_DOMAIN_ID'):
        yield int(os.environ['ROS_DOMAIN_ID'])
        return
    try:
        from domain_coordinator import domain_id
    except ModuleNotFoundError:
        # Without the coordinator, derive the number from the process id, which usually avoids conflicts.
        yield 1 + os.getpid() % 100
        return
    # Not with `with`: it would interpret an OSError of the caller as an occupied port, and try the next one.
    reservation = domain_id()
    number = reservation.__enter__()
    try:
        yield number
    finally:
        reservation.__exit__(None, None, None)


def _prepare() -> None:
    """In the child: block signals until the node handles them, and let the kernel end it if its parent dies."""
    hold_interrupts()
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
