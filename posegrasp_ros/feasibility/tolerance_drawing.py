# SPDX-License-Identifier: Apache-2.0
"""Drawing of the gripper at the object from two sides, with tolerated and expected errors as ellipses."""

from __future__ import annotations

import cv2
import numpy as np

from posegrasp_ros.feasibility.study import Study
from posegrasp_ros.geometry.transforms import invert, transform_points
from posegrasp_ros.grasping.box import Box

# Semi-axes of the ellipses in standard deviations: 95 % of the errors along each axis.
DEVIATIONS = 2.0
# Resolution of the raster in which the object outline is found, pixels per metre.
PIXELS_A_METRE = 4000
# Title of each drawing, and the axes of the TCP frame to the right and down.
SIDES = (('across the fingers', 0, 2), ('along the pads', 1, 2))
MARGIN_MM = 12.0
# The drawing is cut off this far above the pads.
PALM_SHOWN_MM = 75.0


def tolerance_drawing(found: Study) -> list[dict]:
    """One drawing from each side, in millimetres of the TCP frame, for the page's SVG; none without a grasp."""
    errors = found.axis_errors
    grasp, view, covariance = errors.typical_grasp, errors.typical_view, errors.gripper_covariance
    if grasp is None or view is None or covariance is None:
        return []
    base_from_object = found.attainable.views[view].view.base_from_object
    points = 1e3 * transform_points(invert(grasp.base_from_tcp) @ base_from_object, found.cell.mesh.vertices)
    boxes = found.cell.gripper.boxes(grasp.opening_m)
    expected = DEVIATIONS * 1e3 * np.sqrt(np.diag(covariance))
    return [_drawing(found, points, boxes, expected, *side) for side in SIDES]


def _drawing(found: Study, points_mm: np.ndarray, boxes: list[Box], expected: np.ndarray, title: str, right: int,
             down: int) -> dict:
    outline = _outline(points_mm[:, [right, down]], found.cell.mesh.faces)
    rectangles = [rectangle for rectangle in (_rectangle(box, right, down) for box in boxes) if rectangle]
    corners = np.vstack([outline, *[[(r['x'], r['y']), (r['x'] + r['width'], r['y'] + r['height'])]
                                    for r in rectangles]])
    low, high = corners.min(axis=0) - MARGIN_MM, corners.max(axis=0) + MARGIN_MM
    limits = [axis.limit for axis in found.required.gripper_axes]
    return {'title': title, 'box': [*low.tolist(), *(high - low).tolist()], 'boxes': rectangles,
            'outline': ' '.join(f'{x:.1f},{y:.1f}' for x, y in outline),
            'tolerance': [DEVIATIONS * 1e3 * limits[axis] for axis in (right, down)] if limits else None,
            'expected': [float(expected[right]), float(expected[down])]}


def _rectangle(box: Box, right: int, down: int) -> dict[str, float] | None:
    """Side view of a gripper box, cut off at the top; None if nothing of it remains."""
    low, high = (1e3 * (box.center + sign * box.half_extents)[[right, down]] for sign in (-1, 1))
    low[1] = max(low[1], -PALM_SHOWN_MM)
    if high[1] <= low[1]:
        return None
    return {'x': float(low[0]), 'y': float(low[1]), 'width': float(high[0] - low[0]),
            'height': float(high[1] - low[1])}


def _outline(points_mm: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N, 2) silhouette of a mesh with projected vertices (V, 2)."""
    scale = PIXELS_A_METRE / 1e3
    low = points_mm.min(axis=0) - 1
    pixels = np.round((points_mm - low) * scale).astype(np.int32)
    canvas = np.zeros(pixels.max(axis=0)[::-1] + round(2 * scale), dtype=np.uint8)
    for triangle in pixels[faces]:
        cv2.fillConvexPoly(canvas, triangle, 1)
    contours, _ = cv2.findContours(canvas, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = cv2.approxPolyDP(max(contours, key=cv2.contourArea), 1.0, True)
    return largest.reshape(-1, 2) / scale + low
