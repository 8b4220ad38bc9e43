# SPDX-License-Identifier: Apache-2.0
"""The summary of a run from its frames and from what else it depends on, which metrics.jsonl keeps too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from posegrasp_ros.metrics.baselines.baselines import Baselines, Entry
from posegrasp_ros.metrics.catalogue import catalogue
from posegrasp_ros.metrics.diagnosis.failure_attribution import with_oracle
from posegrasp_ros.metrics.formatting import quantity
from posegrasp_ros.metrics.frame_columns import ObjectSize, RunFacts
from posegrasp_ros.metrics.frame_pairs import paired_comparisons
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.metrics.pose.pose_errors import PoseTolerance
from posegrasp_ros.metrics.summary import judged, summarise
from posegrasp_ros.report.run_report import SAME_FRAMES

# Estimators that are references for the others, and the baselines file's kind of each.
REFERENCES = {'network': 'simple_ml', 'feature_match': 'scripted', 'mean_pose': 'scripted'}
# The ground truth itself: an upper bound, which nothing is better or worse than.
BOUND = 'oracle'
# What a summary states of every estimator.
PER_ESTIMATOR = ('headline', 'stages', 'metrics', 'by_visible_share', 'failures', 'distributions', 'calibration',
                 'waterfall', 'latency')
UNNAMED = ''
"""The only estimator of a run that compares none."""


@dataclass(frozen=True)
class SummaryInputs:
    """What a summary depends on besides the frames.

    :param facts: of each estimator's frames, by its name; under :data:`UNNAMED` where none are compared
    :param about: further fields of the summary, among them ``provenance``
    :param estimator: the one of several that the summary is about; None where none are compared
    """

    facts: Mapping[str, RunFacts]
    baselines: Baselines
    about: dict[str, Any]
    estimator: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            'facts': {name: plain_facts(facts) for name, facts in self.facts.items()},
            'baselines': {name: asdict(metric) for name, metric in self.baselines.metrics.items()},
            'about': self.about,
            'estimator': self.estimator,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SummaryInputs:
        """Inverse of :meth:`to_dict`.

        :raises ValueError: when a field is missing or has the wrong type
        """
        try:
            return cls({str(name): facts_from(facts) for name, facts in data['facts'].items()},
                       Baselines.from_dict(data['baselines']), dict(data['about']), data.get('estimator'))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'summary: expected facts, baselines and about: {error!r}') from error


def summary_of(tables: Mapping[str, FrameTable], inputs: SummaryInputs) -> dict[str, Any]:
    """The summary of a run.

    Where estimators are compared, it is that of one of them, judged by the baselines and by what the references
    reached on the same frames.

    :param tables: of the same frames, by estimator
    """
    provenance = inputs.about.get('provenance', {})
    if inputs.estimator is None:
        return {**summarise(tables[UNNAMED], inputs.baselines, provenance), **inputs.about}
    chosen, date = inputs.estimator, provenance.get('time', '')[:10]
    # Of tables that are read from files one at a time is in memory.
    summaries = {name: summarise(tables[name], inputs.baselines, provenance) for name in tables}
    summary = _judged_by_references(summaries, chosen, inputs.baselines, date)
    for name in summary.get('objects', ()):
        parts = {estimator: each['objects'][name] for estimator, each in summaries.items()}
        summary['objects'][name] = _judged_by_references(parts, chosen, inputs.baselines, date)
    if any(each['findings'] for each in inputs.about.get('diagnosis', {}).get(chosen, {}).values()):
        summary['next']['remedy'] = 'mend what is systematically wrong with the poses first, as said there.'
    return {
        **summary,
        'paired': paired_comparisons(tables, chosen, [name for name in tables if name not in (chosen, BOUND)]),
        'estimator': chosen,
        'estimators': {name: {key: other[key] for key in PER_ESTIMATOR} for name, other in summaries.items()},
        **inputs.about,
    }


def _judged_by_references(parts: Mapping[str, dict], chosen: str, baselines: Baselines, date: str) -> dict:
    """The part of a summary on the chosen estimator, judged by the references too."""
    for name, part in parts.items():
        if name in REFERENCES and name != chosen:
            baselines = with_measured(baselines, name, part, date)
    part = parts[chosen]
    if BOUND in parts:
        part = {**part, 'waterfall': with_oracle(part['waterfall'], parts[BOUND]['waterfall'])}
    return judged(part, baselines)


def with_measured(baselines: Baselines, name: str, part: dict, date: str) -> Baselines:
    """The baselines file with what a reference reached on the same frames.

    Only in the metrics that estimators are compared by frame by frame, which are of how right they are: a rule
    that does not look is fast for no merit.

    :param part: of a summary, with ``stages`` and ``metrics``
    """
    coverage = part['stages']['perception']['coverage']
    for metric in [name for name, each in catalogue().items() if each.is_paired]:
        value = part['metrics'][metric]['value']
        if value is None or metric not in baselines.metrics:
            continue
        note = ''
        if metric.endswith('_median') and coverage < 0.95:
            note = f'median over the {quantity(coverage, "1")} of frames that it answers'
        baselines = baselines.with_entry(metric, Entry(name, REFERENCES[name], value, SAME_FRAMES, date,
                                                       fair=not note, note=note))
    return baselines


def plain_facts(facts: RunFacts) -> dict[str, Any]:
    """Plain values for JSON."""
    return {**facts._asdict(), 'objects': {
        name: {**size._asdict(), 'tolerance': size.tolerance._asdict()}
        for name, size in facts.objects.items()}}


def facts_from(stated: dict[str, Any]) -> RunFacts:
    """Inverse of :func:`plain_facts`."""
    objects = {str(name): ObjectSize(size['diameter_m'], PoseTolerance(**size['tolerance']),
                                     bool(size.get('measures_poses', size['diameter_m'] is not None)))
               for name, size in stated['objects'].items()}
    return RunFacts(objects, int(stated['block_ns']), bool(stated['knows_images']), int(stated['repeats']))
