# SPDX-License-Identifier: Apache-2.0
"""Report of a run: tables for the terminal, and report.html, one file without external resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.calibration_guard import UNLIKE
from posegrasp_ros.metrics.catalogue import catalogue
from posegrasp_ros.metrics.frame_table import FrameTable
from posegrasp_ros.report import plots
from posegrasp_ros.report.clips import Clip
from posegrasp_ros.report.diagnosis_text import diagnosis_sentences, how_to_correct
from posegrasp_ros.report.failure_groups import failure_groups
from posegrasp_ros.report.first_card import also_missed, first_card
from posegrasp_ros.report.frame_browser import browser_data
from posegrasp_ros.report.frame_rows import (
    NOT_COUNTED,
    FrameRows,
    Recording,
    frame_rows,
    place_in,
    recordings_of,
)
from posegrasp_ros.report.page import render_page
from posegrasp_ros.report.provenance_table import provenance_rows
from posegrasp_ros.report.table import aligned
from posegrasp_ros.report.truth_text import marked, notes_of, truth_sentence
from posegrasp_ros.report.visible_share_table import (
    filled_slices,
    metric_label,
    share_rows,
    share_sentence,
    slice_label,
)
from posegrasp_ros.runtime.text_layout import wrapped

# Source of an entry that was measured in the run, not taken from the baselines file.
SAME_FRAMES = 'measured on the same frames'
ALL = 'all objects'
# Missed requirements that the brief text lists.
BRIEF_MISSED = 3


def format_table(summary: dict) -> str:
    """The summary as aligned plain text."""
    blocks = [[_headline(summary)], _stage_rows(summary), _part_rows('estimator', estimators_of(summary)),
              wrapped(truth_sentence(summary)), _state_lines(summary), share_rows(summary),
              wrapped(share_sentence(summary)), *_object_blocks(summary),
              _verdict_rows(summary), _pair_rows(summary), *_waterfall_blocks(summary)]
    failures = ', '.join(f'{reason} {count}' for reason, count in summary['failures'].items())
    blocks.append([f'Failures: {failures or "none"}'])
    blocks.append(_problem_lines(summary))
    blocks.append([line for text in unlike_calibration(summary) for line in wrapped(text)])
    blocks.append(_diagnosis_lines(summary))
    if text := (summary.get('next') or {}).get('text'):
        blocks.append(wrapped(f'Next: {text}'))
    if remedy := (summary.get('next') or {}).get('remedy'):
        blocks.append(wrapped(f'What helps: {remedy}'))
    return '\n\n'.join('\n'.join(block) for block in blocks if block)


def format_brief(summary: dict) -> str:
    """What a reader needs first: the result, what was lost, the time, and what is systematically wrong."""
    lines = [_headline(summary), _lost_line(summary), _time_line(summary)]
    headline = requirements_of(summary).get(summary['headline']['name'], {}).get('verdict')
    if headline != 'worse' and (missed := also_missed(summary)):
        more = f'; and {len(missed) - BRIEF_MISSED} more' if len(missed) > BRIEF_MISSED else ''
        lines += wrapped(f'Other requirements missed: {"; ".join(missed[:BRIEF_MISSED])}{more}')
    found = _diagnosis_lines(summary)
    if not found and (remedy := (summary.get('next') or {}).get('remedy')):
        found = wrapped(f'What helps: {remedy}')
    blocks = ['\n'.join(filter(None, lines)), '\n'.join(found), '\n'.join(_problem_lines(summary)),
              '\n'.join(line for text in unlike_calibration(summary)
                        for line in wrapped(text))]
    return '\n\n'.join(block for block in blocks if block)


def _lost_line(summary: dict) -> str:
    """How many attempts failed, and why."""
    fall = plots.waterfall(summary)
    if fall is None:
        return ''
    if not fall['rows']:
        verb = 'failed' if fall['is_judged'] else 'went without an answer'
        by_the_grasp = ' by what the planned grasps tolerate' if fall['note'] else ''
        return f'None of {fall["total"]} {fall["of"]} {verb}{by_the_grasp}.'
    reasons = ', '.join(f'{row["text"]} {row["lost"]}' for row in fall['rows'])
    start = ('Without an answer' if not fall['is_judged'] else
             'Not good enough for the planned grasp' if fall['note'] else 'Failed')
    return f'{start}: {fall["total"] - fall["successes"]} of {fall["total"]} {fall["of"]}: {reasons}'


def _time_line(summary: dict) -> str:
    """Time of each stage that ran."""
    times = [f'{name} {formatting.number(stage["latency_ms"]["p50"], "ms")} ms (p95 '
             f'{formatting.number(stage["latency_ms"]["p95"], "ms")})'
             for name, stage in summary['stages'].items() if stage['latency_ms']]
    return f'Time: {", ".join(times)}' if times else ''


def page_of(table: FrameTable, pictures: Sequence[Mapping[str, Any]] = (),
            no_pictures: str = '', clips: Sequence[Clip] = ()) -> Callable[[dict], str]:
    """What renders the page of a run with its frames.

    :param table: frames of the estimator that the summary is about
    :param pictures: see :meth:`posegrasp_ros.report.frame_pictures.FramePictures.pictures`
    :param no_pictures: sentence on why there are none
    """
    def render(summary: dict) -> str:
        frames = frame_rows(table, summary['headline']['name'], recordings_of(summary), pictures)
        return render_html(summary, frames, [each for each in pictures if 'caption' in each], no_pictures, clips)
    return render


def render_html(summary: dict, frames: FrameRows | None = None, pictures: Sequence[Mapping[str, Any]] = (),
                no_pictures: str = '', clips: Sequence[Clip] = ()) -> str:
    """The summary as one self-contained page.

    :param frames: of the run; None where only its summary is known
    :param pictures: {caption, data_uri} of runs of version 0.2.0, which do not say which frame each is of
    :param no_pictures: sentence on why there are no pictures
    :param clips: of picks
    """
    estimators, requirements = estimators_of(summary), requirements_of(summary)
    needed = requirements.get(summary['headline']['name'])
    groups = failure_groups(frames)
    return render_page(
        'report.html.j2', summary=summary, estimators=estimators, same_frames=SAME_FRAMES, pictures=pictures,
        card=first_card(summary, needed, frames), groups=groups, no_pictures=no_pictures,
        clips=clips,
        counted=frames.total - frames.counts.get(NOT_COUNTED, 0) if frames else 0,
        of_frames='attempts' if summary['headline']['name'] == 'grasp_success_rate' else 'frames',
        browser=browser_data(frames, groups) if frames and frames.rows else None,
        total=frames.total if frames else 0,
        headline_bar=needed, next=summary.get('next'),
        paired=summary.get('paired') or (), problems=summary.get('problems') or (),
        place_of=lambda problem: place_of(problem, recordings_of(summary)),
        measured=measured_metrics(estimators), requirements=requirements, objects=objects_of(summary),
        confusion=confusion_rows(summary), truth_sentence=truth_sentence(summary),
        unlike_calibration=unlike_calibration(summary), faults=diagnosis_sentences(summary),
        how_to_correct=how_to_correct(summary), slices=filled_slices(summary), slice_label=slice_label,
        metric_label=metric_label, share_sentence=share_sentence(summary), marked=marked, notes_of=notes_of,
        fall=plots.waterfall(summary), curves=plots.error_curves(estimators),
        strips=plots.error_strips(estimators), reliability=plots.reliability_curves(estimators),
        latency=plots.latency_strips({'': summary}, time_need(requirements)),
        verdicts=[list(items) for _, items in groupby(summary['verdicts'], lambda item: item['metric'])],
        scale=plots.verdict_scale, remaining=lambda item: _remaining(summary, item),
        origin=provenance_rows(summary['provenance'], summary['schema']))


def _diagnosis_lines(summary: dict) -> list[str]:
    """Systematic faults and what to do about them."""
    found = diagnosis_sentences(summary)
    lines = [line for text in found for line in wrapped(text, '  ', '    ')]
    return ['Systematic faults:', *lines, *filter(None, [how_to_correct(summary)])] if lines else []


def _problem_lines(summary: dict) -> list[str]:
    """Problems of single frames; warnings about whole recordings were printed when they occurred."""
    problems = [problem for problem in summary.get('problems') or () if 'image' in problem]
    if not problems:
        return []
    recordings = recordings_of(summary)
    return ['Problems:', *(f'  {problem["count"]} x {problem["reason"]}: {problem["text"]} '
                           f'(first: {place_of(problem, recordings)})' for problem in problems)]


def unlike_calibration(summary: dict) -> list[str]:
    """How the frames differ from those of the calibration, a sentence for each object."""
    noticed = summary['provenance'].get(UNLIKE, {})
    return [f'{name}: {text}' if name else text[0].upper() + text[1:] for name, text in noticed.items()]


def place_of(problem: dict, recordings: Sequence[Recording] = ()) -> str:
    """Where a problem occurred first."""
    if 'image' not in problem:
        return problem['bag']
    return f'{place_in(recordings, problem["bag"], problem["stamp_ns"])}, image {problem["image"]}'


def requirements_of(summary: dict) -> dict[str, dict]:
    """Verdict against the requirement, by metric; the first one if there are several."""
    verdicts = reversed(summary['verdicts'])
    return {item['metric']: item for item in verdicts if item['kind'] == 'requirement'}


def time_need(requirements: Mapping[str, dict]) -> float | None:
    """Required time from image to pose, milliseconds; None without a requirement."""
    return requirements['image_to_pose_p50']['reference'] if 'image_to_pose_p50' in requirements else None


def measured_metrics(parts: Mapping[str, dict]) -> list[str]:
    """The metrics that at least one part measured, in the summary's order."""
    names = dict.fromkeys(name for part in parts.values() for name in part['metrics'])
    return [name for name in names if any(part['metrics'].get(name, {}).get('n') for part in parts.values())]


