"""How many processors there are for us."""

from __future__ import annotations

import os


def usable_cpus() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
