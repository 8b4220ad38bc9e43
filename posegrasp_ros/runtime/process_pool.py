# SPDX-License-Identifier: Apache-2.0
"""Many tasks with one thing, by several processes that each hold it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context
from typing import Any

from posegrasp_ros.runtime.interrupt import interrupts_ignored

# So many for each process are on their way at once: enough to keep it busy, and the memory flat.
TASKS_AHEAD = 3


@contextmanager
def workers(call: Callable, shared: Any, jobs: int,
            begin: Callable | None = None) -> Iterator[Callable[[Iterable[tuple]], Iterator]]:
    """Gives a function from tasks, tuples of arguments, to ``call(shared, *task)`` of each, in their order.

    Tasks are taken as results are: a few for each process are ahead of them.

    :param call: of a module, and ``shared`` can be pickled: each process gets both once
    :param jobs: processes, which never hear Ctrl-C and end with the context; with one, it is this one
    :param begin: makes of ``shared``, once in each process, what ``call`` gets in its place
    """
    if jobs == 1:
        held = begin(shared) if begin else shared
        yield lambda tasks: (call(held, *task) for task in tasks)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context('spawn'), initializer=_begin,
                               initargs=(call, shared, begin))

    def results(tasks: Iterable[tuple]) -> Iterator:
        pending: deque[Future] = deque()
        for task in tasks:
            # The first tasks start the processes.
            with interrupts_ignored() if len(pending) < jobs else nullcontext():
                pending.append(pool.submit(_call, task))
            if len(pending) >= TASKS_AHEAD * jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    try:
        yield results
    finally:
        pool.shutdown(cancel_futures=True)


_pending: tuple[Callable, Any]
"""Of a worker process, from its beginning on."""


def _begin(call: Callable, shared: Any, begin: Callable | None) -> None:
    global _pending
    _pending = call, begin(shared) if begin else shared


def _call(task: tuple) -> Any:
    call, held = _pending
    return call(held, *task)
