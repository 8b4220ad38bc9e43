# SPDX-License-Identifier: Apache-2.0
"""Evaluation of a fleet's recordings: those with a result are skipped, failures are named, the rest is done."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from posegrasp_ros.fleet.bag_method import BagMethod, loaded, method_hash
from posegrasp_ros.fleet.bag_task import BagResult, BagTask, result_name, told_failure
from posegrasp_ros.fleet.engine import engine_of
from posegrasp_ros.fleet.fleet_progress import FleetProgress
from posegrasp_ros.fleet.locations import LocationError, StoredFile, listed, told
from posegrasp_ros.fleet.result_file import ResultFolder
from posegrasp_ros.fleet.shard import Shard


@dataclass
class FleetAccount:
    """What became of the recordings of a shard.

    :param found: in all shards
    :param present: that had a result already
    :param results: of those that were evaluated
    :param unlisted: why patterns could not be listed, one line each
    """

    found: int = 0
    present: int = 0
    results: list[BagResult] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """What is not done, one line each."""
        return [*self.unlisted, *(result.reason for result in self.results if result.reason)]

    @property
    def done(self) -> list[BagResult]:
        """The new results."""
        return [result for result in self.results if not result.reason]


def evaluate_fleet(patterns: Sequence[str], method: BagMethod, out: str, shard: Shard | None = None, jobs: int = 1,
                   engine: str = 'local', heard: Callable[[BagResult], object] | None = None) -> FleetAccount:
    """Evaluate the recordings that patterns name, each to a Parquet file of frames.

    :param patterns: paths, URLs, or either with ``*``, ``**``, ``?`` and ``[...]``
    :param out: folder of results, a path or a URL
    :param shard: which of the recordings; None for all
    :param jobs: how many at a time
    :param engine: one of :func:`posegrasp_ros.fleet.engine.engine_names`
    :param heard: is told of each result as it comes; None for nobody
    :raises LocationError: when no pattern names any recording, or the results cannot be listed
    """
    run_engine = engine_of(engine)
    importlib.import_module('pyarrow')  # rather one line now than one for each recording
    account = FleetAccount()
    bags = _listed(patterns, account)
    account.found = len(bags)
    share = (shard or Shard()).of(bags)
    hashed = method_hash(loaded(method).identity)
    folder = ResultFolder(out)
    try:
        present = folder.found()
    except Exception as error:
        raise LocationError(f'{out}: expected a folder for results: {told(error)}') from error
    scratch = tempfile.mkdtemp(prefix='posegrasp-fleet-')
    try:
        named = [(bag, result_name(bag, hashed)) for bag in share]
        tasks = [BagTask(bag, name, method, out, folder.run, scratch) for bag, name in named
                 if name not in present]
        account.present = len(named) - len(tasks)
        by_name = {task.name: task for task in tasks}
        with ExitStack() as stack:
            progress = stack.enter_context(FleetProgress(len(tasks)))
            for line in account.unlisted:
                progress.say(f'failed: {line}')
            for result in stack.enter_context(closing(run_engine(tasks, jobs))):  # type: ignore[type-var]
                account.results.append(result)
                if heard:
                    heard(result)
                progress.step(result.reason)
                if result.reason:
                    _write_down(folder, by_name[result.name], result)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        folder.clean()
    return account


def _listed(patterns: Sequence[str], account: FleetAccount) -> list[StoredFile]:
    """The recordings by their URLs, each once."""
    found: dict[str, StoredFile] = {}
    errors = []
    for pattern in patterns:
        try:
            found |= {bag.url: bag for bag in listed(pattern)}
        except LocationError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    account.unlisted += map(str, errors)
    return [found[url] for url in sorted(found)]


def _write_down(folder: ResultFolder, task: BagTask, result: BagResult) -> None:
    """A process that was killed could not; one that could not store anything cannot either."""
    try:
        folder.tell_failure(task.name, told_failure(task, result.reason))
    except Exception:
        return
