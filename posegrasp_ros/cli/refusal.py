# SPDX-License-Identifier: Apache-2.0
"""What the command line says of arguments that it cannot use: in one line, what was found, expected and meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import get_args

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)
from cyclopts.exceptions import ConsumeMultipleError

from posegrasp_ros.runtime.errors import quoted


def refusal(error: CycloptsError, app: App) -> str:
    """The line for an error of the parser; it names the option, see :mod:`posegrasp_ros.cli.option_types`."""
    see = f'; see {" ".join(("posegrasp", *(error.command_chain or ())))} --help'
    match error:
        case UnknownCommandError():
            names = [name for name in app if not name.startswith('-')]
            found = (error.unused_tokens or [''])[0]
            known = f'; expected one of {", ".join(names)}'
            return f'{found}: there is no such command{_meant(found, names) or known}'
        case UnknownOptionError():
            found = (error.token.keyword or error.token.value).split('=')[0]
            names = [name for argument in error.argument_collection for name in argument.names]
            return f'{found}: there is no such option{_meant(found, names) or see}'
        case UnusedCliTokensError():
            return f'{(error.unused_tokens or [""])[0]}: expected no more arguments{see}'
        case ValidationError():
            return error.exception_message
        case ConsumeMultipleError():
            return f'{_name(error)}: expected at least {error.min_required} value, got none{see}'
        case MissingArgumentError():
            return f'{_name(error)}: expected {_count(error)}{see}'
        case CoercionError():
            return f'{_name(error)}: {_expected(error)}'
        case _:
            return f'{error}{see}'


def _name(error: CycloptsError) -> str:
    """Of the option, or of the argument by its place."""
    return error.argument.name if error.argument else 'arguments'


def _count(error: MissingArgumentError) -> str:
    wanted = error.argument.token_count()[0] if error.argument else 1
    return 'a value, got none' if wanted <= 1 else f'{wanted} values, got {len(error.tokens_so_far) % wanted}'


def _expected(error: CoercionError) -> str:
    if error.msg is not None:
        return str(error.msg)
    found = error.token.value if error.token else ''
    choices = [str(choice) for choice in get_args(error.target_type) if isinstance(choice, str)]
    if choices:
        return f'expected one of {", ".join(choices)}, got {quoted(found)}{_meant(found, choices)}'
    kind = 'no value' if error.target_type is bool else 'another value'
    return f'expected {kind}, got {quoted(found)}'


def _meant(found: str, names: Iterable[str]) -> str:
    by_word = {name.lstrip('-'): name for name in names}
    near = difflib.get_close_matches(found.lstrip('-'), by_word, n=1)
    return f'; did you mean {by_word[near[0]]}?' if near else ''
