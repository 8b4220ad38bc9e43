"""Many tasks with one thing, by several processes that each hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from posegrasp_ros.runtime.interrupt import interrupts_ignored


@contextmanager
def workers(call: Callable, shared: Any, jobs: int) -> Iterator[Callable[[Iterable[tuple]], Iterator]]:
    """Gives a function from tasks, tuples of arguments, to ``call(shared, *task)`` of each, in their order.

    :param call: of a module, and ``shared`` can be pickled: each process gets both once
    :param jobs: processes, which never hear Ctrl-C and end with the context; with one, it is this one
    """
    if jobs == 1:
        yield lambda tasks: (call(shared, *task) for task in tasks)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context('spawn'), initializer=_begin, initargs=(call, shared))

    def results(tasks: Iterable[tuple]) -> Iterator:
        with interrupts_ignored():
            return pool.map(_call, tasks)

    try:
        yield results
    finally:
        pool.shutdown(cancel_futures=True)


_pending: tuple[Callable, Any] | None = None
"""Of a worker process."""


def _begin(call: Callable, shared: Any) -> None:
    global _pending
    _pending = call, shared


def _call(task: tuple) -> Any:
    call, shared = _pending
    return call(shared, *task)
