# SPDX-License-Identifier: Apache-2.0
"""Corrections in a file: written by ``posegrasp evaluate``, applied by it and by nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from posegrasp_ros.faults.corrections.conventions import Inverse, Mirror, QuaternionOrder
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.lengths import Depth, Scale
from posegrasp_ros.faults.corrections.other_intrinsics import OtherIntrinsics
from posegrasp_ros.faults.corrections.rigid import InCamera, InObject, Rays
from posegrasp_ros.faults.corrections.stamps import Time
from posegrasp_ros.faults.corrections.symmetry import DeclaredSymmetry
from posegrasp_ros.runtime.data_files import read_yaml
from posegrasp_ros.runtime.errors import InvalidInputError

SCHEMA = 'posegrasp.corrections/1'
NAME = 'corrections.yaml'
KINDS: Mapping[str, type[Correction]] = {each.kind: each for each in (
    InCamera, InObject, Scale, Depth, OtherIntrinsics, Mirror, Inverse, QuaternionOrder, Time, Rays,
    DeclaredSymmetry)}
HEAD = '''# What posegrasp evaluate found systematically wrong with the poses of {source}, and what corrects it,
# in this order. Apply it with posegrasp evaluate --correct FILE; better still, fix the cause.
'''


class CorrectionFileError(InvalidInputError):
    """A file of corrections that cannot be used."""


def corrections_text(source: str, diagnoses: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text; empty where nothing was found that can be corrected.

    :param source: whose poses they are
    :param diagnoses: by object, see :meth:`posegrasp_ros.faults.diagnose.Diagnosis.to_dict`
    """
    objects = {name: [{'fault': each['fault'], 'says': each['says'], **each['correction']}
                      for each in diagnosis['findings'] if each['correction']]
               for name, diagnosis in diagnoses.items()}
    objects = {name: found for name, found in objects.items() if found}
    if not objects:
        return ''
    return HEAD.format(source=source) + yaml.safe_dump({'schema': SCHEMA, 'source': source, 'objects': objects},
                                                       sort_keys=False, allow_unicode=True)


def read_corrections(path: str | Path) -> dict[str, tuple[Correction, ...]]:
    """Corrections by object, '' is the only one.

    :raises CorrectionFileError: when the file is no such file
    """
    stated = read_yaml(Path(path), CorrectionFileError)
    if not isinstance(stated, dict) or stated.get('schema') != SCHEMA or not isinstance(
            stated.get('objects'), dict):
        raise CorrectionFileError(f'{path}: expected schema: {SCHEMA} and objects, as {NAME} in a run folder of '
                                  'posegrasp evaluate has them')
    try:
        return {str(name): tuple(correction_from(each, f'{path}: {name or "object"}') for each in found)
                for name, found in stated['objects'].items()}
    except (TypeError, AttributeError) as error:
        raise CorrectionFileError(f'{path}: objects: expected lists of corrections: {error}') from error


def correction_from(stated: Mapping[str, Any], place: str) -> Correction:
    """Inverse of ``to_dict`` with ``kind``.

    :param place: for messages
    :raises CorrectionFileError: when it is none
    """
    kind = stated.get('kind')
    known = KINDS.get(str(kind))
    if known is None:
        raise CorrectionFileError(f'{place}: kind: expected one of {", ".join(KINDS)}, got {kind!r}')
    try:
        return known.from_dict(stated)
    except (KeyError, TypeError, ValueError) as error:
        raise CorrectionFileError(f'{place}: {kind}: expected the fields that posegrasp evaluate writes, got '
                                  f'{dict(stated)}: {error}') from error
