# SPDX-License-Identifier: Apache-2.0
"""Fitting of a network to a stream of samples for a given time, with the tasks of both networks."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from posegrasp_ros.estimation.decoders.object_coordinates import LOG_SCALE_RANGE
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.runtime.cpu import has_bfloat16, usable_cpus
from posegrasp_ros.runtime.interrupt import interrupt_noted
from posegrasp_ros.runtime.progress import Progress
from posegrasp_ros.training.checkpoint import SECONDS_BETWEEN, Checkpoint
from posegrasp_ros.training.rendered_views import half_extents
from posegrasp_ros.training.samples import SampleMaker, detector_targets

LOGGER = logging.getLogger(__name__)
MEAN = (0.45, 0.45, 0.45)
STD = (0.25, 0.25, 0.25)
PEAK_LEARNING_RATE = 2e-3
VIEW_WEIGHT = 1.0


@dataclass(frozen=True)
class Task:
    """Learning task of a network.

    :param sample: draws one sample, a tuple of arrays of which the first is the picture (H, W, 3) uint8
    :param loss: (output of the network, the other arrays as batches) -> scalar
    """

    name: str
    batch: int
    sample: Callable[[SampleMaker, np.random.Generator], tuple]
    loss: Callable[..., torch.Tensor]


def batches(maker: SampleMaker, task: Task, seed: int, workers: int,
            first: int = 0) -> Generator[list[torch.Tensor], None, None]:
    """Endless batches, determined by the seed and independent of the number of workers.

    Threads are sufficient because OpenCV and numpy release the interpreter lock. Processes would each need a copy
    of all views, or a fork, which is incompatible with OpenCV's threads.

    :param first: number of the first batch
    """
    def draw(number: int) -> list[torch.Tensor]:
        rng = np.random.default_rng((seed, number))
        samples = [task.sample(maker, rng) for _ in range(task.batch)]
        return [torch.from_numpy(np.stack(part)) for part in zip(*samples)]

    with ThreadPoolExecutor(workers) as pool:
        pending = deque(pool.submit(draw, number) for number in range(first, first + workers + 2))
        try:
            for number in itertools.count(first + len(pending)):
                yield pending.popleft().result()
                pending.append(pool.submit(draw, number))
        finally:
            for future in pending:
                future.cancel()


def fit(network: nn.Module, task: Task, maker: SampleMaker, seconds: float, seed: int, checkpoint: Checkpoint,
        progress: bool = True) -> dict[str, float]:
    """Train ``network`` in place for ``seconds``, continuing from the checkpoint if there is one.

    :return: number of images and the loss, smoothed over about the last hundred steps
    """
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    network.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=1e-3)
    done = checkpoint.load(network, optimizer)
    start, saved = time.monotonic() - done.seconds, done.seconds
    with (interrupt_noted() as was_interrupted,
          closing(batches(maker, task, seed, max(1, usable_cpus() - 1), done.batches)) as source,
          Progress(total=round(seconds), desc=f'training {task.name}', unit='second', disable=not progress,
               bar_format='{l_bar}{bar}| {n:.0f}/{total} s, {remaining} left{postfix}') as bar):
        while done.seconds < seconds:
            optimizer.param_groups[0]['lr'] = PEAK_LEARNING_RATE * _schedule(done.seconds / seconds, done.images)
            picture, *targets = next(source)
            value = _step(network, optimizer, task, as_input(picture.to(device)),
                          [target.to(device) for target in targets])
            done.images, done.batches = done.images + len(picture), done.batches + 1
            done.loss = value if np.isnan(done.loss) else 0.99 * done.loss + 0.01 * value
            done.seconds = time.monotonic() - start
            bar.set_postfix_str(f'{done.images} images, loss {done.loss:.3f}', refresh=False)
            bar.update(min(done.seconds, seconds) - bar.n)
            if done.seconds - saved > SECONDS_BETWEEN or done.seconds >= seconds or was_interrupted():
                checkpoint.save(network, optimizer, done)
                saved = done.seconds
            if was_interrupted():
                LOGGER.warning('interrupted; repeat the same command with --resume to continue')
                raise KeyboardInterrupt
    network.cpu().eval()
    return {'images': done.images, 'loss': round(done.loss, 4)}


def as_input(picture: torch.Tensor) -> torch.Tensor:
    """The network's input (N, 3, H, W) for pictures (N, H, W, 3) uint8 red green blue."""
    mean, std = (torch.tensor(values, device=picture.device).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (picture.permute(0, 3, 1, 2).float() / 255 - mean) / std


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, task: Task, batch: torch.Tensor,
          targets: list[torch.Tensor]) -> float:
    """Run one step of the optimizer and return the loss before it."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=batch.is_cuda or has_bfloat16()):
        output = network(batch)
    loss = task.loss(output, *targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    return float(loss.detach())


def _schedule(share: float, images: int) -> float:
    """Learning rate relative to its peak: warm-up over the first 10,000 images, half a cosine over the time."""
    return min(1.0, (images + 100) / 10_000) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))) + 1e-3


def _scene_sample(maker: SampleMaker, rng: np.random.Generator) -> tuple:
    picture, objects = maker.scene(rng)
    return (picture, *detector_targets(objects))


def _detector_loss(output: torch.Tensor, confidence: torch.Tensor, boxes: torch.Tensor,
                   near: torch.Tensor) -> torch.Tensor:
    """CenterNet's focal loss on the heat map (Zhou et al. 2019, eq. 1) and L1 on the boxes."""
    output = output.float()
    logit = output[:, 0].clamp(-12, 12)
    probability = torch.sigmoid(logit)
    peak = confidence >= 1
    positive = functional.logsigmoid(logit) * (1 - probability) ** 2 * peak
    negative = functional.logsigmoid(-logit) * probability ** 2 * (1 - confidence) ** 4 * ~peak
    count = peak.sum().clamp(min=1)
    error = (output[:, 1:].permute(0, 2, 3, 1) - boxes).abs().sum(-1)
    return -(positive + negative).sum() / count + (error * near).sum() / near.sum().clamp(min=1)


