"""Number of usable CPU cores and name of the processor."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPU_INFO = Path('/proc/cpuinfo')


def usable_cpus() -> int:
    """Number of cores this process may use; in a container this can be fewer than the machine has."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """The processor's model name; its architecture where the model name is not available."""
    lines = CPU_INFO.read_text(encoding='utf-8').splitlines() if CPU_INFO.is_file() else []
    names = (line.partition(':')[2].strip() for line in lines if line.startswith(('model name', 'Model')))
    return next(names, '') or platform.processor() or platform.machine()
