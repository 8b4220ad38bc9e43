# SPDX-License-Identifier: Apache-2.0
"""A day of a robot: verdicts every second, memory and the cost of a second as in the first hours."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import numpy as np
import pytest

from posegrasp_ros.geometry.transforms import make_transform
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.pose.pose_errors import ErrorTarget
from posegrasp_ros.metrics.stage_report import STAGES, StageReport
from posegrasp_ros.monitoring.live_run import LiveRun
from posegrasp_ros.monitoring.liveness import OK, STALE
from posegrasp_ros.monitoring.object_watch import LiveObject
from posegrasp_ros.monitoring.run_keeper import RunKeeper
from posegrasp_ros.runs.report_log import log_paths

DAY_S = 86_400
# Thirty images a second take half an hour of processor time. What a run keeps it keeps by image, by second in
# which there was one, or by half a second of its clock: a few thousand images bring all of that to its limits.
STEP_S = 40
WRONG = 0.0175
TRUTH = make_transform(None, (0.0, 0.0, 0.6))
RIGHT, FAR = make_transform(None, (0.002, 0.0, 0.6)), make_transform(None, (0.05, 0.0, 0.6))


def memory_mb() -> float:
    """What the process has in memory."""
    gc.collect()
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096 / 1e6


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='memory is read from /proc')
def test_a_day_with_wrong_poses_costs_no_more_at_its_end_than_at_its_beginning(tmp_path):
    target = ErrorTarget(np.random.default_rng(0).uniform(-0.05, 0.05, (100, 3)), 0.17)
    now_s, rng, complaints = [0.0], np.random.default_rng(1), []
    run = LiveRun({'': LiveObject(target)}, load_baselines(), RunKeeper(tmp_path, 400_000, complaints.append), 1.5,
                  {'provenance': {}},
                  most_images=500, clock=lambda: now_s[0])
    run.camera(np.array([[600.0, 0, 320], [0, 600.0, 240], [0, 0, 1]]), 640)
    answered, costs_s, memories_mb, levels = 0, [], [], set()
    for index in range(DAY_S // STEP_S):
        begun_s, now_s[0] = time.process_time(), float(index * STEP_S)
        stamp_ns = 10**18 + index * STEP_S * 10**9
        run.image(stamp_ns)
        run.truth(stamp_ns, lambda: TRUTH)
        run.estimate(stamp_ns, lambda: FAR if rng.random() < WRONG else RIGHT, 1e-5 * np.eye(6))
        for stage in STAGES[:2]:
            report = StageReport(stamp_ns, stage, True, '', {'latency_ms': 20.0}, {}, index, 'a')
            run.report(lambda report=report: report)
        now_s[0] += 4.0
        verdicts = run.verdicts()
        answered += bool(verdicts)
        levels |= {(health.task, health.level) for health in run.healths()}
        costs_s.append(time.process_time() - begun_s)
        if index % (3600 // STEP_S) == 0:
            memories_mb.append(memory_mb())
    recall = next(item for item in verdicts if item['metric'] == 'recall_1cm_5deg')
    assert recall['interval'][0] <= recall['value'] <= recall['interval'][1] and recall['verdict'] == 'better'
    assert answered == DAY_S // STEP_S - 1, 'at every look but the first, when no second was over'
    assert max(memories_mb[6:]) - memories_mb[6] < 10
    an_hour = 3600 // STEP_S
    assert np.median(costs_s[-an_hour:]) < 2 * np.median(costs_s[an_hour:2 * an_hour])
    assert {level for task, level in levels if task in ('messages', 'verdicts', 'run folder')} == {OK}
    assert {level for task, level in levels if task == 'execution'} == {STALE}
    assert sum(path.stat().st_size for path in log_paths(tmp_path)) < 500_000 and complaints == []
    run.close()
