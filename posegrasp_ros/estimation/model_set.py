# SPDX-License-Identifier: Apache-2.0
"""Models of several objects that work together: their names must tell them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from posegrasp_ros.datasets.topic_names import topic_name
from posegrasp_ros.estimation.model_card import ModelCard, load_model_card
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import model_folder

ONLY = ''
"""Name of the object of a single model: its topics, reports and summaries do not name it."""


def load_model_set(folders: Sequence[str | Path]) -> dict[str, ModelCard]:
    """Read and check the models, in their order.

    :return: {:data:`ONLY`: card} of a single model, {card.name: card} of several
    :raises ModelCardError: when one cannot be used
    :raises InvalidInputError: when two objects cannot be told apart by their names in topics
    """
    cards = [load_model_card(model_folder(folder)) for folder in folders]
    for name, count in Counter(topic_name(card.name) for card in cards).items():
        if count > 1:
            raise InvalidInputError(f'models: expected objects of different names, got {count} that are {name} in '
                                    'topics')
    return {ONLY: cards[0]} if len(cards) == 1 else {card.name: card for card in cards}
