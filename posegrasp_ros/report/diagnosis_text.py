# SPDX-License-Identifier: Apache-2.0
"""Systematic faults of a run's poses as sentences."""

from __future__ import annotations

from posegrasp_ros.faults.correction_file import NAME
from posegrasp_ros.metrics import formatting


def diagnosis_sentences(summary: dict) -> list[str]:
    """One sentence for each fault that was found, with what it costs and what would remain."""
    diagnoses = summary.get('diagnosis') or {}
    several = len(diagnoses) > 1
    lines = []
    for source, objects in diagnoses.items():
        for name, diagnosis in objects.items():
            of = ', '.join(filter(None, (source if several else '', name)))
            lines += [f'{f"{of}: " if of else ""}{_sentence(each, diagnosis)}' for each in diagnosis['findings']]
    return lines


def how_to_correct(summary: dict) -> str:
    """What to do about the faults of the source that the run is about; empty where nothing can be corrected."""
    found = (summary.get('diagnosis') or {}).get(summary.get('estimator'), {})
    if not any(each['correction'] for diagnosis in found.values() for each in diagnosis['findings']):
        return ''
    return (f'{NAME} in the run folder holds the corrections: measure again with --correct, then mend the cause.'
            if summary['provenance'].get('pose_sources') else
            f'{NAME} in the run folder holds the numbers: mend the camera, the mesh or the stamps.')


def _sentence(finding: dict, diagnosis: dict) -> str:
    text = finding['says'][0].upper() + finding['says'][1:]
    if not finding['correction']:
        return f'{text}.'
    after = diagnosis['after']
    left = ''
    if after:
        left = (f'; {formatting.quantity(after["position_m"], "m")} and '
                f'{formatting.quantity(after["rotation_rad"], "rad")} would remain (median)')
    also = f' Nearly as likely: {", ".join(finding["also"])}.' if finding['also'] else ''
    return f'{text}. This explains {formatting.quantity(finding["explained"], "1")} of the error{left}.{also}'
