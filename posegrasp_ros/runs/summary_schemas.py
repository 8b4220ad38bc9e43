# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of the summaries, and their validation."""

from __future__ import annotations

from typing import Any

import jsonschema

from posegrasp_ros.metrics import pick_metrics, summary
from posegrasp_ros.metrics.catalogue import OURS
from posegrasp_ros.metrics.stage_report import STAGES
from posegrasp_ros.metrics.units import SHOWN_UNITS

FEASIBILITY = 'posegrasp.feasibility/1'
"""Schema name of a feasibility study's summary; defined here so that reading one does not import the simulator."""


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {'type': 'object', 'required': list(required), 'properties': {**required, **optional}}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {'anyOf': [{'type': 'null'}, schema]}


def _each(schema: dict[str, Any]) -> dict[str, Any]:
    return {'type': 'object', 'additionalProperties': schema}


def _list(schema: dict[str, Any], **limits: int) -> dict[str, Any]:
    return {'type': 'array', 'items': schema, **limits}


TEXT, FLAG = {'type': 'string'}, {'type': 'boolean'}
NUMBER, COUNT = {'type': 'number', 'minimum': -1e300, 'maximum': 1e300}, {'type': 'integer', 'minimum': 0}
INTERVAL = _or_null(_list(NUMBER, minItems=2, maxItems=2))
PERCENTILES = {'percentiles': _list(_or_null(NUMBER), minItems=101, maxItems=101)}
UNIT = {'enum': list(SHOWN_UNITS)}
METRIC = _object({'value': _or_null(NUMBER), 'unit': UNIT, 'interval': INTERVAL, 'n': COUNT}, note=TEXT)
# A metric with observations must have a value.
METRIC['if'] = {'properties': {'n': {'minimum': 1}}}
METRIC['then'] = {'properties': {'value': NUMBER}}
VERDICT = _object({
    'metric': TEXT, 'entry': TEXT, 'kind': TEXT, 'value': _or_null(NUMBER), 'interval': INTERVAL,
    'reference': NUMBER, 'unit': UNIT, 'direction': TEXT, 'fair': FLAG,
    'verdict': {'enum': ['better', 'worse', 'inconclusive']}})
STAGE = _object({'inputs': COUNT, 'answered': COUNT, 'coverage': _or_null(NUMBER),
                 'latency_ms': _or_null(_object({'p50': NUMBER, 'p95': NUMBER, 'p99': NUMBER}))})
WATERFALL = _object({
    'of': TEXT, 'attempts': COUNT, 'successes': COUNT,
    'steps': _list(_object({'reason': TEXT, 'stage': TEXT, 'lost': COUNT, 'left': COUNT})),
    'if_perfect': _each(_or_null(NUMBER)), 'outside_by': _each(COUNT)})
CALIBRATION = _object({
    'score': _or_null(_list(_object({'low': NUMBER, 'high': NUMBER, 'n': COUNT, 'score': NUMBER,
                                     'right': NUMBER}))),
    'covariance': _or_null(_list(_object({'level': NUMBER, 'inside': NUMBER})))})
TRUTH_ERRORS = _object(
    {'frames': COUNT, 'unknown': COUNT},
    **dict.fromkeys(('position_m', 'rotation_rad', 'position_left_m', 'rotation_left_rad', 'recall_if_perfect'),
                    _or_null(NUMBER)))
RECORDING = _object({'name': TEXT})
PROVENANCE = _object({}, time=TEXT, host=_object({'system': TEXT, 'cpus': COUNT}), package=TEXT,
                     model=_or_null(_object({'name': TEXT})), bags=_or_null(_list(RECORDING)), complete=FLAG,
                     seed=NUMBER)
SUMMARY = _object({
    'schema': {'const': summary.SCHEMA},
    'headline': _object({'name': TEXT, 'value': _or_null(NUMBER), 'interval': INTERVAL, 'n': COUNT}),
    'stages': _object(dict.fromkeys(STAGES, STAGE)),
    'metrics': _each(METRIC),
    'verdicts': _list(VERDICT),
    'waterfall': WATERFALL,
    'failures': _each(COUNT),
    'frames': _object({'seen': COUNT, 'with_object': COUNT, 'without_object': COUNT, 'blocks': COUNT,
                       'block_s': {'type': 'number', 'exclusiveMinimum': 0, 'maximum': 1e9}}),
    'distributions': _each(_or_null(_object({'unit': UNIT, **PERCENTILES}))),
    'latency': _each(_or_null(_object(PERCENTILES))),
    'calibration': CALIBRATION,
    'next': _object({'text': TEXT, 'metrics': _list(_object({'metric': TEXT, 'action': TEXT, 'why': TEXT}))}),
    'provenance': PROVENANCE,
}, estimator=TEXT, complete=FLAG, truth_errors=TRUTH_ERRORS)
COUNTED = _object({'n': COUNT, 'rate': _or_null(NUMBER), 'interval': INTERVAL})
COUNTED['if'] = {'properties': {'n': {'minimum': 1}}}
COUNTED['then'] = {'properties': {'rate': NUMBER, 'interval': _list(NUMBER, minItems=2, maxItems=2)}}
PICKS = _object({
    'schema': {'const': pick_metrics.SCHEMA},
    'provenance': _object({'time': TEXT}, models=_or_null(_each(_object({'name': TEXT}))), gripper=TEXT),
    'conditions': _list(_object({'pose': TEXT, 'objects': _each(COUNTED)}))}, complete=FLAG)
STUDY = _object({
    'schema': {'const': FEASIBILITY},
    'provenance': _object({'time': TEXT}),
    'object': _object({'size_m': _list(NUMBER, minItems=3, maxItems=3)}, name=TEXT),
    'gripper': _object({'name': TEXT}),
    'required': _object({}, no_grasp_reason=_or_null(TEXT)),
    'requirements': {'type': 'object', 'propertyNames': {'enum': [metric.name for metric in OURS]},
                     'additionalProperties': NUMBER},
    'verdict': _object({'word': TEXT, 'reasons': _list(_object({'name': TEXT, 'text': TEXT})),
                        'changes': _list(_object({'name': TEXT}))})},
    complete=FLAG, archetype=_or_null(_object({'name': TEXT})))
SCHEMAS = {summary.SCHEMA: SUMMARY, pick_metrics.SCHEMA: PICKS, FEASIBILITY: STUDY}
# Python's JSON parser accepts NaN and Infinity, and NaN passes minimum and maximum.
_TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    'number', lambda _, value: isinstance(value, (int, float)) and not isinstance(value, bool) and value == value)
_Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=_TYPES)
_VALIDATORS = {name: _Validator(schema) for name, schema in SCHEMAS.items()}


def summary_problem(document: Any, schema: str = summary.SCHEMA) -> str:
    """The first schema violation of a summary, field and reason; empty if it is valid.

    :param schema: one of :data:`SCHEMAS`
    """
    error = jsonschema.exceptions.best_match(_VALIDATORS[schema].iter_errors(document))
    if error is None:
        return ''
    field = error.json_path.removeprefix('$').removeprefix('.')
    return f'{field}: {error.message}' if field else error.message