def coordinate_loss(symmetries: np.ndarray, mesh: Mesh) -> Callable[..., torch.Tensor]:
    """The loss of the coordinate network for an object with the given symmetries.

    Cross-entropy of the mask, negative log likelihood of Laplace-distributed coordinates and view. Of the
    equivalent poses, the one with the smallest loss is used (Wang et al., NOCS, 2019, eq. 2).

    :param symmetries: (S, 4, 4) discrete symmetries in the object's frame, including the identity
    """
    rotations = torch.from_numpy(symmetries[:, :3, :3].copy()).float()
    half = half_extents(mesh)
    linear = torch.from_numpy(symmetries[:, :3, :3] * half / half[:, None]).float()
    moved = symmetries[:, :3, :3] @ mesh.centre + symmetries[:, :3, 3] - mesh.centre
    shift = torch.from_numpy(moved / half).float()

    def loss(output: tuple[torch.Tensor, torch.Tensor], visible: torch.Tensor, coordinates: torch.Tensor,
             views: torch.Tensor) -> torch.Tensor:
        read, view = (part.float() for part in output)
        mask = functional.binary_cross_entropy_with_logits(read[:, 0], visible.float())
        equal = torch.einsum('sij,nhwj->snhwi', linear.to(read), coordinates) + shift.to(read)[:, None, None, None]
        likelihood = _laplace(read[:, 1:4].permute(0, 2, 3, 1), equal, read[:, 4])
        seen = visible.flatten(1).sum(1)
        of_pixels = (likelihood * visible).flatten(2).sum(2) / seen.clamp(min=1)
        of_view = _laplace(view[:, :3], torch.einsum('sij,nj->sni', rotations.to(view), views), view[:, 3])
        # weight samples by the visible area
        weight = seen / seen.float().mean().clamp(min=1)
        return 2 * mask + ((of_pixels + VIEW_WEIGHT * of_view).min(dim=0).values * weight).mean()

    return loss


def _laplace(found: torch.Tensor, true: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood (...) of (..., 3) for a Laplace law of predicted scale, up to a constant."""
    log_scale = log_scale.clamp(*LOG_SCALE_RANGE)
    return (found - true).abs().sum(-1) * torch.exp(-log_scale) + 3 * log_scale


DETECTION = Task('detector', 32, _scene_sample, _detector_loss)


def coordinates_task(symmetries: np.ndarray, mesh: Mesh) -> Task:
    """The task of the coordinate network, see :func:`coordinate_loss`."""
    return Task('coordinates', 64, SampleMaker.crop, coordinate_loss(symmetries, mesh))
