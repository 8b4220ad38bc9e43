# SPDX-License-Identifier: Apache-2.0
"""``posegrasp bench``: time of the estimator and of its networks alone, on the same tensors in one run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from posegrasp_ros.datasets.frame import BagFrame
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCard, load_model_card
from posegrasp_ros.estimation.network import Network
from posegrasp_ros.estimation.perception_stage import PerceptionStage
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.runtime.cpu import usable_cpus
from posegrasp_ros.runtime.interrupt import interrupts_ignored


class _Recording(Network):
    """A network that keeps the tensors it is given."""

    def __init__(self, network: Network):
        self.__dict__.update(network.__dict__)
        self.tensors: list[np.ndarray] = []

    def run_all(self, tensor: np.ndarray) -> dict[str, np.ndarray]:
        self.tensors.append(tensor)
        return super().run_all(tensor)


def bench(card: ModelCard, images: list[tuple[np.ndarray, Camera]], repeats: int, threads: int | None) -> dict:
    """Time image to pose, and alternately the networks alone on the tensors of the same image.

    :param images: uint8 blue green red images with their cameras
    :param repeats: rounds over all images; one more goes before and is not counted
    :param threads: of the networks; None for every core that this process may use
    :return: {"image_to_pose_ms": {p50, p95}, "onnxruntime_ms": {p50}, "ratio", "resident_mb", "image": [w, h],
        "threads"}
    """
    estimator = PoseEstimator(card, threads)
    stage = PerceptionStage(estimator, card.identity)
    networks = _record_networks(estimator)
    whole, bare = [], []
    for counted in [False] + [True] * repeats:
        for image, camera in images:
            for network in networks:
                network.tensors.clear()
            pose_ms = stage.perceive_decoded(BagFrame(0, image, camera)).outcome.latency_ms
            runs = [(network, tensor) for network in networks for tensor in network.tensors]
            network_ms = _time_ms(runs)
            if counted:
                whole.append(pose_ms)
                bare.append(network_ms)
    p50, p95 = np.percentile(whole, (50, 95))
    network_p50 = float(np.median(bare))
    return {
        'image_to_pose_ms': {'p50': round(float(p50), 3), 'p95': round(float(p95), 3)},
        'onnxruntime_ms': {'p50': round(network_p50, 3)},
        'ratio': round(float(p50) / network_p50, 3),
        'resident_mb': resident_mb(card, images, threads),
        'image': [images[0][1].width, images[0][1].height],
        'threads': threads or usable_cpus(),
    }


def _record_networks(estimator: PoseEstimator) -> list[_Recording]:
    """Put recording networks into the place of the estimator's own."""
    parts = vars(estimator.decoder)
    recording = {name: _Recording(part) for name, part in parts.items() if isinstance(part, Network)}
    parts.update(recording)
    return list(recording.values())


def resident_mb(card: ModelCard, images: list[tuple[np.ndarray, Camera]], threads: int | None) -> float | None:
    """The most memory, MB of 10^6 bytes, that a process of its own needs which answers these images and no more.

    This process also holds a simulator and the images, so it cannot tell.

    :return: None where the system does not tell (it needs Linux's /proc)
    """
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        with interrupts_ignored():  # the first task starts the process
            weighed = pool.submit(_answer_and_weigh, card.folder, images, threads)
        return weighed.result()


def _answer_and_weigh(folder: Path, images: list[tuple[np.ndarray, Camera]], threads: int | None) -> float | None:
    estimator = PoseEstimator(load_model_card(folder), threads)
    for image, camera in images:
        estimator.estimate(image, camera)
    return peak_resident_mb()


def peak_resident_mb() -> float | None:
    """The most memory that this process has occupied; getrusage would count what it was forked from too."""
    try:
        lines = Path('/proc/self/status').read_text(encoding='ascii').splitlines()
    except FileNotFoundError:
        return None
    kib = next((line.split()[1] for line in lines if line.startswith('VmHWM:')), None)
    return None if kib is None else round(int(kib) * 1024 / 1e6, 1)


def simulated_images(card: ModelCard, count: int, size: tuple[int, int]) -> list[tuple[np.ndarray, Camera]]:
    """Images of random simulated scenes with the card's object, and their cameras."""
    from posegrasp_ros.simulation.scene import sample_scene
    from posegrasp_ros.simulation.world import World

    rng = np.random.default_rng(0)
    images = []
    for _ in range(count):
        with World(card.mesh, None, sample_scene(rng, card.mesh), image_size=size) as world:
            frame = world.frame()
        images.append((frame.image, frame.camera))
    return images


def _time_ms(runs: Sequence[tuple[Network, np.ndarray]]) -> float:
    """Time of the networks alone, without recording."""
    start = time.perf_counter()
    for network, tensor in runs:
        Network.run_all(network, tensor)
    return 1e3 * (time.perf_counter() - start)
