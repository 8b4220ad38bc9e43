# SPDX-License-Identifier: Apache-2.0
"""Number of usable CPU cores, name of the processor, and whether it multiplies bfloat16."""

from __future__ import annotations

import functools
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


@functools.cache
def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16; elsewhere that is emulated, and slower than float32."""
    lines = CPU_INFO.read_text(encoding='utf-8').splitlines() if CPU_INFO.is_file() else []
    flags = next((line.split() for line in lines if line.startswith('flags')), [])
    return 'avx512_bf16' in flags or 'amx_bf16' in flags
