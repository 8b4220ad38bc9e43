# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys

import pytest

from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.runs.folder import RunFolder, read_reports
from posegrasp_ros.runs.report_log import PARTS, ReportLog, log_paths

LIMIT = 8_000


def numbers_in(folder) -> list[int]:
    return [json.loads(line)['number'] for path in log_paths(folder) for line in path.read_bytes().splitlines()]


def fill(log: ReportLog, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        log.append(json.dumps({'number': number}).encode())


def test_a_limited_log_keeps_the_newest_lines_in_order_and_never_outgrows_its_limit(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    log = ReportLog(tmp_path, most_bytes=LIMIT)
    for start in range(0, 2000, 50):
        fill(log, 50, start)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= LIMIT + 100
    log.close()
    kept = numbers_in(tmp_path)
    assert kept == list(range(kept[0], 2000)) and len(kept) > 300
    assert len(log_paths(tmp_path)) <= PARTS
    assert 'metrics.000001.jsonl: deleted' in caplog.text


def test_a_log_goes_on_where_an_earlier_one_ended(tmp_path):
    for start in (0, 100):
        log = ReportLog(tmp_path, most_bytes=LIMIT)
        fill(log, 100, start)
        log.close()
    assert numbers_in(tmp_path) == list(range(200))


def test_a_fresh_log_leaves_nothing_of_an_earlier_one(tmp_path):
    log = ReportLog(tmp_path, most_bytes=LIMIT)
    fill(log, 500)
    log.close()
    ReportLog(tmp_path, fresh=True).close()
    assert [path.name for path in tmp_path.iterdir()] == ['metrics.jsonl'] and numbers_in(tmp_path) == []


def test_an_unlimited_log_is_one_file(tmp_path):
    log = ReportLog(tmp_path)
    fill(log, 2000)
    log.close()
    assert [path.name for path in log_paths(tmp_path)] == ['metrics.jsonl']


def test_reports_are_read_over_all_parts(tmp_path):
    reports = [StageReport(stamp, 'perception', True) for stamp in range(100)]
    with RunFolder(tmp_path, most_bytes=40_000) as folder:
        for report in reports:
            folder.append(report)
    assert len(log_paths(tmp_path)) > 1
    assert read_reports(tmp_path) == (reports, [])


def test_a_full_disk_is_an_error_each_time_and_what_is_lost_is_counted(tmp_path):
    (tmp_path / 'metrics.jsonl').symlink_to('/dev/full')
    log = ReportLog(tmp_path)
    for lost in (1, 2):
        with pytest.raises(OSError, match='No space left'):
            log.append(b'{}')
        assert log.lost == lost


FILL_UP = """
import resource, signal, sys
from pathlib import Path
from posegrasp_ros.runs.report_log import ReportLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = ReportLog(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1005, resource.RLIM_INFINITY))
for number in range(200):
    try:
        log.append(b'{"number": %d}' % number)
    except OSError:
        pass
    if number == 150:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(log.lost)
"""


def test_a_line_that_does_not_fit_is_taken_back_and_the_log_goes_on_when_there_is_room(tmp_path):
    done = subprocess.run([sys.executable, '-c', FILL_UP, tmp_path], capture_output=True, text=True, check=True)
    numbers = numbers_in(tmp_path)
    assert numbers == sorted(numbers) and numbers[-1] == 199
    assert len(numbers) + int(done.stdout) == 200 and int(done.stdout) > 50


APPEND_FOR_EVER = """
import sys
from posegrasp_ros.metrics.stage_report import StageReport
from posegrasp_ros.runs.folder import RunFolder
folder, stamp = RunFolder(sys.argv[1], most_bytes=200_000_000), 0
while True:
    folder.append(StageReport(stamp, 'perception', True))
    print(stamp, flush=True)
    stamp += 1
"""


@pytest.mark.slow
def test_a_kill_loses_no_line_that_was_written(tmp_path):
    command = [sys.executable, '-c', APPEND_FOR_EVER, tmp_path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(300):
        last = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].split()
    written = int(rest[-1] if rest else last)
    reports, warnings = read_reports(tmp_path)
    assert [report.stamp_ns for report in reports][:written + 1] == list(range(written + 1))
    assert warnings == []
