# SPDX-License-Identifier: Apache-2.0
"""The frames of a run folder, such as a monitor's, as one Parquet file in the schema of a fleet's."""

from __future__ import annotations

import os
from pathlib import Path

from posegrasp_ros.fleet.frame_schema import KeyedRecord, frames_of
from posegrasp_ros.fleet.result_file import SUFFIX, write_frames
from posegrasp_ros.runs.run_log import RunLogError, read_run_log
from posegrasp_ros.runs.run_summary import plain_facts

PACKED = f'frames{SUFFIX}'


def pack_run(folder: Path, out: Path | None = None) -> tuple[Path, int, list[str]]:
    """Write the frames of metrics.jsonl.

    :param out: file to write; None for :data:`PACKED` in the folder
    :return: the file, how many rows it has, and what was left out, one line each
    :raises RunLogError: when the folder holds no run, or nothing says what its frames are of
    """
    log = read_run_log(folder)
    if log.inputs is None:
        raise RunLogError(f'{folder}: expected a run of version 0.2.0 or later: no line says what its frames are '
                          'of')
    tables, rows = [], {}
    for estimator, facts in log.inputs.facts.items():
        records = log.frames.get(estimator, {})
        keyed = [KeyedRecord(key, records[key], key.stamp_ns // facts.block_ns)
                 for key in sorted(records, key=lambda key: (key.object, key.stamp_ns))]
        tables.append(frames_of('', estimator or 'live', keyed, {}))
        rows[estimator] = len(keyed)
    document = {'bag': '', 'run': folder.name, 'rows': rows, 'estimator': log.inputs.estimator or '',
                'facts': {name: plain_facts(facts) for name, facts in log.inputs.facts.items()},
                'about': log.inputs.about}
    target = out or folder / PACKED
    partial = target.with_name(f'.{target.name}.{os.getpid()}.partial')
    try:
        write_frames(partial, tables, document)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target, sum(rows.values()), log.warnings
