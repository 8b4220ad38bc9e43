# SPDX-License-Identifier: Apache-2.0
"""``posegrasp mine`` and ``posegrasp pack``: the most informative frames of a fleet, and the frames of a run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from posegrasp_ros.cli.options import Count, File, Folder
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.exit_codes import DONE, PARTIAL

MINE_EXAMPLES = """Examples:
  posegrasp mine s3://bucket/results --out hard --budget 200
  posegrasp evaluate hard/0* --model models/new
  posegrasp train my_mesh.obj --like hard/0*"""
PACK_EXAMPLES = """Example:
  posegrasp pack runs/monday
  posegrasp query runs/monday 'select perception_reason, count(*) from frames group by all'"""


def mine(results: str, /, *, out: Folder, budget: Count = 100) -> int:
    """Write the most informative frames of a fleet, with the reason for each.

    Frames with wrong, missing or false poses, with poses on which sources disagree, unlike the rest of the fleet,
    or with doubtful scores, in turn; one frame per scene.

    :param results: folder of results of `posegrasp evaluate --shard`, a path or a URL
    :param out: folder to create, with recordings of the frames, and frames.csv
    :param budget: maximum number of frames
    """
    from posegrasp_ros.fleet.mined_frames import LIST, mine_frames

    mined = mine_frames(results, out, budget)
    counts = ', '.join(f'{reason} {count}' for reason, count in Counter(
        frame.reason for frame in mined.frames).most_common())
    show(f'{len(mined.frames)} frames: {counts or "none is hard"}\nlist: {out / LIST}')
    for line in mined.failures:
        remark(f'posegrasp: {line}')
    return PARTIAL if mined.failures else DONE


def pack(run: Path, /, *, out: File | None = None) -> int:
    """Write the frames of a run, such as a monitor's, as a Parquet file for query and other tools.

    :param run: run folder of evaluate, demo or the monitor
    :param out: file to write; default: frames.parquet in the run folder
    """
    from posegrasp_ros.fleet.packed_run import pack_run

    target, count, warnings = pack_run(run, out)
    for warning in warnings:
        remark(f'posegrasp: {warning}')
    show(f'{count} rows in {target}')
    return DONE
