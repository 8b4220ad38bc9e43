# SPDX-License-Identifier: Apache-2.0
"""Report of a comparison of runs: tables for the terminal, and report.html."""

from __future__ import annotations

from collections.abc import Sequence

from posegrasp_ros.metrics import formatting
from posegrasp_ros.report import plots
from posegrasp_ros.report.frame_rows import place_in, recordings_of
from posegrasp_ros.report.page import render_page
from posegrasp_ros.report.provenance_table import provenance_rows
from posegrasp_ros.report.run_report import measured_metrics, requirements_of, time_need
from posegrasp_ros.report.table import aligned
from posegrasp_ros.report.truth_text import marked, notes_of
from posegrasp_ros.runtime.text_layout import wrapped


def format_comparison(comparison: dict) -> str:
    """The comparison as aligned plain text."""
    blocks = [_metric_rows(comparison), _difference_rows(comparison)]
    blocks += [wrapped(line) for line in conclusions(comparison)]
    return '\n\n'.join('\n'.join(block) for block in blocks)


def render_comparison(comparison: dict, pictures: Sequence[tuple[str, str]] = ()) -> str:
    """The comparison as one self-contained page.

    :param pictures: see :func:`posegrasp_ros.evaluation.run_comparison.change_pictures`
    """
    runs = comparison['runs']
    requirements = requirements_of(runs[comparison['reference']])
    return render_page(
        'compare.html.j2', comparison=comparison, runs=runs, conclusions=conclusions(comparison),
        requirements=requirements, needs={name: requirements_of(run) for name, run in runs.items()},
        pictures=[(change, *pair) for change, pair in zip(comparison['changes'], pictures) if any(pair)],
        origins={name: provenance_rows(run['provenance'], run['schema']) for name, run in runs.items()},
        place_of=lambda change: place_in(recordings_of(runs[change['run']]), change['bag'], change['stamp_ns']),
        measured=measured_metrics(runs), falls={name: plots.waterfall(run) for name, run in runs.items()},
        curves=plots.error_curves(runs), strips=plots.error_strips(runs),
        reliability=plots.reliability_curves(runs),
        latency=plots.latency_strips(runs, time_need(requirements)))


def conclusions(comparison: dict) -> list[str]:
    """One sentence per run against the reference, by the reference's headline; partial runs are listed first."""
    reference = comparison['reference']
    headline = comparison['runs'][reference]['headline']['name']
    partial = [f'{name} is a partial run: {run["partial"]}. Its figures cover what was measured until then.'
               for name, run in comparison['runs'].items() if run.get('partial')]
    return [*partial, *_conclusions(comparison, reference, headline)]


def _conclusions(comparison: dict, reference: str, headline: str) -> list[str]:
    return [_conclusion(comparison, name, headline) for name in comparison['runs'] if name != reference]


def _conclusion(comparison: dict, name: str, headline: str) -> str:
    reference = comparison['reference']
    found = next((each for each in comparison['differences']
                  if each['run'] == name and each['metric'] == headline), None)
    if found is None:
        return (f'{name} and {reference} cannot be compared: {formatting.label(headline)} was not measured in '
                'both.')
    verdict = {'better': f'is better than {reference}', 'worse': f'is worse than {reference}',
               'inconclusive': f'is not significantly different from {reference}'}[found['verdict']]
    difference = formatting.difference(found['difference'], found['unit'])
    text = f'{name} {verdict}: {formatting.label(headline)} {difference}'
    if found['interval']:
        text += f', 95 % interval {formatting.interval(found["interval"], found["unit"])}'
    if not found['is_paired']:
        return f'{text}, from the two intervals (unpaired).'
    return f'{text}, paired over {found["n"]} frames (p {formatting.probability(found["p_value"])}).'


def _metric_rows(comparison: dict) -> list[str]:
    runs = comparison['runs']
    needs = requirements_of(runs[comparison['reference']])
    rows = [['metric', 'needed', *runs]]
    rows.append(['coverage', '', *(formatting.quantity(run['stages']['perception']['coverage'], '1')
                                   for run in runs.values())])
    for metric in measured_metrics(runs):
        need = needs.get(metric)
        measured = [run['metrics'].get(metric) for run in runs.values()]
        rows.append([metric, formatting.target(need['reference'], need['tolerance'], need['unit']) if need else '',
                     *(marked(each) if each else formatting.NOTHING for each in measured)])
    return [*aligned(rows), *(f'*: {note}' for note in notes_of(runs.values()))]


def _difference_rows(comparison: dict) -> list[str]:
    rows = [[f'against {comparison["reference"]}', 'metric', 'difference', '95 % interval', 'p', 'frames',
             'verdict']]
    for each in comparison['differences']:
        rows.append([each['run'], each['metric'], formatting.difference(each['difference'], each['unit']),
                     formatting.interval(each['interval'], each['unit']), formatting.probability(each['p_value']),
                     f'same {each["n"]}' if each['is_paired'] else 'unpaired',
                     each['verdict'] or formatting.NOTHING])
    return aligned(rows, left=(0, 1, 6))
