# SPDX-License-Identifier: Apache-2.0
"""One run of many results: summary, verdicts and report as a single run over the same recordings has them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from posegrasp_ros.evaluation.problems import Problems
from posegrasp_ros.faults.correction_file import NAME as CORRECTIONS
from posegrasp_ros.faults.correction_file import corrections_text
from posegrasp_ros.faults.diagnose import diagnose
from posegrasp_ros.faults.pair_log import PairLog
from posegrasp_ros.faults.pose_pairs import PosePairs
from posegrasp_ros.fleet.frame_schema import frames_schema
from posegrasp_ros.fleet.merged_pictures import merged_pictures
from posegrasp_ros.fleet.merged_table import MergedTables
from posegrasp_ros.fleet.partition_values import DATE
from posegrasp_ros.fleet.result_file import ResultError, ResultFolder
from posegrasp_ros.fleet.stored_result import StoredResult, one_after_the_other, read_results
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.transforms import Symmetry
from posegrasp_ros.metrics.baselines.baselines import Baselines
from posegrasp_ros.metrics.calibration_guard import (
    UNLIKE,
    CalibrationGuard,
    UsualRange,
    ViewFigures,
    told_as_provenance,
)
from posegrasp_ros.metrics.frame_columns import RunFacts
from posegrasp_ros.report.frame_rows import Recording
from posegrasp_ros.report.run_report import page_of
from posegrasp_ros.runs.folder import RunFolder
from posegrasp_ros.runs.provenance import describe_run
from posegrasp_ros.runs.run_summary import SummaryInputs, facts_from, summary_of
from posegrasp_ros.runtime.errors import quoted

CONCATENATED = ('ground_truth', 'warnings', 'pose_sources')
"""Lists of a run's provenance with entries for each recording."""


@dataclass(frozen=True)
class MergedPart:
    """The run of the results with certain values.

    :param values: {column: value}; none of all
    :param page: renders the report, and draws what it shows
    """

    values: Mapping[str, str | None]
    summary: dict[str, Any]
    corrections: str
    page: Callable[[dict], str]

    @property
    def folder(self) -> str:
        """Its folder below that of the run."""
        return '/'.join(f'{name}={str(value).replace("/", "_")}' for name, value in self.values.items())

    def write(self, out: Path) -> None:
        """Write summary.json, report.html and corrections.yaml.

        :raises RunFolderError: when that is not possible
        """
        with RunFolder(out / self.folder if self.values else out, fresh=True) as folder:
            folder.write_text(CORRECTIONS, self.corrections)
            folder.write_summary(self.summary, self.page)


def merged_parts(url: str, baselines: Baselines, by: Sequence[str] = (), where: str = '',
                 has_whole: bool = True) -> Iterator[MergedPart]:
    """The run of all results, then one for each combination of the values of columns.

    :param url: folder of results, a path or a URL
    :param by: columns of the view ``frames``, see :mod:`posegrasp_ros.fleet.frame_schema`
    :param where: SQL condition on these columns; empty for all rows
    :param has_whole: whether the run of all results is wanted
    :raises ResultError: when there are no results, or they cannot be merged
    """
    folder = ResultFolder(url)
    results = read_results(folder)
    known = {*frames_schema().names, *(name for each in results for name in each.columns)}
    if unknown := [name for name in by if name not in known]:
        raise ResultError(f'--by: expected columns of frames ({", ".join(sorted(known))}), got '
                          f'{quoted(unknown[0])}')
    # One that was mended since has a result under another name.
    failures = sorted({each['bag'] for each in folder.failures().values()}
                      - {each.document['bag'] for each in results})
    if has_whole and (not by or len({each.document['method'] for each in results}) == 1):
        yield merged(results, baselines, where, failures)
    for values in _combinations(results, by, where):
        chosen = [each for each in results if all(each.columns[name] == value for name, value in values.items()
                                                  if name in each.columns)]
        conditions = [f'({where})'] if where else []
        conditions += [f'"{name}" IS NOT DISTINCT FROM {_literal(value)}' for name, value in values.items()
                       if any(name not in each.columns for each in chosen)]
        part = merged(chosen, baselines, ' AND '.join(conditions), [])
        if values.get(DATE):  # of what was recorded then; trends are over that
            provenance = {**part.summary['provenance'], 'time': f'{values[DATE]}T00:00:00+00:00',
                          'merged': part.summary['provenance']['time']}
            part = replace(part, summary={**part.summary, 'provenance': provenance})
        yield replace(part, values=values)


