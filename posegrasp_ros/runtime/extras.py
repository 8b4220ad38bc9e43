# SPDX-License-Identifier: Apache-2.0
"""What to say where a package is missing that only a part of this one needs."""

from __future__ import annotations

# missing package -> the extra of setup.py that installs it
_EXTRAS = {'rclpy': 'ros', 'mujoco': 'sim', 'coacd': 'sim', 'networkx': 'sim', 'torch': 'train',
           'skimage': 'train', 'onnx': 'train', 'pinocchio': 'reach', 'coal': 'reach', 'hppfcl': 'reach',
           'pyarrow': 'fleet', 'fsspec': 'fleet', 'duckdb': 'fleet', 'aiohttp': 'watch', 'mlflow': 'mlflow',
           'ray': 'ray', 'rerun': 'rerun'}
PIP_NAMES = {'sim': 'mujoco coacd embreex networkx', 'train': 'torch onnx scikit-image', 'reach': 'pin',
             'fleet': 'pyarrow fsspec duckdb', 'watch': 'aiohttp', 'mlflow': 'mlflow-skinny',
             'ray': 'ray', 'rerun': 'rerun-sdk'}
"""Packages of an extra as pip names them."""
# Packages that an install by rosdep alone lacks: it has no key for them, or Ubuntu 24.04 has no such package.
_NOT_BY_ROSDEP = ('cyclopts', 'manifold3d', 'numba')


def missing_package(error: ModuleNotFoundError) -> str:
    """One line about a package that is not installed; empty where it is none of those that may be missing."""
    package = (error.name or '').split('.')[0]
    if package in _NOT_BY_ROSDEP:
        return f'{package}: expected it to be installed, rosdep does not install it: pip install {package}'
    extra = _EXTRAS.get(package)
    if extra is None:
        return ''
    line = f"this needs {error.name}: pip install '.[{extra}]' in the checkout"
    return line + (f'; where ROS is installed, pip install {PIP_NAMES[extra]}' if extra in PIP_NAMES else '')
