# SPDX-License-Identifier: Apache-2.0
"""Provenance of a run: versions, machine, model, recordings and configuration."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import posegrasp_ros
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.runtime.cpu import processor_name, usable_cpus
from posegrasp_ros.runtime.data_files import read_yaml
from posegrasp_ros.runtime.errors import InvalidInputError

LIBRARIES = ('numpy', 'onnxruntime', 'opencv', 'scipy', 'rosbags', 'mcap')
MOST_FILES_NAMED = 20
BLOCK_BYTES = 1 << 20
CLOCK = '/clock'
# Custom data in a recording's metadata that marks it as simulated.
SIMULATED = {'origin': 'simulation'}
# OpenCV and onnxruntime have several distribution names; the first that is installed counts.
DISTRIBUTIONS = {
    'opencv': ('opencv-python-headless', 'opencv-python', 'opencv-contrib-python'),
    'onnxruntime': ('onnxruntime', 'onnxruntime-gpu'),
}


def describe_run(cards: Mapping[str, ModelCard] | None = None, seed: int | None = None,
                 configuration: dict | None = None) -> dict:
    """Provenance of a run for its summary; recordings are described by :class:`BagDescriptions`.

    :param cards: of the objects by name; that of the only one has none, see
        :func:`posegrasp_ros.estimation.model_set.load_model_set`
    :param seed: random seed of the run
    :param configuration: other settings that the results depend on, plain values
    """
    provenance: dict[str, Any] = {
        'package': f'posegrasp_ros {posegrasp_ros.__version__}',
        'time': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'host': {'system': f'{platform.system()} {platform.machine()}', 'cpus': usable_cpus(),
                 'processor': processor_name()},
        'versions': {'python': platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
    }
    if cards is not None and len(cards) > 1:
        provenance['models'] = {name: describe_model(card) for name, card in cards.items()}
    elif cards:
        (card,) = cards.values()
        provenance['model'] = describe_model(card)
    if seed is not None:
        provenance['seed'] = seed
    if configuration is not None:
        text = json.dumps(configuration, sort_keys=True)
        provenance['configuration'] = {**configuration, 'sha256': hashlib.sha256(text.encode()).hexdigest()}
    return provenance


def describe_model(card: ModelCard) -> dict:
    """Name of a model, hashes of its network and of its card, which states the hashes of all its networks, and
    what it was calibrated on."""
    return {'name': card.name, 'sha256': card.network_sha256, 'card_sha256': card.sha256,
            'calibration': card.calibration.sentence}


def describe_mesh(path: str | Path) -> dict:
    """Name and hash of a mesh file."""
    return {'name': Path(path).name, 'sha256': _sha256(Path(path), lambda count: True)}


class BagDescriptions:
    """Runs :func:`describe_bag` for recordings in a background thread while they are read.

    On exit of the context manager, recordings that are not hashed yet stay without a hash.

    :ivar total_bytes: number of bytes to hash
    :ivar hashed_bytes: number of bytes hashed so far
    """

    def __init__(self, paths: Sequence[str | Path]):
        self._paths = [Path(path) for path in paths]
        self.total_bytes = sum(file.stat().st_size for path in self._paths for file in _files(path))
        self.hashed_bytes = 0
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='hash')
        self._described = [self._pool.submit(describe_bag, path, self._goes_on) for path in self._paths]

    def __enter__(self) -> BagDescriptions:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._pool.shutdown()

    @property
    def are_done(self) -> bool:
        return all(each.done() for each in self._described)

    def stop(self) -> None:
        """Stop hashing."""
        self._stopped.set()

    def result(self) -> list[dict]:
        """Wait for all descriptions.

        :raises OSError: when a file cannot be read
        """
        return [each.result() for each in self._described]

    def _goes_on(self, count: int) -> bool:
        self.hashed_bytes += count
        return not self._stopped.is_set()


def describe_bag(path: Path, goes_on: Callable[[int], bool] = lambda count: True) -> dict:
    """Description of a recording: name, files with sizes in bytes, hash, and whether it was simulated.

    Above :data:`MOST_FILES_NAMED` files, only their number and total size. The hash is that of a single file's
    bytes; for several files it is that of their names and hashes, sorted by name, in the format of ``sha256sum``.

    :param goes_on: called with the number of bytes just hashed, returns whether to continue; if not, the hash is
        None
    """
    files = _files(path)
    sizes = {
        file.relative_to(path).as_posix() if path.is_dir() else file.name: file.stat().st_size for file in files
    }
    hashes = [_sha256(file, goes_on) for file in files]
    whole = hashes[0] if len(files) == 1 else None
    if len(files) != 1 and None not in hashes:
        lines = ''.join(f'{each}  {name}\n' for each, name in zip(hashes, sizes))
        whole = hashlib.sha256(lines.encode(errors='surrogateescape')).hexdigest()  # names may not be UTF-8
    if len(sizes) > MOST_FILES_NAMED:
        sizes = {f'{len(sizes)} files': sum(sizes.values())}
    return {'name': path.name, 'files': sizes, 'sha256': whole, 'simulated': _is_simulated(path)}


def _files(path: Path) -> list[Path]:
    """Files of a recording."""
    return sorted(file for file in path.rglob('*') if file.is_file()) if path.is_dir() else [path]


def _is_simulated(path: Path) -> bool:
    """Whether a recording's metadata.yaml marks it as simulated or lists ``/clock``, which simulators publish."""
    described_in = (path if path.is_dir() else path.parent) / 'metadata.yaml'
    try:
        information = read_yaml(described_in, InvalidInputError)['rosbag2_bagfile_information']
        topics = {topic['topic_metadata']['name'] for topic in information['topics_with_message_count']}
        return (information.get('custom_data') or {}).get('origin') == SIMULATED['origin'] or CLOCK in topics
    except (InvalidInputError, LookupError, TypeError, AttributeError):
        return False  # not a rosbag2 recording, or without readable metadata


def _sha256(path: Path, goes_on: Callable[[int], bool]) -> str | None:
    """SHA-256 of a file, lower-case hex; None when stopped by ``goes_on``."""
    digest = hashlib.sha256()
    if not goes_on(0):
        return None
    with path.open('rb') as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            if not goes_on(len(block)):
                return None
    return digest.hexdigest()


def _version(name: str) -> str | None:
    """Version of an installed library; None when it was installed without Python metadata."""
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None
