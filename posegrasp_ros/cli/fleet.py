# SPDX-License-Identifier: Apache-2.0
"""The part of ``posegrasp evaluate`` that evaluates a fleet's recordings, one file of frames each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group

from posegrasp_ros.cli.options import option, option_group
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE, PARTIAL

if TYPE_CHECKING:  # commands import in their bodies
    from posegrasp_ros.fleet.bag_method import BagMethod


@option_group(Group.create_ordered('Fleets'))
@dataclass(frozen=True)
class Fleet:
    """Many recordings, on disks or in object stores: a file of frames for each, for `posegrasp merge` and `query`.

    :param shard: evaluate the K-th of N shares of the recordings into a folder of results; recordings that have a
        result there are not evaluated again. URLs and patterns in quotes have the same effect, for all recordings
    :param engine: where they are evaluated: local, --jobs processes on this machine; ray, a cluster
    :param address: address of a Ray cluster, auto for the one that this machine belongs to; default: a local one
        with --jobs processors
    """

    shard: Annotated[str | None, option('K/N')] = None
    engine: Annotated[str, option('NAME')] = 'local'
    address: Annotated[str | None, option('ADDRESS')] = None


FLEET = Fleet()


def is_fleet(bags: Sequence[str], out: str, fleet: Fleet) -> bool:
    """Whether recordings are evaluated one by one, to files of frames."""
    from posegrasp_ros.fleet.locations import is_pattern, is_url

    return fleet != FLEET or is_url(out) or any(is_url(bag) or is_pattern(bag) for bag in bags)


def evaluate_shard(bags: Sequence[str], method: BagMethod, out: str, fleet: Fleet, jobs: int) -> int:
    """Evaluate, and say what is done and what is not."""
    from posegrasp_ros.fleet.fleet_evaluation import evaluate_fleet
    from posegrasp_ros.fleet.shard import Shard

    if fleet.address:
        if fleet.engine != 'ray':
            raise InvalidInputError(f'--address: expected with --engine ray, got {fleet.engine}')
        os.environ['RAY_ADDRESS'] = fleet.address
    shard = Shard.parsed(fleet.shard) if fleet.shard else Shard()
    account = evaluate_fleet(bags, method, out, shard, jobs, fleet.engine)
    share = '' if shard.count == 1 else f' in shard {shard.number}/{shard.count}'
    show(f'{account.found} recordings found, {account.present + len(account.results)}{share}: '
         f'{len(account.done)} evaluated, {account.present} had a result, {len(account.failures)} failed')
    show(f'results: {out}')
    if account.failures:
        remark(f'posegrasp: partial: {len(account.failures)} failed, see above; the same command retries them')
    return PARTIAL if account.failures else DONE
