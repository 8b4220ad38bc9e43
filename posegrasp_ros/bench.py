"""``posegrasp bench``: the estimator's time beside the bare networks' on the same tensors, in one run."""

from __future__ import annotations

import time

import numpy as np

from posegrasp_ros.camera import Camera
from posegrasp_ros.estimation.estimator import PoseEstimator
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.estimation.network import Network
from posegrasp_ros.processors import usable_cpus


class _Recording(Network):
    """A network that keeps the tensors it is given."""

    def __init__(self, network: Network):
        self.__dict__.update(network.__dict__)
        self.tensors: list[np.ndarray] = []

    def run(self, tensor: np.ndarray) -> np.ndarray:
        self.tensors.append(tensor)
        return super().run(tensor)


def bench(card: ModelCard, images: list[tuple[np.ndarray, Camera]], repeats: int, threads: int | None) -> dict:
    """Time image to pose, and alternately the networks alone on the tensors of the same image.

    :param images: uint8 blue green red images with their cameras
    :param repeats: rounds over all images; one more goes before and is not counted
    :param threads: of the networks; None for every core that this process may use
    :return: {"image_to_pose_ms": {p50, p95}, "onnxruntime_ms": {p50}, "ratio", "image": [w, h], "threads"}
    """
    estimator = PoseEstimator(card, threads)
    estimator.detector, estimator.network = _Recording(estimator.detector), _Recording(estimator.network)
    networks = (estimator.detector, estimator.network)
    whole, bare = [], []
    for counted in [False] + [True] * repeats:
        for image, camera in images:
            for network in networks:
                network.tensors.clear()
            pose_ms = _time_ms(lambda i=image, c=camera: estimator.estimate(i, c))
            runs = [(network, tensor) for network in networks for tensor in network.tensors]
            network_ms = _time_ms(lambda r=runs: [Network.run(network, tensor) for network, tensor in r])
            if counted:
                whole.append(pose_ms)
                bare.append(network_ms)
    p50, p95 = np.percentile(whole, (50, 95))
    network_p50 = float(np.median(bare))
    return {
        'image_to_pose_ms': {'p50': round(float(p50), 3), 'p95': round(float(p95), 3)},
        'onnxruntime_ms': {'p50': round(network_p50, 3)},
        'ratio': round(float(p50) / network_p50, 3),
        'image': [images[0][1].width, images[0][1].height],
        'threads': threads or usable_cpus(),
    }


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


def _time_ms(call) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)
