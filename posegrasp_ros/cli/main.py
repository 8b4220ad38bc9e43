"""``posegrasp``: one thin command each."""

from __future__ import annotations

import errno
import sys
from typing import NoReturn

from posegrasp_ros.runtime.errors import InvalidInputError, PipelineFailed, one_line
from posegrasp_ros.runtime.interrupt import end_at_interrupts, exit_code, raise_interrupts

DONE, BAD_INPUT, PIPELINE_FAILED = 0, 2, 4
# Of files that were opened before, where Python does not say of which.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
# what may be missing -> the extra of setup.py that brings it; trimesh wants rtree for rays where embreex is not
_EXTRAS = {'rclpy': 'ros', 'mujoco': 'sim', 'coacd': 'sim', 'networkx': 'sim', 'rtree': 'sim', 'torch': 'train',
           'skimage': 'train', 'onnx': 'train'}
# What every install has but one by rosdep alone.
_WITHOUT_KEY = ('cyclopts',)


def script() -> NoReturn:
    """The program: :func:`main`, and one line whenever it is told to end."""
    try:
        raise_interrupts()
        if sys.stdout is not None:  # as it is where the caller closed it
            sys.stdout.reconfigure(errors='backslashreplace')  # ASCII knows no degree sign
        code = main()
    except KeyboardInterrupt:  # before main or after it: it tells of those within itself
        _say('interrupted')
        code = exit_code()
    end_at_interrupts()
    sys.exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    :return: exit code: 0 done, 2 bad input, 3 a gate did not hold, 4 a node failed, 130 Ctrl-C, 143 SIGTERM
    """
    try:
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
        package = (error.name or '').split('.')[0]
        if package in _WITHOUT_KEY:
            _say(f'error: {package}: expected it to be installed, rosdep has no key for it: pip install {package}')
            return BAD_INPUT
        extra = _EXTRAS.get(package)
        if extra is None:
            raise
        _say(f"error: this command needs {error.name}; in the checkout: pip install -e '.[{extra}]'")
        return BAD_INPUT
    except KeyboardInterrupt:
        _say('interrupted')
        return exit_code()


def _run(arguments: list[str] | None) -> int:
    # Imported here: it takes a moment, in which Ctrl-C shall end us in one line as at any other time.
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
    except SystemExit:  # the reader of the help has had enough, or completion has told that it knows no such shell
        return DONE if command == app.help_print else BAD_INPUT


def _say(text: str) -> None:
    print(one_line(f'posegrasp: {text}'), file=sys.stderr)


if __name__ == '__main__':
    script()
