# SPDX-License-Identifier: Apache-2.0
"""One recording in, one file of frames out: the task that engines hand around."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import posegrasp_ros
from posegrasp_ros.datasets.bag_messages import BagError
from posegrasp_ros.evaluation.measured_run import MeasuredRun, PreparedRun
from posegrasp_ros.fleet.bag_method import BagMethod, LoadedMethod, loaded, method_hash, plain
from posegrasp_ros.fleet.frame_schema import frames_of, frames_schema, keyed_records
from posegrasp_ros.fleet.locations import StoredFile, told
from posegrasp_ros.fleet.partition_values import DATE, MODEL, date_of, partition_folder, partition_values
from posegrasp_ros.fleet.remote_bag import local_bag
from posegrasp_ros.fleet.result_file import SUFFIX, ResultFolder, write_frames
from posegrasp_ros.runs.provenance import describe_bag
from posegrasp_ros.runs.run_summary import plain_facts
from posegrasp_ros.runtime.errors import one_line
from posegrasp_ros.runtime.file_hash import sha256_of

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class BagTask:
    """What an engine hands to :func:`evaluate_bag`; can be pickled.

    :param name: of the result, see :func:`result_name`
    :param out: URL of the folder of results
    :param run: see :class:`posegrasp_ros.fleet.result_file.ResultFolder`
    :param scratch: local folder for what is fetched and for unfinished results; None for the system's
    """

    bag: StoredFile
    name: str
    method: BagMethod
    out: str
    run: str
    scratch: str | None = None


@dataclass(frozen=True)
class BagResult:
    """What became of a task.

    :param reason: why there is no result, one line; empty where there is one
    :param url: of the result
    :param rows: in it
    :param seconds: that it took
    :param own_seconds: of these, without the evaluation itself and the transfer of the recording
    """

    bag: str
    name: str
    reason: str = ''
    url: str = ''
    rows: int = 0
    seconds: float = 0.0
    own_seconds: float = 0.0


def result_name(bag: StoredFile, method: str) -> str:
    """Name of a recording's result: a hash of the recording, of the method and of this code's version.

    :param method: see :func:`posegrasp_ros.fleet.bag_method.method_hash`
    """
    content = {'url': bag.url, 'size': bag.size, 'content': bag.tag or _content(bag)}
    text = json.dumps({'bag': content, 'method': method}, sort_keys=True)
    return hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:32]


def evaluate_bag(task: BagTask) -> BagResult:
    """Evaluate a recording and store its frames; never raises."""
    began = time.perf_counter()
    logger = logging.getLogger('posegrasp_ros')
    level = logger.level
    logger.setLevel(logging.ERROR)  # warnings are in the result
    try:
        result = _evaluated(task)
    except Exception as error:
        result = BagResult(task.bag.url, task.name, reason=_reason(task.bag, error))
    finally:
        logger.setLevel(level)
    result = replace(result, seconds=time.perf_counter() - began)
    try:
        _tell(task, result)
    except Exception as error:
        return replace(result, reason=result.reason or one_line(f'{task.out}: {told(error)}'))
    return result


def told_failure(task: BagTask, reason: str) -> dict[str, Any]:
    """Document of a recording without a result."""
    return {'bag': task.bag.url, 'reason': reason, 'code': posegrasp_ros.__version__,
            'time': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}


def _tell(task: BagTask, result: BagResult) -> None:
    folder = ResultFolder(task.out, task.run)
    if result.reason:
        folder.tell_failure(task.name, told_failure(task, result.reason))
    else:
        folder.forget_failure(task.name)


def _reason(bag: StoredFile, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return one_line(f'{bag.url}: no such file any more; it was there when the recordings were listed')
    if isinstance(error, MemoryError):
        return f'{bag.url}: out of memory'
    text = told(error)
    return one_line(text if text.startswith(bag.url) else f'{bag.url}: {text}')


def _evaluated(task: BagTask) -> BagResult:
    method = loaded(task.method)
    with local_bag(task.bag, Path(task.scratch) if task.scratch else None) as path:
        try:
            prepared = method.prepared(path)
            prepared.run.keep_everything()
            prepared.run.measure(prepared.answer, None, progress=False)
            measured = time.perf_counter()
            rows, url = _stored(task, method, prepared, path)
        except BagError as error:
            raise BagError(str(error).replace(str(path), task.bag.url)) from error
    return BagResult(task.bag.url, task.name, url=url, rows=rows,
                     own_seconds=time.perf_counter() - measured)


def _stored(task: BagTask, method: LoadedMethod, prepared: PreparedRun, path: Path) -> tuple[int, str]:
    """Write and upload the frames; how many there are, and where."""
    values = partition_values(task.bag.url)
    own = {name if name not in (MODEL, *frames_schema().names) else f'path_{name}': value
           for name, value in values.items() if name != DATE}
    run = prepared.run
    date = date_of(values, run.span.first_ns if run.span else None)
    records = {name: keyed_records(each) for name, each in run.methods.items()}
    tables = [frames_of(task.bag.url, name, each, own) for name, each in records.items()]
    document = {**_document(task, method, prepared, path), 'columns': own,
                'rows': {name: len(each) for name, each in records.items()},
                'objects': {name: dict(Counter(row.key.object for row in each)) for name, each in records.items()}}
    text = json.dumps(document).replace(json.dumps(str(path))[1:-1], json.dumps(task.bag.url)[1:-1])
    document = json.loads(text)  # without the folder that it was fetched to
    with tempfile.TemporaryDirectory(prefix='posegrasp-', dir=task.scratch) as folder:
        file = Path(folder) / f'{task.name}{SUFFIX}'
        write_frames(file, tables, document)
        place = f'{partition_folder(**{MODEL: method.model, DATE: date})}/{file.name}'
        return sum(map(len, records.values())), ResultFolder(task.out, task.run).put(file, place)


def _document(task: BagTask, method: LoadedMethod, prepared: PreparedRun, path: Path) -> dict[str, Any]:
    """What the summary depends on besides the frames."""
    run = prepared.run
    return {
        'bag': task.bag.url, 'name': path.name, 'size': task.bag.size, 'tag': task.bag.tag,
        'code': posegrasp_ros.__version__, 'method': method_hash(method.identity), 'model': method.model,
        'first_ns': run.span.first_ns if run.span else 0, 'last_ns': run.span.last_ns if run.span else 0,
        'estimator': run.chosen, 'recordings': [each.to_dict() for each in run.recordings],
        'facts': {name: plain_facts(each.metrics.facts) for name, each in run.methods.items()},
        'described': prepared.described, 'bags': [describe_bag(path)],
        'circumstances': {**prepared.circumstances, **run.circumstances()},
        'usual': {name: {figure: list(usual) for figure, usual in guard.usual.items()}
                  for name, guard in run.methods[run.chosen].guards.items()},
        'problems': run.problems.to_dict(), 'diagnosed': _diagnosed(run),
        'warnings': [[source.path.name, line] for source in run.sources for line in source.warnings],
    }


def _diagnosed(run: MeasuredRun) -> dict[str, dict[str, Any]]:
    """What the diagnosis depends on besides the pairs, by estimator and object."""
    found: dict[str, dict[str, Any]] = {}
    for name, method in run.methods.items():
        for each, log in method.pair_logs.items():
            pairs = log.pairs()
            found.setdefault(name, {})[each] = {
                'symmetry': plain(pairs.symmetry),
                'radius_m': pairs.radius_m, 'camera': pairs.camera and plain(pairs.camera),
                'cameras': {name: plain(camera) for name, camera in pairs.cameras.items()}}
    return found


def _content(bag: StoredFile) -> str:
    """Hash of a local recording, for no store states one; of a folder, that of its files."""
    path = bag.local_path
    if path is None:
        return ''
    if path.is_dir():
        files = sorted(file for file in path.rglob('*') if file.is_file())
        lines = ''.join(f'{sha256_of(file)}  {file.relative_to(path).as_posix()}\n' for file in files)
        return hashlib.sha256(lines.encode(errors='surrogateescape')).hexdigest()
    return sha256_of(path)
