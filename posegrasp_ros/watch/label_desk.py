# SPDX-License-Identifier: Apache-2.0
"""LabelDesk: what the label page sends, done in a session, and what the page is to show then."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np

from posegrasp_ros.estimation.overlay import AXIS_COLOURS
from posegrasp_ros.estimation.sketch import sketch
from posegrasp_ros.geometry.transforms import quaternion_from_matrix, rotation_from_vector, transform_points
from posegrasp_ros.runtime.errors import InvalidInputError, quoted
from posegrasp_ros.watch.label_session import Draft, LabelSession, Pair
from posegrasp_ros.watch.mesh_view import MeshView, placed_alone
from posegrasp_ros.watch.page_message import packed
from posegrasp_ros.watch.watch_error import WatchError

VIEW_PX = 480
JPEG_QUALITY = 92
LEAST_ZOOM, MOST_ZOOM = 0.5, 20.0
TURNED_VIEW = rotation_from_vector([-0.45, 0.0, 0.0]) @ rotation_from_vector([0.0, 0.6, 0.0])
BEHIND_M = 1e-3
"""A point of the surface that lies so far behind what a view shows is hidden in it."""


class LabelDesk:
    """Answers the page's messages: JSON objects whose ``do`` names what is to be done.

    :param session: that is worked on
    :param source: name of what is labelled
    :param out: file that labels are written to
    """

    def __init__(self, session: LabelSession, source: str, out: str):
        self._session, self._source, self._out = session, source, out
        self._edges = sketch(session.card.mesh)
        self._view_from_object, self._zoom, self._opacity = TURNED_VIEW, 1.0, 0.5
        self._alone: MeshView | None = None
        self._actions: dict[str, Callable[[dict], None]] = {
            'show': lambda _: None,
            'go': lambda asked: session.go(int(_number(asked, 'step'))),
            'click_image': lambda asked: session.click_image(_pair(asked)),
            'click_mesh': self._click_mesh,
            'undo': lambda _: session.undo(), 'clear': lambda _: session.clear(),
            'solve': lambda _: session.solve(), 'refine': lambda _: session.refine(),
            'shift': lambda asked: session.shift(_pair(asked)),
            'nearer': lambda asked: session.shift(np.zeros(2), _number(asked, 'by')),
            'turn': lambda asked: session.turn(_dragged(asked)),
            'roll': lambda asked: session.turn(np.radians([0.0, 0.0, _number(asked, 'by')])),
            **{name: partial(self._label, do) for name, do in (
                ('save', session.save), ('skip', session.skip), ('absent', session.absent))},
            'view': self._turn_view, 'see': lambda _: self._see_as_camera(), 'opacity': self._set_opacity,
        }

    def hear(self, text: str) -> bytes:
        """Do what a message asks for; what the page is to show then: length of the JSON, the JSON, and two JPEGs.

        The JSON gives the lengths of the JPEGs, of the image and of the mesh alone. What cannot be done is told as
        its ``problem``.
        """
        problem = ''
        try:
            asked = json.loads(text)
            action = self._actions.get(str(asked.get('do'))) if isinstance(asked, dict) else None
            if action is None:
                raise WatchError(f'page: expected one of {", ".join(self._actions)}, got {quoted(text)}')
            action(asked)
        except (InvalidInputError, OSError) as error:
            problem = str(error)
        except (ValueError, RecursionError):
            problem = f'page: expected a JSON object, got {quoted(text)}'
        return self._told(problem)

    def _told(self, problem: str) -> bytes:
        draft, in_image = self._session.draft, self._in_image()
        pictures = [_jpeg(self._picture(in_image)), _jpeg(self._view().picture())]
        shown = json.dumps({
            'kind': 'label', 'problem': problem, 'source': self._source, 'out': self._out,
            'object': self._session.card.name, **self._progress(), 'opacity': self._opacity,
            'draft': None if draft is None else _told_draft(draft),
            'pairs': [self._told_pair(pair) for pair in self._session.pairs],
            'edges': [] if draft is None else self._projected(self._edges.reshape(-1, 3), 2),
            'axes': [] if draft is None else self._told_axes(),
            'outlines': [] if in_image is None else [line.tolist() for line in in_image.outlines()],
            'jpeg_bytes': [len(each) for each in pictures],
        }).encode()
        return packed(shown, *pictures)

    def _progress(self) -> dict[str, Any]:
        session, frame, label = self._session, self._session.frame, self._session.label
        return {'place': session.place, 'count': session.count, 'labelled': session.labelled,
                'time_s': session.time_s, 'label': '' if label is None else label.way,
                'unusable': frame.reason and f'{frame.reason} {frame.problem}'.strip(), 'warning': frame.warning}

    def _in_image(self) -> MeshView | None:
        draft, frame = self._session.draft, self._session.frame
        if draft is None or frame.camera is None:
            return None
        return MeshView.in_image(self._session.card.mesh, draft.truth.pose, frame.camera)

    def _picture(self, in_image: MeshView | None) -> np.ndarray | None:
        image = self._session.frame.image
        return image if image is None or in_image is None else in_image.over(image, self._opacity)

    def _view(self) -> MeshView:
        """The mesh alone, drawn again only after it was turned."""
        if self._alone is None:
            self._alone = MeshView.alone(self._session.card.mesh, self._view_from_object, self._zoom, VIEW_PX)
        return self._alone

    def _label(self, do: Callable[[], None], asked: dict) -> None:
        """Label the frame that the page shows, which it may say twice."""
        if _number(asked, 'place') != self._session.place:
            raise WatchError(f'not labelled: expected frame {self._session.place + 1}, the page showed another')
        do()

    def _click_mesh(self, asked: dict) -> None:
        point = self._view().point_at(_pair(asked))
        if point is None:
            raise WatchError('points: expected a click on the object, got one beside it')
        self._session.click_mesh(point)

    def _turn_view(self, asked: dict) -> None:
        zoom = self._zoom * math.exp(float(np.clip(_number(asked, 'zoom'), -2, 2)))
        self._show_view(rotation_from_vector(_dragged(asked)) @ self._view_from_object,
                        float(np.clip(zoom, LEAST_ZOOM, MOST_ZOOM)))

    def _see_as_camera(self) -> None:
        """Turn the mesh alone as the object is turned in the image."""
        draft = self._session.draft
        self._show_view(TURNED_VIEW if draft is None else draft.truth.pose[:3, :3], 1.0)

    def _show_view(self, view_from_object: np.ndarray, zoom: float) -> None:
        self._view_from_object, self._zoom, self._alone = view_from_object, zoom, None

    def _set_opacity(self, asked: dict) -> None:
        self._opacity = float(np.clip(_number(asked, 'value'), 0.0, 1.0))

    def _projected(self, points: np.ndarray, together: int) -> list[list[float]]:
        """Pixels of points (N, 3), object frame, so many in a list; without those that the image cannot show."""
        draft, camera = self._session.draft, self._session.frame.camera
        if draft is None or camera is None:
            return []
        pixels = camera.project(transform_points(draft.truth.pose, points)).reshape(-1, 2 * together)
        return np.round(pixels[np.isfinite(pixels).all(axis=1)], 2).tolist()

    def _told_axes(self) -> list[dict[str, Any]]:
        length = 0.35 * self._session.card.mesh.diameter
        lines = [self._projected(np.array([np.zeros(3), length * axis]), 2) for axis in np.eye(3)]
        return [{'line': line[0], 'colour': f'rgb({red}, {green}, {blue})'}
                for line, (blue, green, red) in zip(lines, AXIS_COLOURS) if line]

    def _told_pair(self, pair: Pair) -> dict[str, Any]:
        """Where a pair is in the image, where its point of the mesh is there, and where in the view."""
        told: dict[str, Any] = {'pixel': None if pair.pixel is None else np.round(pair.pixel, 2).tolist(),
                                'seen': None, 'view': None, 'is_hidden': False}
        if pair.point is not None:
            told['seen'] = next(iter(self._projected(pair.point[None], 1)), None)
            *pixel, depth = self._placed(pair.point)
            told['view'], shown = np.round(pixel, 1).tolist(), self._view().point_at(np.array(pixel))
            told['is_hidden'] = bool(shown is None or depth > self._placed(shown)[2] + BEHIND_M)
        return told

    def _placed(self, point: np.ndarray) -> np.ndarray:
        return placed_alone(self._session.card.mesh, point[None], self._view_from_object, self._zoom, VIEW_PX)[0]


def _told_draft(draft: Draft) -> dict[str, Any]:
    pose, covariance = draft.truth
    sigmas = None if covariance is None else np.sqrt(np.diag(covariance))
    return {'way': draft.way, 'is_touched': draft.is_touched, 'residual_px': draft.residual_px,
            'position_mm': np.round(1000 * pose[:3, 3], 1).tolist(),
            'quaternion_xyzw': np.round(quaternion_from_matrix(pose[:3, :3]), 4).tolist(),
            'sigma_mm': None if sigmas is None else round(float(1000 * sigmas[:3].max()), 2),
            'sigma_deg': None if sigmas is None else round(float(np.degrees(sigmas[3:].max())), 2)}


def _jpeg(picture: np.ndarray | None) -> bytes:
    if picture is None:
        return b''
    return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _number(asked: dict, name: str) -> float:
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e6:
        raise WatchError(f'page: {name}: expected a number, got {quoted(value)}')
    return float(value)


def _pair(asked: dict) -> np.ndarray:
    """(2,)"""
    return np.array([_number(asked, 'x'), _number(asked, 'y')])


def _dragged(asked: dict) -> np.ndarray:
    """(3,) rotation vector, radians, that takes the side towards the eye along with a drag, stated in degrees."""
    return np.radians([_number(asked, 'y'), -_number(asked, 'x'), 0.0])
