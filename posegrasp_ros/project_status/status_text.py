# SPDX-License-Identifier: Apache-2.0
"""Text of a project's status, for the terminal."""

from __future__ import annotations

import textwrap

from posegrasp_ros.project_status.gates import Gate
from posegrasp_ros.project_status.project_files import Project
from posegrasp_ros.project_status.project_gates import Status

HASH_SHOWN = 8


def format_statuses(project: Project, statuses: list[Status], width: int = 110) -> str:
    """Every object with its phases, gates, reasons to go back and next step.

    :param width: of the terminal, characters
    """
    parts = [_object(status, width) for status in statuses]
    baselines_files = [baselines.path.as_posix() if baselines.path else "that of the package" for baselines in
               project.baselines_files.values()]
    parts.append('\n'.join([f'baselines: {", ".join(baselines_files)}', *project.problems]))
    return '\n\n'.join(parts)


def _object(status: Status, width: int) -> str:
    model = f' ({status.model})' if status.model else ''
    lines = [f'{status.name or "no object yet"}{model}: {status.phase}']
    if status.archetype:
        lines += _hanging('  archetype: ', status.archetype, width)
    longest = max(len(gate.name) for gate in status.gates)
    for phase in status.phases:
        lines.append(f'  {phase.name}')
        for gate in phase.gates:
            lines += _gate(gate, longest, width)
    lines += [line for way in status.ways_back for line in _hanging('  back: ', way, width)]
    if status.next_step:
        lines += _hanging('  next: ', status.next_step, width)
    return '\n'.join(lines)


def _gate(gate: Gate, longest: int, width: int) -> list[str]:
    """Result, figure and proof of a gate."""
    head = f'    {gate.result:<9} {gate.name:<{longest}}  '
    lines = _hanging(head, gate.figure, width)
    if gate.proof:
        model = f', model {gate.proof.model_sha256[:HASH_SHOWN]}' if gate.proof.model_sha256 else ''
        date = f', {gate.proof.date}' if gate.proof.date else ''
        proof = f'{gate.proof.run}{date}, sha256 {gate.proof.sha256[:HASH_SHOWN]}{model}'
        lines += _hanging(' ' * len(head), proof, width)
    return lines


def _hanging(head: str, text: str, width: int) -> list[str]:
    """Wrapped lines with a hanging indent of the head's width."""
    return textwrap.wrap(text, max(width, len(head) + 20), initial_indent=head, subsequent_indent=' ' * len(head),
                         break_long_words=False, break_on_hyphens=False) or [head.rstrip()]
