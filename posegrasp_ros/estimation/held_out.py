# SPDX-License-Identifier: Apache-2.0
"""What a model reached on held-out simulated scenes, and whether that is good enough, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.baselines.baselines import load_baselines

KINDS = {'clean': (), 'rough': ('rough',)}
"""Kinds of scenes, and where the card's section ``measured`` has them."""


def reached(card: ModelCard) -> str:
    """A sentence; empty where nothing was measured."""
    recalls = _recalls(card.measured)
    if not recalls:
        return ''
    tolerance = card.tolerance
    within = (f'within {formatting.quantity(tolerance.position_m, "m")} and '
              f'{formatting.quantity(tolerance.rotation_rad, "rad")}')
    shares = ' and '.join(f'{formatting.quantity(recall, "1")} of {kind}' for kind, recall in recalls.items())
    figures = (f'{within} in {shares} held-out scenes; at least {formatting.quantity(needed_recall(), "1")} is '
               'needed')
    if not recalls['clean']:
        return f'of no use: {within} in none of the held-out simulated scenes'
    missed = [kind for kind, recall in recalls.items() if recall < needed_recall()]
    if 'clean' in missed:
        return f'not good enough in simulation: {figures}'
    return f'good enough in simulation{", but not in rough scenes" if missed else ""}: {figures}'


def next_command(card: ModelCard, folder: Path) -> str:
    """What to do after a training."""
    clean = _recalls(card.measured).get('clean', 0.0)
    if clean < needed_recall():
        return (f'train longer: posegrasp train {folder / card.mesh_path.name} --out {folder} --start {folder} '
                '--minutes 60')
    return f'measure it on your camera: posegrasp evaluate RECORDING --model {folder}'


def needed_recall() -> float:
    """The strictest requirement of the shipped baselines file."""
    entries = load_baselines().metrics['recall_1cm_5deg'].entries
    return max(entry.value for entry in entries if entry.kind == 'requirement')


def _recalls(measured: Mapping[str, Any]) -> dict[str, float]:
    """Share of right poses by kind of scene."""
    found = {}
    for kind, path in KINDS.items():
        section: Any = measured
        for name in path:
            section = section.get(name) if isinstance(section, Mapping) else None
        recall = section.get('recall') if isinstance(section, Mapping) else None
        if isinstance(recall, (int, float)):  # the section has no fixed schema
            found[kind] = float(recall)
    return found if 'clean' in found else {}
