# SPDX-License-Identifier: Apache-2.0
"""Hard frames as recordings of their own, with a list of why each was taken."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from posegrasp_ros.datasets.frame_excerpt import write_excerpt
from posegrasp_ros.fleet.frame_query import view_of
from posegrasp_ros.fleet.hard_frames import HardFrame, hard_frames
from posegrasp_ros.fleet.locations import StoredFile, told
from posegrasp_ros.fleet.remote_bag import local_bag
from posegrasp_ros.fleet.result_file import ResultFolder
from posegrasp_ros.fleet.stored_result import read_results
from posegrasp_ros.runtime.atomic_file import no_half_folder
from posegrasp_ros.runtime.errors import InvalidInputError, one_line

LIST = 'frames.csv'
HEAD = ('recording', 'bag', 'stamp_ns', 'object', 'reason', 'score', 'position_m', 'rotation_rad')


@dataclass
class Mined:
    """What was written.

    :param frames: those that were asked for
    :param failures: recordings that could not be read again, one line each
    """

    frames: list[HardFrame] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def mine_frames(results: str, out: Path, budget: int) -> Mined:
    """Write the frames that teach most: a recording each of those that they come from, and :data:`LIST`.

    :param results: folder of results of ``posegrasp evaluate --shard``
    :param out: folder to make
    :raises InvalidInputError: when there are no results, or the folder is there
    """
    stored = read_results(ResultFolder(results))
    if out.exists():
        raise InvalidInputError(f'{out}: already exists; expected the name of a new folder')
    bags = {each.document['bag']: StoredFile(each.document['bag'], each.document['size'], each.document['tag'])
            for each in stored}
    with view_of([each.url for each in stored]) as view:
        frames = hard_frames(view, stored[0].document['estimator'], budget)
    mined, by_bag = Mined(frames), defaultdict(list)
    for frame in frames:
        by_bag[frame.bag].append(frame)
    out.mkdir(parents=True)
    with no_half_folder(out), (out / LIST).open('w', encoding='utf-8', newline='') as file:
        table = csv.writer(file, lineterminator='\n')
        table.writerow(HEAD)
        for number, (url, chosen) in enumerate(sorted(by_bag.items())):
            name = f'{number:04d}_{Path(bags[url].name).stem}'
            try:
                with local_bag(bags[url]) as path:
                    write_excerpt(path, out / name, {frame.stamp_ns for frame in chosen})
            except (OSError, InvalidInputError) as error:
                mined.failures.append(one_line(f'{url}: {told(error)}'))
                continue
            for frame in sorted(chosen, key=lambda each: each.stamp_ns):
                table.writerow([name, frame.bag, frame.stamp_ns, frame.object, frame.reason, frame.score,
                                frame.position_m, frame.rotation_rad])
    return mined
