# SPDX-License-Identifier: Apache-2.0
"""Archetype: what kind of project it is, and what follows from who catches its mistakes.

The costs and shares are planning figures to start from, not measurements; ``--wanted`` replaces the share. From
the costs follows how probable an answer has to be to be worth giving (Chow, "On optimum recognition error and
reject tradeoff", IEEE Transactions on Information Theory 1970).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DEFAULT_SUCCESS = 0.95
"""Share of the picks that should lift where neither the user nor an archetype says it."""
Kind = Literal['improve', 'augment', 'automate']


@dataclass(frozen=True)
class Risk:
    """What typically goes wrong in a project of this kind.

    :param text: one sentence for a manager
    :param gate: the gate of ``posegrasp status`` that watches it
    """

    text: str
    gate: str


@dataclass(frozen=True)
class Archetype:
    """A kind of project.

    :param title: in a few words
    :param success: share of the picks that should lift
    :param wrong_cost: what a wrong answer costs, in units of what a right one gains
    :param no_answer_cost: what no answer costs, in the same unit
    :param explanation: sentences for a manager
    :param told: who is told of what it does and does not know, one sentence
    :param gates: of ``posegrasp status``, beside those of every project
    """

    name: Kind
    title: str
    success: float
    wrong_cost: float
    no_answer_cost: float
    explanation: tuple[str, ...]
    told: str
    risks: tuple[Risk, ...]
    gates: tuple[str, ...]

    @property
    def least_probability(self) -> float:
        """How probable an answer has to be so that it is better than none: gain and costs balance there."""
        return max(0.0, (self.wrong_cost - self.no_answer_cost) / (1 + self.wrong_cost))

    def sentences(self, wanted: float) -> list[str]:
        """What it means, for a manager.

        :param wanted: share of the picks that should lift
        """
        return [*self.explanation, f'Of 100 picks, {100 * wanted:.3g} have to succeed.', self.told]

    def to_dict(self, wanted: float) -> dict:
        """Plain values for the summary."""
        return {'name': self.name, 'title': self.title, 'text': ' '.join(self.sentences(wanted)),
                'risks': [{'text': risk.text, 'gate': risk.gate} for risk in self.risks],
                'wrong_cost': self.wrong_cost, 'no_answer_cost': self.no_answer_cost,
                'least_probability': self.least_probability}


ARCHETYPES: dict[str, Archetype] = {each.name: each for each in (
    Archetype(
        'improve', 'an existing process is improved', 0.95, wrong_cost=1.0, no_answer_cost=1.0,
        explanation=(
            'There is already a way to do this work, and the new one has to beat it.',
            'So the old way is measured first, on the same images, and the new one is held to its figure.',
            'An image without an answer counts like a wrong one, because the old way would have had to try too.'),
        told='Whoever runs the process today sees both figures side by side and decides when to switch.',
        risks=(
            Risk('Nobody measured how well the old way works, so nobody can say that the new one is better.',
                 'better than before'),
            Risk('The next version is worse than this one, and nobody notices.', 'regression'),
            Risk('It wins on selected images and loses in daily operation.', 'real footage')),
        gates=('better than before',)),
    Archetype(
        'augment', 'a person is assisted', 0.90, wrong_cost=4.0, no_answer_cost=0.25,
        explanation=(
            'A person works with this system and takes over where it has no answer.',
            'No answer costs that person a moment; a wrong answer costs far more, because it is believed.',
            'So it may often give no answer, but its answers have to be right, and it has to say how sure it is.'),
        told='The person at the cell sees how sure each answer is, and is warned when the images have changed.',
        risks=(
            Risk('Wrong answers erode the trust of the people who work with it.', 'wrong answers'),
            Risk('It says that it is sure when it is not, so the person cannot know when to look.',
                 'score is shown'),
            Risk('It is right in the office and wrong at the cell.', 'real footage')),
        gates=('wrong answers', 'score is shown')),
    Archetype(
        'automate', 'nobody is in the loop', 0.99, wrong_cost=20.0, no_answer_cost=1.0,
        explanation=(
            'Nobody watches this cell, so nobody corrects its mistakes.',
            'When it is not sure it has to leave the part alone and say so; a wrong pick costs about twenty times '
            'what a right one earns.',
            'Monitoring of the images is part of the system: it detects changes of light, lens or parts.'),
        told='Its warnings, and how often it gives no answer, have to reach somebody who is on call.',
        risks=(
            Risk('It picks wrongly for hours before somebody sees it.', 'wrong answers'),
            Risk('It always answers, even when there is nothing to pick.', 'abstention'),
            Risk('Light, camera or parts change, and its confidence is no longer valid.', 'guard'),
            Risk('The next version is worse than this one, and nobody notices.', 'regression')),
        gates=('wrong answers', 'abstention', 'guard')),
)}
