# SPDX-License-Identifier: Apache-2.0
"""Interval: a 95 % confidence interval, and the directions in which a metric can be better."""

from __future__ import annotations

from typing import NamedTuple

DIRECTIONS = ('lower_is_better', 'higher_is_better', 'on_target')


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float