def merged(results: Sequence[StoredResult], baselines: Baselines, where: str = '',
           failures: Sequence[str] = ()) -> MergedPart:
    """The run of these results.

    :param failures: recordings that are missing
    :raises ResultError: when they are not of one method, or no rows are left
    """
    results = _of_one_method(results)
    if where:
        results = [each for each in results if any(
            each.rows(name, ('stamp_ns',), where).num_rows for name in each.document['rows'])]
    if not results:
        raise ResultError(f'--where {where}: expected a condition that holds for some rows, found none')
    results = one_after_the_other(results)
    chosen, facts = _facts(results, where)
    logs, guards = _replayed(results, chosen, facts, where)
    problems = Problems()
    for each in results:
        problems.add_all(Problems.from_dict(each.document['problems']))
    if problems.frames and not problems.usable:
        raise ResultError(problems.sentence())
    diagnosis = {name: {each: diagnose(log.pairs()).to_dict() for each, log in by_object.items()}
                 for name, by_object in logs.items()}
    provenance = _provenance([each.document for each in results], guards, failures, where)
    told = [tuple(line) for each in results for line in each.document['warnings']]
    about = {'provenance': provenance, 'problems': problems.to_list(told), 'diagnosis': diagnosis,
             'recordings': [each.to_dict() for result in results for each in _recordings(result)]}
    inputs = SummaryInputs(facts, baselines, about, chosen)
    tables = MergedTables(results, facts, where)
    try:
        summary = summary_of(tables, inputs)
    except ValueError as error:
        hint = 'expected a condition that holds for the same images of all estimators, or estimator = ...'
        raise ResultError(f'--where {where}: {hint}: {error}' if where else str(error)) from error

    def page(summary: dict) -> str:
        drawn = merged_pictures(results, chosen, where)
        return page_of(tables[chosen], drawn.pictures, drawn.missing)(summary)

    return MergedPart({}, summary, corrections_text(chosen, diagnosis.get(chosen, {})), page)


def _recordings(result: StoredResult) -> list[Recording]:
    """The stretches of a result's recording; of results of version 0.2.0 one."""
    stated = result.document.get('recordings')
    own = [Recording.from_dict(each) for each in stated] if stated else [
        Recording(result.document['name'], result.document['first_ns'])]
    return [replace(each, shift_ns=each.shift_ns + result.shift_ns) for each in own]


def _of_one_method(results: Sequence[StoredResult]) -> list[StoredResult]:
    methods = {each.document['method']: each for each in results}
    if len(methods) > 1:
        named = sorted({f'{each.document["model"]} ({", ".join(each.document["facts"])}; code '
                        f'{each.document["code"]}; {key[:8]})' for key, each in methods.items()})
        raise ResultError(f'expected results of one model, configuration and version, found {len(methods)}: '
                          f'{"; ".join(named)}: use --by model, or another folder of results for each')
    bags = [each.document['bag'] for each in results]
    if twice := sorted({bag for bag in bags if bags.count(bag) > 1} if len(set(bags)) < len(bags) else ()):
        raise ResultError(f'{twice[0]}: expected one result of each recording, found several: was it changed? '
                          'remove the older ones')
    return list(results)


def _facts(results: Sequence[StoredResult], where: str) -> tuple[str, dict[str, RunFacts]]:
    """The estimator in question, and what the records of each have in common."""
    first = results[0].document
    facts = {}
    for name in first['facts']:
        stated = [facts_from(each.document['facts'][name]) for each in results]
        for each, result in zip(stated, results):
            if (each.objects, each.block_ns) != (stated[0].objects, stated[0].block_ns):
                raise ResultError(f'{result.url}: expected objects and blocks as in {results[0].url}, found '
                                  'others')
        if where and not any(each.rows(name, ('stamp_ns',), where).num_rows for each in results):
            continue
        facts[name] = RunFacts(stated[0].objects, stated[0].block_ns, any(each.knows_images for each in stated),
                               sum(each.repeats for each in stated))
    return first['estimator'] if first['estimator'] in facts else next(iter(facts)), facts


def _replayed(results: Sequence[StoredResult], chosen: str, facts: Mapping[str, RunFacts],
              where: str) -> tuple[dict[str, dict[str, PairLog]], dict[str, CalibrationGuard]]:
    """What a run keeps of the frames besides their records: pairs for the diagnosis, and the guards."""
    import pyarrow as pa

    first = results[0].document
    logs = {name: {each: _log(about) for each, about in by_object.items()}
            for name, by_object in first['diagnosed'].items() if name in facts}
    guards = {name: CalibrationGuard({figure: UsualRange(usual[0], usual[1], usual[2], usual[3])
                                      for figure, usual in ranges.items()})
              for name, ranges in first['usual'].items()}
    for result in results:
        for name in facts:
            views = guards if name == chosen else {}
            if name not in logs and not views:
                continue
            rows = result.rows(name, ('object', 'stamp_ns', 'estimate', 'truth', 'said_ns', 'view'), where)
            for each, log in logs.get(name, {}).items():
                log.add_all(_pairs(rows, each, result.shift_ns, facts[name].block_ns))
                about = result.document['diagnosed'][name][each]
                log.camera = Camera(**about['camera']) if about['camera'] else log.camera
                log.cameras |= {topic: Camera(**camera) for topic, camera in about.get('cameras', {}).items()}
            for each, guard in views.items():
                guard.add_views(_views(rows, each, tuple(guard.usual)))
    pa.default_memory_pool().release_unused()
    return logs, guards


