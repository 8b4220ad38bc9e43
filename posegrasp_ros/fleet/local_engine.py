# SPDX-License-Identifier: Apache-2.0
"""The engine of one machine: processes of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from posegrasp_ros.fleet.bag_task import BagResult, BagTask, evaluate_bag
from posegrasp_ros.runtime.guarded_pool import Lost, guarded


def local_engine(tasks: Sequence[BagTask], jobs: int) -> Iterator[BagResult]:
    """Evaluate recordings in processes of this machine; one that kills its process costs itself alone."""
    done = guarded(evaluate_bag, tasks, jobs)
    try:
        for task, result in done:
            yield BagResult(task.bag.url, task.name, reason=(
                f'{task.bag.url}: the process that evaluated it was ended by {result.how}')
            ) if isinstance(result, Lost) else result
    finally:
        done.close()  # type: ignore[attr-defined]
