# SPDX-License-Identifier: Apache-2.0
"""Pictures of the worst frames of many results, from those of their recordings that are on this machine."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from posegrasp_ros.datasets.bag_reader import BagReader
from posegrasp_ros.datasets.bag_topics import BagTopics
from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.datasets.ground_truth import TOLERANCE_MS
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.overlay import Boxed
from posegrasp_ros.estimation.pose_estimate import Estimation, PoseEstimate
from posegrasp_ros.evaluation.method import of_object
from posegrasp_ros.fleet.locations import StoredFile
from posegrasp_ros.fleet.stored_result import StoredResult
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.metrics.pose.pose_errors import relative_error
from posegrasp_ros.report.frame_pictures import FramePictures, Shown, UnknownShape
from posegrasp_ros.runs.provenance import describe_model
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.runtime.resources import model_folder

if TYPE_CHECKING:  # only the extra fleet installs it
    import pyarrow as pa

LOGGER = logging.getLogger(__name__)
READ = ('object', 'stamp_ns', 'has_truth', 'perception_ok', 'perception_reason', 'score', 'position_m',
        'rotation_rad', 'estimate')
SHARE = 0.25
"""Of the pictures of a single run."""
CONSIDERED = 800
"""Rows of one result that are looked at one by one."""
MOST_BAGS = 12
"""Recordings that are read again, those with the most frames to show first."""


class MergedPictures(NamedTuple):
    """Pictures of a merged run.

    :param pictures: see :meth:`posegrasp_ros.report.frame_pictures.FramePictures.pictures`
    :param missing: sentence on why there are none, or not of all recordings; empty where nothing is missing
    """

    pictures: list[dict[str, Any]]
    missing: str = ''


@dataclass(frozen=True)
class _Chosen:
    """A frame to draw.

    :param stamp_ns: as in the recording
    :param estimate: (4, 4); None where the results do not hold it
    """

    shown: Shown
    stamp_ns: int
    estimate: np.ndarray | None


def merged_pictures(results: Sequence[StoredResult], estimator: str, where: str = '') -> MergedPictures:
    """Draw the worst frames, and a sample of others, of the recordings that are where their results say.

    :param where: SQL condition on the rows; empty for all
    """
    here = [each for each in results if _path(each) is not None]
    if not here:
        return MergedPictures([], f'No pictures: the recordings are not on this machine '
                                  f'({results[0].document["bag"]}).')
    wanted = _chosen(here, estimator, where)
    order = sorted(wanted, key=lambda place: -len(wanted[place]))[:MOST_BAGS]
    drawn, failed = FramePictures(SHARE), []
    for place in Progress(order, desc='pictures', unit='recording'):
        try:
            _draw(here[place], wanted[place], drawn)
        except (InvalidInputError, OSError) as error:
            failed.append(f'{here[place].document["bag"]}: {error}')
    away, unread = len(results) - len(here), len(wanted) - len(order)
    missing = [f'{away} of {len(results)} recordings are not on this machine'] if away else []
    missing += [f'{unread} have fewer frames to show than the {MOST_BAGS} that were read'] if unread else []
    missing += [f'{len(failed)} cannot be read ({failed[0]})'] if failed else []
    says = [f'Not pictured: {"; ".join(missing)}.'] if missing else []
    if not any(each.estimate is not None for chosen in wanted.values() for each in chosen):
        says.append('The pictures show no estimates: results hold poses only where a frame has one true pose.')
    return MergedPictures(drawn.pictures(), ' '.join(says))


def _path(result: StoredResult) -> Path | None:
    """Where the recording is on this machine; None where it is not."""
    path = StoredFile(result.document['bag']).local_path
    return path if path is not None and path.exists() else None


def _chosen(results: Sequence[StoredResult], estimator: str, where: str) -> Mapping[int, list[_Chosen]]:
    """The frames to draw, by the place of their result."""
    choice = FramePictures(SHARE)
    found: dict[tuple[int, str], tuple[int, _Chosen]] = {}
    for place, result in enumerate(results):
        if estimator not in result.document['rows']:
            continue
        for row in _worth_considering(result.rows(estimator, READ, where)).to_pylist():
            shown = _shown(row, result.shift_ns)
            if choice.reserve(shown):
                estimate = None if row['estimate'] is None else np.array(row['estimate']).reshape(4, 4)
                found[shown.stamp_ns, shown.object] = place, _Chosen(shown, row['stamp_ns'], estimate)
    by_result: dict[int, list[_Chosen]] = defaultdict(list)
    for key in choice.kept_keys():
        place, chosen = found[key]
        by_result[place].append(chosen)
    return by_result


def _worth_considering(rows: pa.Table) -> pa.Table:
    """Of many rows those with the largest errors, the lowest scores and no pose, and some of the others."""
    if rows.num_rows <= CONSIDERED:
        return rows
    position_m, rotation_rad, scores = (rows[name].to_numpy() for name in ('position_m', 'rotation_rad', 'score'))
    errors, each = relative_error(position_m, rotation_rad), CONSIDERED // 4
    unposed = np.flatnonzero(~rows['perception_ok'].fill_null(False).to_numpy())
    chosen = np.concatenate([np.argsort(-errors, kind='stable')[:each], np.argsort(scores, kind='stable')[:each],
                             *(some[np.linspace(0, len(some) - 1, min(each, len(some))).astype(int)]
                               for some in (unposed, np.arange(rows.num_rows)))])
    return rows.take(np.unique(chosen))


def _shown(row: Mapping[str, Any], shift_ns: int) -> Shown:
    posed = bool(row['perception_ok'])
    error = math.nan
    if row['has_truth']:
        error = math.inf if row['position_m'] is None else float(relative_error(row['position_m'],
                                                                                row['rotation_rad']))
    return Shown(row['stamp_ns'] + shift_ns, row['object'], error,
                 '' if posed else row['perception_reason'] or 'no_pose',
                 math.nan if row['score'] is None else row['score'])


def _draw(result: StoredResult, chosen: Sequence[_Chosen], drawn: FramePictures) -> None:
    """Read a recording once more, and draw the chosen frames of it."""
    names = tuple(next(iter(result.document['facts'].values()))['objects'])
    by_stamp: dict[int, list[_Chosen]] = defaultdict(list)
    for each in chosen:
        by_stamp[each.stamp_ns].append(each)
    configuration = result.document['described'].get('configuration') or {}
    stated = configuration.get('topics') or [{}]
    path, tolerance_ms = _path(result), configuration.get('tolerance_ms', TOLERANCE_MS)
    if path is None:
        raise InvalidInputError('it was there when the pictures were begun')
    reader = BagReader(path, BagTopics(**stated[0]), tolerance_ms=tolerance_ms, objects=names)
    for undecoded in reader.undecoded():
        frame: BagFrame | None = None
        for each in by_stamp.pop(undecoded.stamp_ns, ()):
            frame = frame or undecoded.decode()
            poses = [] if each.estimate is None else [PoseEstimate(each.estimate, 0.0, np.zeros((6, 6)))]
            drawn.consider(each.shown, of_object(frame, each.shown.object), Estimation(poses),
                           _shape(result, each.shown.object))
        if not by_stamp:
            return


def _shape(result: StoredResult, name: str) -> Boxed:
    """The object's box, of the only one of a shipped model that has not changed; else its size alone is known."""
    model = result.document['described'].get('model') or {}
    if not name and (mesh := _shipped_mesh(model.get('name', ''), model.get('sha256', ''))):
        return mesh
    sizes = next(iter(result.document['facts'].values()))['objects'][name]
    return UnknownShape(sizes['diameter_m'] or 0.1)


@lru_cache(maxsize=4)
def _shipped_mesh(name: str, sha256: str) -> Mesh | None:
    """Of a model with this hash; None where there is none."""
    try:
        card = load_model_card(model_folder(name))
    except (InvalidInputError, OSError) as error:
        LOGGER.debug('no mesh to draw %s with: %s', name, error)
        return None
    return card.mesh if describe_model(card)['sha256'] == sha256 else None
