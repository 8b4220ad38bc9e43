"""Ctrl-C and SIGTERM: the same to us, between two steps of a long run instead of in the middle of one."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A supervisor may tell a process twice, by itself and through its parent: systemd sends SIGTERM to launch and its
# nodes, and launch then sends them SIGINT.
SAME_REQUEST_S = 2.0
AGAIN_AFTER_S = 0.05
_last: int = signal.SIGINT
# Whether a KeyboardInterrupt is on its way to the program's end already; None where it is not ours to end.
_is_ending: bool | None = None
_asked_s = 0.0
_are_raised = True


def raise_interrupts() -> None:
    """From now on Ctrl-C and SIGTERM raise KeyboardInterrupt, also where the shell started us with Ctrl-C ignored,
    as scripts do with what they start in the background. A later one then ends the process at once."""
    global _is_ending
    _is_ending = False
    sys.unraisablehook = _raise_again
    for number in SIGNALS:
        # Registered first it runs last. As it ends, the interpreter gives up all handlers but this one, and the
        # exit code would be lost.
        atexit.register(signal.signal, number, signal.SIG_IGN)
        signal.signal(number, _interrupt)


def end_at_interrupts(code: int | None = None) -> None:
    """From now on both end the process at once: there is nothing that could be cleaned up.

    :param code: exit code; None for the shell's, 130 or 143
    """
    for number in SIGNALS:
        signal.signal(number, lambda number, stack: os._exit(128 + number if code is None else code))


def hold_interrupts(held: bool = True) -> None:
    """Whether both wait: for a child to inherit, until it handles them instead of Python as it boots."""
    signal.pthread_sigmask(signal.SIG_BLOCK if held else signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def interrupts_raised(are_raised: bool) -> Iterator[None]:
    """After :func:`raise_interrupts`: whether they raise KeyboardInterrupt within this, or are left to the handler
    that rclpy puts in front of ours, which ends the executor after the callback that it is in.

    :raises KeyboardInterrupt: at once, when one came before
    """
    global _are_raised
    before, _are_raised = _are_raised, are_raised
    try:
        if are_raised and _is_ending:
            raise KeyboardInterrupt
        yield
    finally:
        _are_raised = before


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
    global _is_ending, _asked_s
    _remember(number)
    now_s = time.monotonic()
    if _is_ending:
        if now_s - _asked_s > SAME_REQUEST_S:
            os._exit(exit_code())
        return
    if _are_raised and _is_importing(stack):
        # A module of compiled code swallows the exception or stays half initialised: once more when it is there.
        _send_again()
        return
    if _is_ending is not None:
        _is_ending, _asked_s = True, now_s
    if _are_raised:
        raise KeyboardInterrupt


def _raise_again(unraisable) -> None:
    """An exception in a destructor or in a callback from C goes no further: once more a bit later."""
    global _is_ending
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _is_ending = False
        _send_again()
    else:
        sys.__unraisablehook__(unraisable)


def _send_again() -> None:
    again = threading.Timer(AGAIN_AFTER_S, os.kill, (os.getpid(), _last))
    again.daemon = True
    again.start()


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
