"""What a number was measured with: versions, machine, model, recordings and configuration."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path

import yaml

import posegrasp_ros
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.processors import processor_name, usable_cpus

LIBRARIES = ('numpy', 'onnxruntime', 'opencv', 'scipy', 'rosbags', 'mcap')
MOST_FILES_NAMED = 20
BLOCK_BYTES = 1 << 20
CLOCK = '/clock'
# In a recording's custom data, that no camera took it.
SIMULATED = {'origin': 'simulation'}
# OpenCV and onnxruntime go by several package names; the first that is installed counts.
DISTRIBUTIONS = {
    'opencv': ('opencv-python-headless', 'opencv-python', 'opencv-contrib-python'),
    'onnxruntime': ('onnxruntime', 'onnxruntime-gpu'),
}


def describe_run(card: ModelCard | None = None, bags: list[Path] | None = None, seed: int | None = None,
                 configuration: dict | None = None) -> dict:
    """Provenance of a run, ready for the summary.

    :param bags: recordings that were read; their files are listed with names, sizes and a hash of them all
    :param seed: of whatever was random in the run
    :param configuration: what else the results depend on, plain values
    """
    provenance = {
        'package': f'posegrasp_ros {posegrasp_ros.__version__}',
        'time': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'host': {'system': f'{platform.system()} {platform.machine()}', 'cpus': usable_cpus(),
                 'processor': processor_name()},
        'versions': {'python': platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
    }
    if card is not None:
        provenance['model'] = describe_model(card)
    if bags is not None:
        provenance['bags'] = [describe_bag(Path(bag)) for bag in bags]
    if seed is not None:
        provenance['seed'] = seed
    if configuration is not None:
        text = json.dumps(configuration, sort_keys=True)
        provenance['configuration'] = {**configuration, 'sha256': hashlib.sha256(text.encode()).hexdigest()}
    return provenance


def describe_model(card: ModelCard) -> dict:
    """A model's name, and hashes of its network and of its card, which states those of all its networks."""
    return {'name': card.name, 'sha256': card.network_sha256, 'card_sha256': card.sha256}


def describe_bag(path: Path) -> dict:
    """A recording's name, its files with their sizes in bytes, of very many their number and sum, a hash, and
    whether it shows a simulation.

    The hash is that of a single file's bytes; of several files that of their names and hashes, sorted by name, as
    ``sha256sum`` prints them.
    """
    files = sorted(file for file in path.rglob('*') if file.is_file()) if path.is_dir() else [path]
    sizes = {
        file.relative_to(path).as_posix() if path.is_dir() else file.name: file.stat().st_size for file in files
    }
    hashes = [_sha256(file) for file in files]
    if len(files) != 1:
        lines = ''.join(f'{each}  {name}\n' for each, name in zip(hashes, sizes))
        hashes = [hashlib.sha256(lines.encode()).hexdigest()]
    if len(sizes) > MOST_FILES_NAMED:
        sizes = {f'{len(sizes)} files': sum(sizes.values())}
    return {'name': path.name, 'files': sizes, 'sha256': hashes[0], 'simulated': _is_simulated(path)}


def _is_simulated(path: Path) -> bool:
    """Whether a recording's metadata says so, or names the clock that simulations publish; files alone do not."""
    described_in = (path if path.is_dir() else path.parent) / 'metadata.yaml'
    try:
        information = yaml.safe_load(described_in.read_text(encoding='utf-8'))['rosbag2_bagfile_information']
        topics = {topic['topic_metadata']['name'] for topic in information['topics_with_message_count']}
        return (information.get('custom_data') or {}).get('origin') == SIMULATED['origin'] or CLOCK in topics
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError):
        return False  # no recording of rosbag2, or one of which nobody can say


def _sha256(path: Path) -> str:
    """Hash of a file of any size, lower-case hex."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _version(name: str) -> str | None:
    """Version of an installed library; None when a distribution installed it without Python's metadata."""
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None
