"""Fit one network to a stream of samples for a given time."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from posegrasp_ros.estimation.decoders import LOG_SCALE_RANGE
from posegrasp_ros.processors import usable_cpus
from posegrasp_ros.training.samples import SampleMaker, detector_targets

MEAN = (0.45, 0.45, 0.45)
STD = (0.25, 0.25, 0.25)
PEAK_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Task:
    """What a network learns.

    :param sample: draws one sample, a tuple of arrays of which the first is the picture (H, W, 3) uint8
    :param loss: (network output, the other arrays as batches) -> scalar
    """

    name: str
    batch: int
    sample: Callable[[SampleMaker, np.random.Generator], tuple]
    loss: Callable[..., torch.Tensor]


def batches(maker: SampleMaker, task: Task, seed: int, workers: int) -> Iterator[list[torch.Tensor]]:
    """Endless batches, the same for the same seed however many workers draw them.

    Threads will do: OpenCV and numpy leave the interpreter to others while they work. Processes would need either
    a copy of all views each or a fork, which OpenCV's own threads do not survive.
    """
    def draw(number: int) -> list[torch.Tensor]:
        rng = np.random.default_rng((seed, number))
        samples = [task.sample(maker, rng) for _ in range(task.batch)]
        return [torch.from_numpy(np.stack(part)) for part in zip(*samples)]

    with ThreadPoolExecutor(workers) as pool:
        pending = deque(pool.submit(draw, number) for number in range(workers + 2))
        try:
            for number in itertools.count(len(pending)):
                yield pending.popleft().result()
                pending.append(pool.submit(draw, number))
        finally:
            for future in pending:
                future.cancel()


def fit(network: nn.Module, task: Task, maker: SampleMaker, seconds: float, seed: int,
        progress: bool = True) -> dict[str, float]:
    """Train ``network`` in place for ``seconds``.

    :return: number of images seen and the loss over the last hundred steps
    """
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    network.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=1e-3)
    source = batches(maker, task, seed, workers=max(1, usable_cpus() - 1))
    mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=device).view(1, 3, 1, 1)
    images, smooth, start = 0, None, time.monotonic()
    with tqdm(total=round(seconds), desc=f'training {task.name}', unit='s', disable=not progress,
              bar_format='{l_bar}{bar}| {n:.0f}/{total} s, {remaining} left{postfix}') as bar:
        for picture, *targets in source:
            elapsed = time.monotonic() - start
            if elapsed >= seconds:
                break
            optimizer.param_groups[0]['lr'] = PEAK_LEARNING_RATE * _schedule(elapsed / seconds, images)
            batch = picture.to(device).permute(0, 3, 1, 2).float() / 255
            with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
                output = network((batch - mean) / std)
            loss = task.loss(output.float(), *(target.to(device) for target in targets))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            images += len(picture)
            value = float(loss.detach())
            smooth = value if smooth is None else 0.99 * smooth + 0.01 * value
            bar.set_postfix_str(f'{images} images, loss {smooth:.3f}', refresh=False)
            bar.update(min(elapsed, seconds) - bar.n)
        bar.update(bar.total - bar.n)
    source.close()
    network.cpu().eval()
    return {'images': images, 'loss': round(smooth if smooth is not None else float('nan'), 4)}


def _schedule(share: float, images: int) -> float:
    """Learning rate over its peak: warm up over the first 10,000 images, then half a cosine over the time."""
    return min(1.0, (images + 100) / 10_000) * 0.5 * (1 + np.cos(np.pi * min(share, 1.0))) + 1e-3


def _scene_sample(maker: SampleMaker, rng: np.random.Generator) -> tuple:
    picture, objects = maker.scene(rng)
    return (picture, *detector_targets(objects))


def _detector_loss(output: torch.Tensor, heat: torch.Tensor, boxes: torch.Tensor, near: torch.Tensor):
    """CenterNet's focal loss on the heat map (Zhou et al. 2019, eq. 1) and L1 on the boxes."""
    logit = output[:, 0].clamp(-12, 12)
    probability = torch.sigmoid(logit)
    peak = heat >= 1
    positive = functional.logsigmoid(logit) * (1 - probability) ** 2 * peak
    negative = functional.logsigmoid(-logit) * probability ** 2 * (1 - heat) ** 4 * ~peak
    count = peak.sum().clamp(min=1)
    error = (output[:, 1:].permute(0, 2, 3, 1) - boxes).abs().sum(-1)
    return -(positive + negative).sum() / count + (error * near).sum() / near.sum().clamp(min=1)


def _coordinate_loss(output: torch.Tensor, visible: torch.Tensor, coordinates: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the mask and negative log likelihood of Laplace-distributed coordinates."""
    mask = functional.binary_cross_entropy_with_logits(output[:, 0], visible.float())
    log_scale = output[:, 4].clamp(*LOG_SCALE_RANGE)
    error = (output[:, 1:4].permute(0, 2, 3, 1) - coordinates).abs().sum(-1)
    likelihood = error * torch.exp(-log_scale) + 3 * log_scale
    return 2 * mask + (likelihood * visible).sum() / visible.sum().clamp(min=1)


DETECTION = Task('detector', 32, _scene_sample, _detector_loss)
COORDINATES = Task('coordinates', 64, SampleMaker.crop, _coordinate_loss)
