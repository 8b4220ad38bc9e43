"""Tests by hypothesis: a few examples each, or as many as a minute holds with the profile ``long``."""

from __future__ import annotations

import functools
import os
import time

from hypothesis import HealthCheck, given, settings

FUZZ_S = 60.0 if os.environ.get('HYPOTHESIS_PROFILE') == 'long' else 0.0
EXAMPLES = 1_000_000 if FUZZ_S else 20


def fuzzed(**strategies):
    """A test with examples of these, a few or a minute of them for each of its other parameters."""
    def decorate(test):
        deadlines: dict[str, float] = {}

        @functools.wraps(test)
        def within_time(**values):
            parameters = str([value for name, value in values.items() if name not in strategies])
            until_s = deadlines.setdefault(parameters, time.monotonic() + FUZZ_S)
            if not FUZZ_S or time.monotonic() < until_s:
                test(**values)

        checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
        return settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=not FUZZ_S,
                        suppress_health_check=checks)(given(**strategies)(within_time))
    return decorate