def _log(about: Mapping[str, Any]) -> PairLog:
    symmetry = about['symmetry']
    axis = symmetry['axis']
    return PairLog(Symmetry(np.array(symmetry['discrete']), None if axis is None else np.array(axis),
                            np.array(symmetry['offset'])), 2 * about['radius_m'])


def _pairs(rows: Any, name: str, shift_ns: int, block_ns: int) -> PosePairs:
    """The pairs of an object among rows."""
    import pyarrow.compute as pc

    rows = rows.filter(pc.and_(pc.equal(rows['object'].cast('string'), name), rows['said_ns'].is_valid()))
    stamps = rows['stamp_ns'].to_numpy() + shift_ns
    estimates, truths = (rows[column].combine_chunks().flatten().to_numpy().reshape(-1, 4, 4)
                         for column in ('estimate', 'truth'))
    return PosePairs(stamps, estimates, truths, stamps // block_ns, rows['said_ns'].to_numpy() + shift_ns)


def _views(rows: Any, name: str, figures: Sequence[str]) -> ViewFigures:
    """The views of an object among rows, with these figures."""
    import pyarrow.compute as pc

    views = rows.filter(pc.and_(pc.equal(rows['object'].cast('string'), name), rows['view'].is_valid()))
    views = views['view'].combine_chunks()
    owners = np.repeat(np.arange(len(views)), np.diff(views.offsets.to_numpy()))
    keys, stated = pc.dictionary_encode(views.keys), views.items.to_numpy(zero_copy_only=False)
    words, codes = keys.dictionary.to_pylist(), keys.indices.to_numpy()
    values, is_known = {}, {}
    for figure in figures:
        is_its = codes == words.index(figure) if figure in words else np.zeros(len(codes), dtype=bool)
        values[figure], is_known[figure] = np.full(len(views), np.nan), np.zeros(len(views), dtype=bool)
        values[figure][owners[is_its]], is_known[figure][owners[is_its]] = stated[is_its], True
    return ViewFigures(values, is_known)


def _provenance(documents: Sequence[Mapping[str, Any]], guards: Mapping[str, CalibrationGuard],
                failures: Sequence[str], where: str) -> dict[str, Any]:
    """As of a single run, with what makes it a merged one."""
    first = documents[0]
    configuration = dict(first['described'].get('configuration') or {})
    is_hashed = configuration.pop('sha256', None) is not None
    if 'topics' in configuration:
        configuration['topics'] = [each for document in documents
                                   for each in document['described']['configuration']['topics']]
    if is_hashed:
        text = json.dumps(configuration, sort_keys=True)
        configuration['sha256'] = hashlib.sha256(text.encode()).hexdigest()
    circumstances = {name: value for name, value in first['circumstances'].items() if name != UNLIKE}
    for name in CONCATENATED:
        if name in circumstances:
            circumstances[name] = [each for document in documents for each in document['circumstances'][name]]
    here = describe_run()
    return {**first['described'], 'time': here['time'], 'host': here['host'], 'versions': here['versions'],
            'configuration': configuration,
            'bags': [bag for document in documents for bag in document['bags']], **circumstances,
            'complete': not failures and all(document['circumstances']['complete'] for document in documents),
            **told_as_provenance(guards),
            **({'failed': list(failures)} if failures else {}), **({'where': where} if where else {})}


def _combinations(results: Sequence[StoredResult], by: Sequence[str], where: str) -> list[dict[str, Any]]:
    """The combinations of values that occur."""
    if not by:
        return []
    found: dict[tuple, None] = {}
    in_files = {name for each in results for name in each.columns}
    if not where and set(by) <= in_files:
        found = dict.fromkeys(tuple(each.columns.get(name) for name in by) for each in results)
    else:
        from posegrasp_ros.fleet.frame_query import view_of

        names = ', '.join(f'"{name}"' for name in by)
        with view_of([each.url for each in results]) as view:
            found = dict.fromkeys(view.rows(f'SELECT DISTINCT {names} FROM frames'
                                            + (f' WHERE ({where})' if where else '')))
    order = sorted(found, key=lambda values: tuple((value is None, str(value)) for value in values))
    return [dict(zip(by, values)) for values in order]


def _literal(value: Any) -> str:
    if value is None:
        return 'NULL'
    return str(value) if isinstance(value, (bool, int, float)) else "'" + str(value).replace("'", "''") + "'"
