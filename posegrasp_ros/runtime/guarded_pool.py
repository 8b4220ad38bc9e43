# SPDX-License-Identifier: Apache-2.0
"""Tasks in processes of their own: one that is killed costs its task and no other.

:mod:`posegrasp_ros.runtime.process_pool` is for frames, whose order counts and which do not end a process; a
``ProcessPoolExecutor`` gives up all tasks when one of its processes is killed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from posegrasp_ros.runtime.interrupt import interrupts_ignored

END_S = 5.0


@dataclass(frozen=True)
class Lost:
    """In the place of a result: the process was ended by something else.

    :param how: such as ``signal SIGKILL``
    """

    how: str


class _Worker:
    """A process and the task that it is at."""

    def __init__(self, call: Callable[[Any], Any]):
        context = get_context('spawn')
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(call, theirs), daemon=True)
        with interrupts_ignored():
            self.process.start()
        theirs.close()
        self.task: Any = None

    def take(self, task: Any) -> bool:
        """Begin a task; whether the process still lives to do so."""
        self.task = task
        try:
            self.pipe.send(task)
        except (BrokenPipeError, ConnectionError):
            return False
        return True

    def result(self) -> Any:
        """Of the task, once the pipe or the process has something to say."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join(END_S)
            return Lost(_ended_how(self.process.exitcode))

    def end(self, at_once: bool) -> None:
        """End the process: when it is idle, or at once."""
        self.pipe.close()
        if not at_once:
            self.process.join(END_S)
        if self.process.is_alive():
            self.process.kill()
        self.process.join(END_S)
        self.process.close()


def guarded(call: Callable[[Any], Any], tasks: Iterable[Any], jobs: int) -> Iterator[tuple[Any, Any]]:
    """Each task with its result, or with :class:`Lost`, in the order in which they are done.

    :param call: of a module, given a task; what it raises ends its process, so it should not
    :param jobs: processes, which never hear Ctrl-C and end with the iterator; a lost one is replaced
    """
    waiting, is_done = iter(tasks), False
    workers: list[_Worker] = []
    try:
        while True:
            while len(workers) < jobs and (task := next(waiting, None)) is not None:
                worker = _Worker(call)
                worker.take(task)
                workers.append(worker)
            if not workers:
                is_done = True
                return
            ready = wait([worker.pipe for worker in workers])
            for worker in [each for each in workers if each.pipe in ready]:
                task, result = worker.task, worker.result()
                if isinstance(result, Lost):
                    workers.remove(worker)
                    worker.end(at_once=True)
                elif (following := next(waiting, None)) is None:
                    workers.remove(worker)
                    worker.end(at_once=False)
                elif not worker.take(following):
                    workers.remove(worker)
                    worker.end(at_once=True)
                    workers.append(_Worker(call))
                    workers[-1].take(following)
                yield task, result
    finally:
        for worker in workers:
            worker.end(at_once=not is_done)


def _ended_how(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f'signal {signal.Signals(-code).name}'
        except ValueError:
            return f'signal {-code}'
    return f'exit code {code}'


def _serve(call: Callable[[Any], Any], pipe: Connection) -> None:
    """Answer tasks until the other end is closed."""
    while True:
        try:
            task = pipe.recv()
        except (EOFError, ConnectionError):
            return
        pipe.send(call(task))