def _remaining(summary: dict, item: dict) -> str:
    """How much more data would decide an inconclusive verdict."""
    return formatting.remaining(item.get('decided_after'), item['metric'], summary['frames']['block_s'])


def estimators_of(summary: dict) -> dict[str, dict]:
    """Sections by estimator; a live run has one estimator, the summary itself."""
    return summary.get('estimators') or {summary.get('estimator', 'this run'): summary}


def _headline(summary: dict) -> str:
    headline = summary['headline']
    bar = requirements_of(summary).get(headline['name'])
    if headline['value'] is None:
        return f'{formatting.label(headline["name"])}: not measured: there is no ground truth and no pick'
    text = (f'{formatting.label(headline["name"])}: '
            f'{formatting.with_interval(headline["value"], headline["interval"], "1")}, n = {headline["n"]}')
    if not bar:
        return text
    word = formatting.verdict_word(bar['verdict'], bar['kind'])
    return f'{text}   (needed {formatting.quantity(bar["reference"], "1")}: {word})'


def _stage_rows(summary: dict) -> list[str]:
    rows = [['stage', 'inputs', 'answered', 'coverage', 'p50 ms', 'p95 ms', 'p99 ms']]
    for name, stage in summary['stages'].items():
        if stage['inputs']:
            latency_ms = stage['latency_ms'] or {}
            times = [formatting.number(latency_ms.get(key), 'ms') for key in ('p50', 'p95', 'p99')]
            rows.append([name, str(stage['inputs']), str(stage['answered']),
                         formatting.quantity(stage['coverage'], '1'), *times])
    return aligned(rows)


