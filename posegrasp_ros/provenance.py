"""What a number was measured with: versions, machine, model and recordings."""

from __future__ import annotations

import datetime
import platform
from importlib import metadata
from pathlib import Path

import posegrasp_ros
from posegrasp_ros.estimation.model_card import ModelCard
from posegrasp_ros.processors import usable_cpus

LIBRARIES = ('numpy', 'onnxruntime', 'opencv')
MOST_FILES_NAMED = 20
# OpenCV and onnxruntime go by several package names; the first that is installed counts.
DISTRIBUTIONS = {
    'opencv': ('opencv-python-headless', 'opencv-python', 'opencv-contrib-python'),
    'onnxruntime': ('onnxruntime', 'onnxruntime-gpu'),
}


def describe_run(card: ModelCard | None = None, bags: list[Path] | None = None, seed: int | None = None) -> dict:
    """Provenance of a run, ready for the summary.

    :param bags: recordings that were read; their files are listed with names and sizes
    :param seed: of whatever was random in the run
    """
    provenance = {
        'package': f'posegrasp_ros {posegrasp_ros.__version__}',
        'time': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'host': {'system': f'{platform.system()} {platform.machine()}', 'cpus': usable_cpus()},
        'versions': {'python': platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
    }
    if card is not None:
        provenance['model'] = {'name': card.name, 'sha256': card.network_sha256}
    if bags is not None:
        provenance['bags'] = [describe_bag(Path(bag)) for bag in bags]
    if seed is not None:
        provenance['seed'] = seed
    return provenance


def describe_bag(path: Path) -> dict:
    """A recording's name and its files with their sizes in bytes; of very many their number and sum."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    sizes = {file.name: file.stat().st_size for file in files if file.is_file()}
    if len(sizes) > MOST_FILES_NAMED:
        sizes = {f'{len(sizes)} files': sum(sizes.values())}
    return {'name': path.name, 'files': sizes}


def _version(name: str) -> str | None:
    """Version of an installed library; None when a distribution installed it without Python's metadata."""
    for distribution in DISTRIBUTIONS.get(name, (name,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None
