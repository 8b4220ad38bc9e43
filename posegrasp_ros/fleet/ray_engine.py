# SPDX-License-Identifier: Apache-2.0
"""The engine of a Ray cluster: a task for each recording, done again on another node where one is lost."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from posegrasp_ros.fleet.bag_task import BagResult, BagTask, evaluate_bag
from posegrasp_ros.runtime.errors import InvalidInputError, one_line

# A node that is lost takes the recordings on it along: they are begun so many times more.
RETRIES = 2
# So many tasks for each processor are with the cluster at a time: the next ones need not wait for the driver, and
# a million recordings do not lie in the object store.
AHEAD = 2


def ray_engine(tasks: Sequence[BagTask], jobs: int) -> Iterator[BagResult]:
    """Evaluate recordings on the cluster that ``RAY_ADDRESS`` names, else on a local one with ``jobs`` processors.

    Worker processes are used again, so each loads a model once.

    :raises InvalidInputError: when there is no such cluster
    """
    import ray

    began_cluster = not ray.is_initialized()
    if began_cluster:
        _begin(jobs)
    run = ray.remote(num_cpus=1, max_retries=RETRIES)(evaluate_bag)
    waiting = list(reversed(tasks))
    pending: dict[object, BagTask] = {}
    try:
        while waiting or pending:
            most = AHEAD * max(1, int(ray.cluster_resources().get('CPU', 1)))
            while waiting and len(pending) < most:
                task = waiting.pop()
                # Folders of this machine are none of the node's.
                pending[run.remote(replace(task, scratch=None))] = task
            done, _ = ray.wait(list(pending), num_returns=1, timeout=1.0)
            for reference in done:
                yield _result(pending.pop(reference), reference)
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)
        if began_cluster:
            ray.shutdown()


def _begin(jobs: int) -> None:
    """Connect to the cluster of ``RAY_ADDRESS``, or begin a local one."""
    import ray

    try:
        if os.environ.get('RAY_ADDRESS'):
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
        else:
            ray.init(num_cpus=jobs, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:
        raise InvalidInputError(one_line(f'ray: expected a cluster at {os.environ.get("RAY_ADDRESS") or "local"}: '
                                         f'{error}')) from error


def _result(task: BagTask, reference: object) -> BagResult:
    """Of a finished task; a process or node that was lost too often costs its task."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return BagResult(task.bag.url, task.name, reason=one_line(
            f'{task.bag.url}: the process that evaluated it was lost {RETRIES + 1} times: '
            f'{type(error).__name__}'))