def _state_lines(summary: dict) -> list[str]:
    """Number of frames in each state of tracking; none without tracking."""
    states = summary.get('states') or {}
    return [f'Tracking: {", ".join(f"{state} {count}" for state, count in states.items())}'] if states else []


def _part_rows(kind: str, parts: Mapping[str, dict]) -> list[str]:
    """One row for each part of a summary.

    :param kind: what the parts are of
    """
    measured = measured_metrics(parts)
    headings = {name: metric.heading for name, metric in catalogue().items()
                if metric.heading and name in measured}
    rows = [[kind, 'coverage', *headings.values()]]
    for name, part in parts.items():
        metrics = part['metrics']
        rows.append([name, formatting.quantity(part['stages']['perception']['coverage'], '1'),
                     *(marked(metrics[name]) for name in headings)])
    return [*aligned(rows), *(f'*: {note}' for note in notes_of(parts.values()))]


def _object_blocks(summary: dict) -> list[list[str]]:
    """Metrics of each of several objects, and what each was taken for."""
    if not summary.get('objects'):
        return []
    rows = confusion_rows(summary)
    return [_part_rows('object', objects_of(summary)), aligned(rows) if rows else []]


def objects_of(summary: dict) -> dict[str, dict]:
    """Sections by object of a run about several, and one of all of them; empty for a run about one."""
    objects = summary.get('objects')
    return {**objects, ALL: summary} if objects else {}


