# SPDX-License-Identifier: Apache-2.0
"""Tests by hypothesis: a few examples each, the same every time, or new ones for ``FUZZ_MINUTES`` of CPU time."""

from __future__ import annotations

import functools
import os
import time

from hypothesis import HealthCheck, given, settings

FUZZ_S = 60 * float(os.environ.get('FUZZ_MINUTES', '0'))
EXAMPLES = 200 if FUZZ_S else 20


def fuzzed(**strategies):
    """A test with examples of these, a few or minutes of them for each of its other parameters."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    chosen = settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=not FUZZ_S,
                      suppress_health_check=checks)

    def decorate(test):
        try_examples = chosen(given(**strategies)(test))

        @functools.wraps(try_examples)
        def within_time(*arguments, **values):
            until_s = time.process_time() + FUZZ_S
            try_examples(*arguments, **values)
            while time.process_time() < until_s:
                try_examples(*arguments, **values)

        return within_time
    return decorate
