"""Ctrl-C and SIGTERM: the same to us, between two steps of a long run instead of in the middle of one."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_last: int = signal.SIGINT
# Whether a KeyboardInterrupt is on its way to the program's end already; None where it is not ours to end.
_is_ending: bool | None = None


def raise_interrupts() -> None:
    """From now on Ctrl-C and SIGTERM raise KeyboardInterrupt, also where the shell started us with Ctrl-C ignored,
    as scripts do with what they start in the background. The next one then ends the process at once."""
    global _is_ending
    _is_ending = False
    for number in SIGNALS:
        # Registered first it runs last. As it ends, the interpreter gives up all handlers but this one, and the
        # exit code would be lost.
        atexit.register(signal.signal, number, signal.SIG_IGN)
        signal.signal(number, _interrupt)


def end_at_interrupts() -> None:
    """From now on both end the process at once: there is nothing left that could be cleaned up."""
    for number in SIGNALS:
        signal.signal(number, lambda number, stack: os._exit(128 + number))


def exit_code() -> int:
    """Of a process that ended early because of the last such signal, as shells have it: 130 or 143."""
    return 128 + _last


@contextmanager
def interrupt_noted() -> Iterator[Callable[[], bool]]:
    """Within this the first Ctrl-C or SIGTERM is only noted; gives a function that tells whether it came. The
    second one is as ever.

    Where signals are not ours to take, in a thread, nothing is noted.
    """
    was_interrupted = False

    def note(number, stack) -> None:
        nonlocal was_interrupted
        if was_interrupted:
            _interrupt(number, stack)
        _remember(number)
        was_interrupted = True

    with _handling_interrupts(note):
        yield lambda: was_interrupted


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Processes that are started within this never hear either signal, which may reach the whole group; the parent
    ends them."""
    with _handling_interrupts(signal.SIG_IGN):
        yield


def _remember(number: int) -> None:
    global _last
    _last = number


def _interrupt(number, stack) -> None:
    global _is_ending
    _remember(number)
    if _is_ending:
        os._exit(exit_code())
    if _is_importing(stack):
        # A module of compiled code swallows the exception or stays half initialised: once more when it is there.
        again = threading.Timer(0.05, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return
    if _is_ending is not None:
        _is_ending = True
    raise KeyboardInterrupt


def _is_importing(stack) -> bool:
    while stack is not None:
        if stack.f_code.co_filename.startswith('<frozen importlib'):
            return True
        stack = stack.f_back
    return False


@contextmanager
def _handling_interrupts(handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, handler)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, former in before:
            signal.signal(number, former)