def confusion_rows(summary: dict) -> list[list[str]]:
    """What the instances of each object were taken for, with a header; empty where no image has a ground truth."""
    confusion = summary.get('confusion') or {}
    if not any(count for row in confusion.values() for count in row.values()):
        return []
    columns = list(dict.fromkeys(other for row in confusion.values() for other in row))
    return [['taken for', *columns],
            *([name, *(str(row.get(other, '')) for other in columns)] for name, row in confusion.items())]


def _verdict_rows(summary: dict) -> list[str]:
    if not summary['verdicts']:
        return []
    rows = [['metric', 'value', '95 % interval', 'against', 'reference', 'verdict']]
    for item in summary['verdicts']:
        unit = item['unit']
        against = f'{item["entry"]} ({item["kind"]}{"" if item["fair"] else ", not fair"})'
        rows.append([item['metric'], marked(summary['metrics'][item['metric']]),
                     formatting.interval(item['interval'], unit), against,
                     formatting.target(item['reference'], item['tolerance'], unit), _judged(item)])
    lines = aligned(rows, left=(0, 3, 5))
    if any(item['source'] == SAME_FRAMES for item in summary['verdicts']):
        lines.append('scripted, simple_ml: measured on the same frames; the reference is treated as exact')
    if any('(+' in line for line in lines):
        lines.append(f'(+N): about N more blocks of {summary["frames"]["block_s"]:g} s would decide it; '
                     'for grasp success, N more attempts')
    return lines


def _judged(item: dict) -> str:
    """The verdict, and for an inconclusive one how much more data would decide it."""
    more = item.get('decided_after') if item['verdict'] == 'inconclusive' else None
    word = formatting.verdict_word(item['verdict'], item['kind'])
    return f'{word} (+{more})' if more else word


def _pair_rows(summary: dict) -> list[str]:
    """Paired comparison of estimators on the same frames."""
    rows = [['frame by frame', 'against', 'difference', '95 % interval', 'p', 'verdict']]
    for pair in summary.get('paired') or ():
        unit = summary['metrics'][pair['metric']]['unit']
        rows.append([pair['metric'], pair['other'], formatting.difference(pair['difference'], unit),
                     formatting.interval(pair['interval'], unit), formatting.probability(pair['p_value']),
                     pair['verdict']])
    return aligned(rows, left=(0, 1, 5)) if len(rows) > 1 else []


def _waterfall_blocks(summary: dict) -> list[list[str]]:
    """Attempts lost by reason, and the success rate if one stage alone were perfect."""
    fall = plots.waterfall(summary)
    if fall is None:
        return []
    rows = [[f'of {fall["total"]} {fall["of"]}', 'stage', 'lost', 'share'],
            *([row['text'], row['stage'], str(row['lost']), f'{row["share"]:.1f} %'] for row in fall['rows']),
            ['good' if fall['is_judged'] else 'answered, not checked', '', str(fall['successes']),
             formatting.quantity(fall['rate'], '1')]]
    gains = ', '.join(f'{gain["stage"]} {formatting.quantity(gain["rate"], "1")}' for gain in fall['gains'])
    return [aligned(rows, left=(0, 1)), [f'If one stage alone were perfect: {gains}'] if gains else []]
