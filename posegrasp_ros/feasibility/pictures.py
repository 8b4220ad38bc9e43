# SPDX-License-Identifier: Apache-2.0
"""Pictures of a study: weak views, ambiguous poses and the tolerance of the gripper."""

from __future__ import annotations

from base64 import b64encode

import cv2
import numpy as np

from posegrasp_ros.feasibility.attainable.ambiguity import Ambiguity
from posegrasp_ros.feasibility.study import Study
from posegrasp_ros.feasibility.tolerance_drawing import tolerance_drawing
from posegrasp_ros.feasibility.view_picture import view_picture
from posegrasp_ros.metrics import formatting

WEAK_VIEWS, LOOK_ALIKES = 3, 3
HEIGHT_PX, JPEG_QUALITY = 240, 85


def study_pictures(found: Study) -> dict:
    """Pictures for the report page: {weak, alike, tolerance}."""
    return {'weak': [_weak_view(found, index) for index in _weakest(found)],
            'alike': [_look_alike(found, each) for each in found.attainable.ambiguities
                      if each.views and not each.is_harmless][:LOOK_ALIKES],
            'tolerance': tolerance_drawing(found)}


def _weakest(found: Study) -> list[int]:
    """Indices of the views with the lowest success; among equal ones, those with the largest bound."""
    bounds = found.attainable.views

    def strength(view: int) -> tuple[float, float]:
        return round(found.expected_success.success[view], 3), -bounds[view].size_m

    return sorted(range(len(bounds)), key=strength)[:WEAK_VIEWS]


def _weak_view(found: Study, index: int) -> dict[str, str]:
    bound = found.attainable.views[index]
    return {'data_uri': _data_uri(view_picture(found.cell.mesh, found.cell.camera, bound.view)),
            'title': f'{formatting.quantity(found.expected_success.success[index], "1")} success, '
                     f'from {bound.view.distance_m:.2f} m',
            'text': f'largest uncertainty {bound.weakest_text}'}


def _look_alike(found: Study, alike: Ambiguity) -> dict[str, str]:
    cell, view = found.cell, found.attainable.views[alike.views[0]].view
    return {'data_uri': _data_uri(view_picture(cell.mesh, cell.camera, view)),
            'other_uri': _data_uri(view_picture(cell.mesh, cell.camera, view, alike.object_from_alike)),
            'text': alike.text, 'share': formatting.quantity(alike.share_of_views, '1')}


def _data_uri(picture: np.ndarray) -> str:
    """Data URI of a picture (H, W, 3) BGR, scaled to :data:`HEIGHT_PX`."""
    height, width = picture.shape[:2]
    size = (max(round(width * HEIGHT_PX / height), 1), HEIGHT_PX)
    enlarged = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if height > HEIGHT_PX else cv2.INTER_CUBIC)
    done, jpeg = cv2.imencode('.jpg', enlarged, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError('OpenCV cannot encode JPEG')
    return f'data:image/jpeg;base64,{b64encode(jpeg.tobytes()).decode()}'
