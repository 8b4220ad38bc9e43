# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import threading
import time

import pytest

from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.run import RunMetrics
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.monitoring.liveness import ERROR, OK
from posegrasp_ros.monitoring.run_keeper import MOST_TIME_SHARE, RunKeeper

REPORT = StageReport(1, 'perception', True)


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture(scope='module')
def summary() -> dict:
    run = RunMetrics(None, load_baselines())
    run.add_report(REPORT)
    return run.summary()


def test_what_is_kept_is_there_and_all_is_well(tmp_path, complaints, summary):
    keeper = RunKeeper(tmp_path / 'run', None, complaints.append)
    keeper.append(REPORT.to_dict())
    keeper.write_summary(summary)
    assert (keeper.health().level, keeper.health().text) == (OK, str(tmp_path / 'run'))
    keeper.close()
    assert json.loads((tmp_path / 'run' / 'metrics.jsonl').read_text())['stamp_ns'] == 1
    assert json.loads((tmp_path / 'run' / 'summary.json').read_text()) == summary and complaints == []


def test_a_folder_that_cannot_be_is_said_and_nothing_fails(tmp_path, complaints, summary):
    (tmp_path / 'file').write_text('in the way')
    keeper = RunKeeper(tmp_path / 'file' / 'run', None, complaints.append)
    keeper.append(REPORT.to_dict())
    keeper.write_summary(summary)
    keeper.close()
    assert keeper.health().level == ERROR and str(tmp_path / 'file') in keeper.health().text
    assert len(complaints) == 1


def test_a_full_disk_is_said_until_there_is_room_again(tmp_path, complaints):
    log = tmp_path / 'metrics.jsonl'
    log.symlink_to('/dev/full')
    keeper = RunKeeper(tmp_path, None, complaints.append)
    for _ in range(3):
        keeper.append(REPORT.to_dict())
    health = keeper.health()
    assert health.level == ERROR and health.values == {'lost_reports': '3'}
    assert health.text == f'{tmp_path}: reports: No space left on device'
    assert 'No space left on device; the run continues' in complaints[0]
    log.unlink()
    keeper.append(REPORT.to_dict())
    assert keeper.health().level == OK and len(log.read_text().splitlines()) == 1


def test_a_summary_is_made_beside_what_goes_on(tmp_path, complaints, summary):
    keeper, may_end = RunKeeper(tmp_path, None, complaints.append), threading.Event()

    def slow() -> dict:
        may_end.wait(10.0)
        return summary

    keeper.summarise(slow)
    keeper.append(REPORT.to_dict())
    assert not keeper.may_summarise() and not (tmp_path / 'summary.json').exists()
    may_end.set()
    keeper.close()
    assert (tmp_path / 'summary.json').exists() and (tmp_path / 'report.html').exists()


def test_summaries_take_a_small_share_of_the_time(tmp_path, complaints, summary):
    def dear() -> dict:
        until_s = time.thread_time() + 0.05
        while time.thread_time() < until_s:
            pass
        return summary

    keeper = RunKeeper(tmp_path, None, complaints.append)
    began_s = time.monotonic()
    keeper.summarise(dear)
    keeper._join()
    assert keeper._rest_until_s - began_s > 0.05 / MOST_TIME_SHARE
    assert not keeper.may_summarise()
    keeper.close()


def test_a_summary_that_fails_is_said_and_the_next_is_tried(tmp_path, complaints, summary):
    keeper = RunKeeper(tmp_path, None, complaints.append)
    keeper.summarise(lambda: {}['nothing'])
    keeper._join()
    assert keeper.health().level == ERROR and 'KeyError' in complaints[0]
    keeper.write_summary(summary)
    assert keeper.health().level == OK
    keeper.close()
