# SPDX-License-Identifier: Apache-2.0
"""Checkpoints for resuming an interrupted training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from posegrasp_ros.runtime.errors import InvalidInputError

SECONDS_BETWEEN = 60.0


@dataclass
class FitProgress:
    """Progress of a fit.

    :param seconds: elapsed
    :param batches: drawn so far; also the number of the next one
    :param images: processed
    :param loss: smoothed, NaN before the first step
    """

    seconds: float = 0.0
    batches: int = 0
    images: int = 0
    loss: float = float('nan')


class Checkpoint:
    """A file with network, optimizer and progress of one fit.

    :param path: of the file
    :param settings: of the fit; a checkpoint with other settings is refused
    """

    def __init__(self, path: Path, settings: dict):
        self.path, self._settings = path, settings

    def save(self, network: nn.Module, optimizer: torch.optim.Optimizer, progress: FitProgress) -> None:
        """Write the file atomically."""
        beside = self.path.with_suffix('.part')
        torch.save({'settings': self._settings, 'progress': vars(progress), 'network': network.state_dict(),
                    'optimizer': optimizer.state_dict()}, beside)
        os.replace(beside, self.path)

    def load(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> FitProgress:
        """Restore both in place and return the progress, which is zero when there is no checkpoint.

        :raises InvalidInputError: when the file is damaged or from a fit with other settings
        """
        if not self.path.exists():
            return FitProgress()
        try:
            stored = torch.load(self.path, map_location='cpu', weights_only=True)
            different = {name for name in self._settings if stored['settings'].get(name) != self._settings[name]}
            if not different:
                network.load_state_dict(stored['network'])
                optimizer.load_state_dict(stored['optimizer'])
        except Exception as error:  # torch.load raises any exception of its unpickler
            reason = ' '.join(str(error).split())[:120]
            raise InvalidInputError(f'{self.path}: cannot be read as a checkpoint ({reason}): '
                           'train without --resume') from error
        if different:
            name = sorted(different)[0]
            raise InvalidInputError(
                f'{self.path}: {name}: the interrupted training had {stored["settings"].get(name)}, '
                           f'this one has {self._settings[name]}: repeat its options, or train without --resume')
        return FitProgress(**stored['progress'])
