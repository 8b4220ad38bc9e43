# SPDX-License-Identifier: Apache-2.0
"""JSON schemas of the messages that Foxglove draws, by their names (https://docs.foxglove.dev/docs/visualization/message-schemas).

All fields of a message are required: Foxglove reads an absent one as an error, not as empty.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {'type': 'string'}
NUMBER: Schema = {'type': 'number'}
FLAG: Schema = {'type': 'boolean'}
WHOLE: Schema = {'type': 'integer', 'minimum': 0}
BYTES: Schema = {'type': 'string', 'contentEncoding': 'base64'}


def _message(title: str, /, **fields: Schema) -> Schema:
    return {'title': title, 'type': 'object', 'properties': fields, 'required': list(fields)}


def _list(items: Schema, length: int | None = None) -> Schema:
    exactly = {} if length is None else {'minItems': length, 'maxItems': length}
    return {'type': 'array', 'items': items, **exactly}


TIME = _message('time', sec=WHOLE, nsec={**WHOLE, 'maximum': 999_999_999})
DURATION = _message('duration', sec={'type': 'integer'}, nsec={**WHOLE, 'maximum': 999_999_999})
VECTOR = _message('foxglove.Vector3', x=NUMBER, y=NUMBER, z=NUMBER)
POINT = _message('foxglove.Point3', x=NUMBER, y=NUMBER, z=NUMBER)
QUATERNION = _message('foxglove.Quaternion', x=NUMBER, y=NUMBER, z=NUMBER, w=NUMBER)
POSE = _message('foxglove.Pose', position=VECTOR, orientation=QUATERNION)
COLOUR = _message('foxglove.Color', r=NUMBER, g=NUMBER, b=NUMBER, a=NUMBER)
# What an entity of a scene may hold, each with its place in the entity's frame.
PRIMITIVES = {
    'arrows': _message('foxglove.ArrowPrimitive', pose=POSE, shaft_length=NUMBER, shaft_diameter=NUMBER,
                       head_length=NUMBER, head_diameter=NUMBER, color=COLOUR),
    'cubes': _message('foxglove.CubePrimitive', pose=POSE, size=VECTOR, color=COLOUR),
    'spheres': _message('foxglove.SpherePrimitive', pose=POSE, size=VECTOR, color=COLOUR),
    'cylinders': _message('foxglove.CylinderPrimitive', pose=POSE, size=VECTOR, bottom_scale=NUMBER,
                          top_scale=NUMBER, color=COLOUR),
    'lines': _message('foxglove.LinePrimitive', type=WHOLE, pose=POSE, thickness=NUMBER, scale_invariant=FLAG,
                      points=_list(POINT), color=COLOUR, colors=_list(COLOUR), indices=_list(WHOLE)),
    'triangles': _message('foxglove.TriangleListPrimitive', pose=POSE, points=_list(POINT), color=COLOUR,
                          colors=_list(COLOUR), indices=_list(WHOLE)),
    'texts': _message('foxglove.TextPrimitive', pose=POSE, billboard=FLAG, font_size=NUMBER,
                      scale_invariant=FLAG, color=COLOUR, text=TEXT),
    'models': _message('foxglove.ModelPrimitive', pose=POSE, scale=VECTOR, color=COLOUR, override_color=FLAG,
                       url=TEXT, media_type=TEXT, data=BYTES),
}
ENTITY = _message('foxglove.SceneEntity', timestamp=TIME, frame_id=TEXT, id=TEXT, lifetime=DURATION,
                  frame_locked=FLAG, metadata=_list(_message('foxglove.KeyValuePair', key=TEXT, value=TEXT)),
                  **{name: _list(primitive) for name, primitive in PRIMITIVES.items()})
DELETION = _message('foxglove.SceneEntityDeletion', timestamp=TIME, type=WHOLE, id=TEXT)
FIGURES = 'posegrasp.Figures'
"""Name of our own: an object's figures in a frame, null where they are not known."""
FIGURE: Schema = {'type': ['number', 'null']}

SCHEMAS: dict[str, Schema] = {schema['title']: schema for schema in (
    _message('foxglove.CompressedImage', timestamp=TIME, frame_id=TEXT, data=BYTES, format=TEXT),
    _message('foxglove.CameraCalibration', timestamp=TIME, frame_id=TEXT, width=WHOLE, height=WHOLE,
             distortion_model=TEXT, D=_list(NUMBER), K=_list(NUMBER, 9), R=_list(NUMBER, 9), P=_list(NUMBER, 12)),
    _message('foxglove.FrameTransform', timestamp=TIME, parent_frame_id=TEXT, child_frame_id=TEXT,
             translation=VECTOR, rotation=QUATERNION),
    _message('foxglove.SceneUpdate', deletions=_list(DELETION), entities=_list(ENTITY)),
    _message(FIGURES, timestamp=TIME, object=TEXT, reason=TEXT, position_error_mm=FIGURE,
             rotation_error_deg=FIGURE, score=FIGURE, latency_ms=FIGURE),
)}
