"""Ctrl-C between two steps of a long run instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupt_noted() -> Iterator[Callable[[], bool]]:
    """Within this the first Ctrl-C is only noted; gives a function that tells whether it came. The second one
    is as ever.

    Where signals are not ours to take, in a thread, nothing is noted.
    """
    was_interrupted = False

    def note(number, stack) -> None:
        nonlocal was_interrupted
        if was_interrupted:
            raise KeyboardInterrupt
        was_interrupted = True

    with _handling_interrupts(note):
        yield lambda: was_interrupted


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Processes that are started within this never hear Ctrl-C, which reaches the whole group; the parent ends
    them."""
    with _handling_interrupts(signal.SIG_IGN):
        yield


@contextmanager
def _handling_interrupts(handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
