# SPDX-License-Identifier: Apache-2.0
"""``posegrasp``: runs a command, and turns errors and signals into one line and an exit code."""

from __future__ import annotations

import errno
import io
import sys
from typing import NoReturn

from posegrasp_ros.runtime.errors import InvalidInputError, PipelineFailed, one_line
from posegrasp_ros.runtime.exit_codes import BAD_INPUT, DONE, PIPELINE_FAILED
from posegrasp_ros.runtime.extras import missing_package
from posegrasp_ros.runtime.interrupt import end_at_interrupts, exit_code, interrupts_raised, raise_interrupts

# Disk errors of files that are already open, for which Python names no file.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def script() -> NoReturn:
    """The program: :func:`main`, and one line when a signal ends it."""
    try:
        raise_interrupts()
        if isinstance(sys.stdout, io.TextIOWrapper):  # None if the caller closed it
            sys.stdout.reconfigure(errors='backslashreplace')  # a terminal may not encode the degree sign
        code = main()
        end_at_interrupts()
    except KeyboardInterrupt:  # before or after main, which reports its own
        _say('interrupted')
        code = exit_code()
        end_at_interrupts()
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    :return: exit code: 0 done, 1 some of it failed, 2 bad input,
        3 a gate did not hold, 4 a node failed, 130 Ctrl-C, 143 SIGTERM
    """
    try:
        with interrupts_raised(True):
            return _run(arguments)
    except InvalidInputError as error:
        _say(f'error: {error}')
        return BAD_INPUT
    except PipelineFailed as error:
        _say(f'error: {error}')
        return PIPELINE_FAILED
    except OSError as error:
        if error.filename is None and error.errno not in DISK_ERRORS:
            raise
        where = 'output' if error.filename is None else error.filename
        _say(f'error: {where}: expected a file or folder that can be used: {error.strerror}')
        return BAD_INPUT
    except ModuleNotFoundError as error:
        line = missing_package(error)
        if not line:
            raise
        _say(f'error: {line}')
        return BAD_INPUT
    except KeyboardInterrupt:
        _say('interrupted')
        return exit_code()


def _run(arguments: list[str] | None) -> int:
    # Imported here, so that Ctrl-C during the import ends in one line too.
    from cyclopts import CycloptsError

    from posegrasp_ros.cli.parser import command_line, log_in_lines
    from posegrasp_ros.cli.refusal import refusal

    log_in_lines()
    app = command_line()
    try:
        command, bound, _ = app.parse_args(arguments)
    except CycloptsError as error:
        raise InvalidInputError(refusal(error, app)) from error
    try:
        return command(*bound.args, **bound.kwargs) or DONE  # help and version have no exit code
    except SystemExit:  # the help's reader closed the pipe, or completion refused an unknown shell
        return DONE if command == app.help_print else BAD_INPUT


def _say(text: str) -> None:
    print(one_line(f'posegrasp: {text}'), file=sys.stderr)


if __name__ == '__main__':
    script()
