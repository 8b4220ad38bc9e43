# SPDX-License-Identifier: Apache-2.0
"""Retries after temporary errors of a store: throttling, server errors, lost connections."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar('T')
TRIES, FIRST_WAIT_S, LONGEST_WAIT_S = 5, 0.5, 30.0
STATUSES = (408, 429, 500, 502, 503, 504)
CODES = ('SlowDown', 'Throttling', 'ThrottlingException', 'RequestTimeout', 'ServiceUnavailable', 'InternalError',
         '503', '500', '429')
ERRNOS = (errno.EBUSY, errno.ECONNRESET, errno.ETIMEDOUT, errno.EPIPE, errno.EAGAIN)


class Truncated(OSError):
    """Fewer or more bytes than the store stated."""


def tried(call: Callable[[], T], tries: int = TRIES, sleep: Callable[[float], None] = time.sleep) -> T:
    """What a call returns, after as many tries; the last error otherwise.

    The wait doubles each time, and differs between processes, so that they do not all come back at once.
    """
    for number in range(1, tries + 1):
        try:
            return call()
        except Exception as error:
            if number == tries or not is_transient(error):
                raise
            sleep(min(FIRST_WAIT_S * 2 ** (number - 1), LONGEST_WAIT_S) * random.uniform(0.5, 1.0))
    raise AssertionError


def is_transient(error: BaseException) -> bool:
    """Whether it may go away by itself."""
    return any(_is_transient(each) for each in _chain(error))


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, (FileNotFoundError, PermissionError)):
        return False
    if isinstance(error, (ConnectionError, TimeoutError, Truncated)):
        return True
    response = getattr(error, 'response', None)
    if isinstance(response, dict):
        status = response.get('ResponseMetadata', {}).get('HTTPStatusCode')
        return status in STATUSES or response.get('Error', {}).get('Code') in CODES
    status = getattr(error, 'status', getattr(error, 'code', None))
    if status in STATUSES or (isinstance(error, OSError) and error.errno in ERRNOS):
        return True
    module = type(error).__module__
    return module.startswith(('aiohttp', 'botocore')) and any(
        word in type(error).__name__ for word in ('Connect', 'Timeout', 'Disconnected', 'Payload', 'Streaming',
                                                  'ClosedError', 'IncompleteRead'))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
