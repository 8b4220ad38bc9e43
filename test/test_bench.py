# SPDX-License-Identifier: Apache-2.0
"""The figures of a bench say what they were measured with."""

import os
from pathlib import Path

import numpy as np
import pytest

from posegrasp_ros.benchmarks import perception_benchmark
from posegrasp_ros.benchmarks.perception_benchmark import bench, peak_resident_mb, resident_mb, simulated_images
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.runs.provenance import describe_run
from posegrasp_ros.runtime import cpu
from posegrasp_ros.runtime.cpu import usable_cpus
from posegrasp_ros.runtime.resources import resource_path


@pytest.fixture
def one_core():
    """The process, kept to a single core for the test's time."""
    if not hasattr(os, 'sched_setaffinity'):
        pytest.skip('this system keeps no process to a core')
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


def test_cores_that_this_process_may_not_use_do_not_count(one_core):
    assert usable_cpus() == 1
    assert describe_run()['host']['cpus'] == 1


@pytest.mark.parametrize(('flags', 'has'), [('fpu avx512_bf16 avx2', True), ('fpu amx_bf16', True),
                                           ('fpu avx512f avx2', False), (None, False)])
def test_bfloat16_is_used_where_the_processor_says_that_it_multiplies_it(flags, has, tmp_path, monkeypatch):
    monkeypatch.setattr(cpu, 'CPU_INFO', tmp_path / 'cpuinfo')
    if flags is not None:
        cpu.CPU_INFO.write_text(f'processor\t: 0\nmodel name\t: x\nflags\t\t: {flags}\n\nprocessor\t: 1\n')
    assert cpu.has_bfloat16.__wrapped__() == has


def test_without_a_number_of_threads_the_bench_says_how_many_cores_it_may_use(one_core, monkeypatch):
    monkeypatch.setattr(perception_benchmark, 'resident_mb', lambda *_: None)  # see below
    card = load_model_card(resource_path('models/box'))
    result = bench(card, simulated_images(card, 1, (320, 240)), repeats=1, threads=None)
    assert result['threads'] == 1 and result['image'] == [320, 240]


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='needs /proc of Linux')
def test_memory_is_that_of_a_process_that_only_estimates():
    card = load_model_card(resource_path('models/box'))
    ballast = np.ones(75_000_000)  # 600 MB in this process
    resident = resident_mb(card, simulated_images(card, 1, (320, 240)), threads=1)
    assert peak_resident_mb() > ballast.nbytes / 1e6
    assert 50 < resident < 500, 'all that a perception process may take'
