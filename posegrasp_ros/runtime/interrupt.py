# SPDX-License-Identifier: Apache-2.0
"""Handling of Ctrl-C and SIGTERM, which are treated alike: raise, end at once, or stop between two steps."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A supervisor may signal a process twice, directly and through its parent: systemd sends SIGTERM to launch and its
# nodes, and launch then sends SIGINT to the nodes.
SAME_REQUEST_S = 2.0
AGAIN_AFTER_S = 0.05
_last: int = signal.SIGINT
# Whether a KeyboardInterrupt is already ending the program; None before raise_interrupts().
_is_ending: bool | None = None
_asked_s = 0.0
_are_raised = True


def raise_interrupts() -> None:
    """Make Ctrl-C and SIGTERM raise KeyboardInterrupt, and a later signal end the process at once.

    This also holds where the shell started the process with Ctrl-C ignored, as scripts do for background jobs.
    """
    global _is_ending
    _is_ending = False
    sys.unraisablehook = _raise_again
    for number in SIGNALS:
        # Registered first, so it runs last. At exit the interpreter removes Python signal handlers but keeps
        # SIG_IGN; without it a late signal would change the exit code.
        atexit.register(signal.signal, number, signal.SIG_IGN)
        signal.signal(number, _interrupt)


def end_at_interrupts(code: int | None = None) -> None:
    """Make both signals end the process at once, for processes with nothing to clean up.

    :param code: exit code; None for the shell's, 130 or 143
    """
    for number in SIGNALS:
        signal.signal(number, lambda number, stack: os._exit(128 + number if code is None else code))


def hold_interrupts(held: bool = True) -> None:
    """Block or unblock both signals; a child process inherits the mask until it has installed its own handlers."""
    signal.pthread_sigmask(signal.SIG_BLOCK if held else signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def interrupts_raised(are_raised: bool) -> Iterator[None]:
    """After :func:`raise_interrupts`: choose whether signals raise KeyboardInterrupt within a ``with`` block.

    If not, they are left to the handler that rclpy installs in front of this one; it stops the executor after the
    current callback.

    :raises KeyboardInterrupt: also on entry, when a signal arrived before, and on exit, when compiled code
        swallowed the exception or raised another in its place
    """
    global _are_raised
    before, _are_raised = _are_raised, are_raised
    try:
        if are_raised and _is_ending:
            raise KeyboardInterrupt
        yield
        if are_raised and _is_ending:
            raise KeyboardInterrupt
    except Exception as error:
        if are_raised and _is_ending:
            raise KeyboardInterrupt from error
        raise
    finally:
        _are_raised = before


def exit_code() -> int:
    """Exit code of a process ended by the last such signal, by the convention of shells: 130 or 143."""
    return 128 + _last


@contextmanager
def interrupt_noted() -> Iterator[Callable[[], bool]]:
    """Only record the first Ctrl-C or SIGTERM within a ``with`` block; the second one is handled as usual.

    Yields a function that returns whether a signal arrived.

    Outside the main thread, where Python does not allow signal handlers, nothing is recorded.
    """
    was_interrupted = False

    def note(number: int, stack: FrameType | None) -> None:
        nonlocal was_interrupted
        if was_interrupted:
            _interrupt(number, stack)
        _remember(number)
        was_interrupted = True

    with _handling_interrupts(note):
        yield lambda: was_interrupted


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Make processes started within a ``with`` block ignore both signals, which may go to the whole process group.

    The parent ends these processes.
    """
    with _handling_interrupts(signal.SIG_IGN):
        yield


def _remember(number: int) -> None:
    global _last
    _last = number


def _interrupt(number: int, stack: FrameType | None) -> None:
    global _is_ending, _asked_s
    _remember(number)
    now_s = time.monotonic()
    if _is_ending:
        if now_s - _asked_s > SAME_REQUEST_S:
            os._exit(exit_code())
        return
    if _are_raised and _is_importing(stack):
        # A compiled module would swallow the exception or stay half initialised: send the signal again later.
        _send_again()
        return
    if _is_ending is not None:
        _is_ending, _asked_s = True, now_s
    if _are_raised:
        raise KeyboardInterrupt


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Send the signal again after a KeyboardInterrupt in a destructor or C callback, which does not propagate."""
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


def _is_importing(stack: FrameType | None) -> bool:
    while stack is not None:
        if stack.f_code.co_filename.startswith('<frozen importlib'):
            return True
        stack = stack.f_back
    return False


@contextmanager
def _handling_interrupts(handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, handler)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, former in before:
            signal.signal(number, former)
