# SPDX-License-Identifier: Apache-2.0
"""What a model reached on held-out simulated scenes, and whether that is good enough, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.metrics import formatting
from posegrasp_ros.metrics.baselines.baselines import load_baselines
from posegrasp_ros.metrics.stats.interval import Interval
from posegrasp_ros.metrics.stats.intervals import verdict, wilson_interval

WORDS = {'better': 'good enough', 'worse': 'not good enough', 'inconclusive': 'not decided'}


class HeldOut(NamedTuple):
    """Share of right poses on held-out scenes of a kind."""

    recall: float
    scenes: int

    @property
    def interval(self) -> Interval:
        return wilson_interval(self.recall * self.scenes, self.scenes)

    @classmethod
    def of(cls, section: Any) -> HeldOut | None:
        """From the card's section ``measured``, which has no fixed schema; None where it does not say."""
        if not isinstance(section, Mapping):
            return None
        recall, (scenes, *_) = section.get('recall'), str(section.get('data')).split() or ['']
        if not isinstance(recall, (int, float)) or not 0 <= recall <= 1:
            return None
        return cls(float(recall), int(scenes)) if scenes.isdecimal() and int(scenes) else None


def reached(card: ModelCard) -> str:
    """A sentence; empty where nothing was measured."""
    found = _measured(card.measured)
    if not found:
        return ''
    tolerance, needed = card.tolerance, needed_recall()
    within = (f'within {formatting.quantity(tolerance.position_m, "m")} and '
              f'{formatting.quantity(tolerance.rotation_rad, "rad")}')
    if not found['clean'].recall:
        return f'of no use: {within} in none of {found["clean"].scenes} held-out simulated scenes'
    shares = ' and '.join(f'{formatting.quantity(each.recall, "1")} of {each.scenes} {kind}'
                          for kind, each in found.items())
    words = {kind: WORDS[verdict(each.interval, needed, 'higher_is_better')] for kind, each in found.items()}
    rough = words.get('rough', words['clean'])
    but = '' if rough == words['clean'] else f', {rough} in rough scenes'
    return (f'{words["clean"]} in simulation{but}: {within} in {shares} held-out scenes, at least '
            f'{formatting.quantity(needed, "1")} is needed')


def next_command(card: ModelCard, folder: Path) -> str:
    """What to do after a training."""
    clean = _measured(card.measured).get('clean')
    if clean is None or clean.recall < needed_recall():
        return (f'train longer: posegrasp train {folder / card.mesh_path.name} --out {folder} --start {folder} '
                '--minutes 60')
    return f'measure it on your camera: posegrasp evaluate RECORDING --model {folder}'


def needed_recall() -> float:
    """The strictest requirement of the shipped baselines file."""
    entries = load_baselines().metrics['recall_1cm_5deg'].entries
    return max(entry.value for entry in entries if entry.kind == 'requirement')


def _measured(stated: Mapping[str, Any]) -> dict[str, HeldOut]:
    """By kind of scene; without clean ones nothing."""
    sections = {'clean': stated, 'rough': stated.get('rough')}
    found = {kind: held_out for kind, section in sections.items() if (held_out := HeldOut.of(section))}
    return found if 'clean' in found else {}
