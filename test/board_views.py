# SPDX-License-Identifier: Apache-2.0
"""Simulated photographs of a printed board: its PDF as texture of bent paper, with an object on its outline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from scipy.interpolate import RectBivariateSpline

from posegrasp_ros.board.board_drawing import draw_board
from posegrasp_ros.board.board_file import BoardFile
from posegrasp_ros.board.board_layout import MARGIN_MM, PAPERS_MM, STRIP_MM, BoardLayout, lay_out
from posegrasp_ros.board.footprint import footprint
from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import invert, look_at, make_transform, perturb, transform_points
from posegrasp_ros.runtime.resources import resource_path

PX_PER_MM = 10
POINT_MM = 25.4 / 72
TABLE_GREY, OBJECT_GREY = 140, 90
OVERSAMPLING = 2


@dataclass(frozen=True)
class Page:
    """What a page of a PDF says.

    :param size_mm: width and height
    :param rectangles: (N, 5) x, y, width, height in mm from the lower left, and grey 0 to 1, in their order
    """

    size_mm: tuple[float, float]
    rectangles: np.ndarray


def pages_of(pdf: bytes) -> list[Page]:
    """Filled rectangles of each page; of an uncompressed PDF of reportlab."""
    streams = re.findall(rb'stream\r?\n(.*?)endstream', pdf, re.DOTALL)
    boxes = re.findall(rb'/MediaBox \[ ?([\d. ]+)\]', pdf)
    return [Page(tuple(float(value) * POINT_MM for value in box.split()[2:4]),
                 _rectangles(stream.decode('latin-1')))
            for box, stream in zip(boxes, streams)]


def _rectangles(stream: str) -> np.ndarray:
    found, grey = [], 0.0
    number = r'(-?[\d.]+)'
    pattern = re.compile(rf'{number} g\b|{number} {number} {number} rg\b|'
                         rf'n {number} {number} {number} {number} re f\*?')
    for match in pattern.finditer(stream):
        if match[1] or match[2]:
            grey = float(match[1] or match[2])
        else:
            found.append([*(float(match[k]) * POINT_MM for k in range(5, 9)), grey])
    return np.array(found).reshape(-1, 5)


def rastered(page: Page) -> np.ndarray:
    """(H, W) uint8 picture of a page's rectangles, top row first."""
    width, height = (round(side * PX_PER_MM) for side in page.size_mm)
    picture = np.full((height, width), 255, dtype=np.uint8)
    for x, y, wide, high, grey in page.rectangles:
        left, right = round(x * PX_PER_MM), round((x + wide) * PX_PER_MM)
        low, top = height - round(y * PX_PER_MM), height - round((y + high) * PX_PER_MM)
        picture[top:low, left:right] = round(255 * grey)
    return picture


def board_picture(layout: BoardLayout) -> np.ndarray:
    """(H, W) uint8 of the joined pattern, edge to edge, from the sheets of its PDF."""
    pages = pages_of(draw_board(layout, 'test').getpdfdata())
    pattern, (across, down) = layout.pattern, layout.sheets
    wide, high = (1000 * side / count for side, count in zip(pattern.size_m, layout.sheets))
    left = (PAPERS_MM[layout.paper][0] - wide) / 2
    rows = []
    for row in range(down):
        sheets = []
        for column in range(across):
            page = rastered(pages[row * across + column])
            top = page.shape[0] - round((MARGIN_MM + STRIP_MM + high) * PX_PER_MM)
            sheets.append(page[top:top + round(high * PX_PER_MM),
                               round(left * PX_PER_MM):round((left + wide) * PX_PER_MM)])
        rows.append(np.hstack(sheets))
    return np.vstack(rows)


@dataclass(frozen=True)
class Bend:
    """Height of paper over its plane: waves and curls, zero at a centre.

    :param centre_m: (2,)
    :param waves: (K, 4) wave vector in rad/m, phase, amplitude in m
    """

    centre_m: np.ndarray
    waves: np.ndarray

    def height_m(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        def total(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return sum(amplitude * np.sin(kx * x + ky * y + phase) for kx, ky, phase, amplitude in self.waves)

        return total(x, y) - total(*self.centre_m)


def random_bend(rng: np.random.Generator, board: BoardFile, sigma_m: float) -> Bend:
    """Three long waves of random directions; that is the standard deviation of the height far from the object."""
    size_m = float(np.hypot(*board.pattern.size_m))
    angles, lengths_m = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.8, 2.0, 3) * size_m
    amplitudes = rng.normal(size=3) * sigma_m / np.sqrt(3)
    return Bend(board.outline_centre[:2], np.column_stack([
        2 * np.pi / lengths_m * np.cos(angles), 2 * np.pi / lengths_m * np.sin(angles),
        rng.uniform(0, 2 * np.pi, 3), amplitudes]))


def random_place(rng: np.random.Generator, board: BoardFile) -> np.ndarray:
    """(4, 4) board_from_object of an object put on its outline with the errors that the file states."""
    sigmas, centre = board.sigmas, make_transform(translation=board.outline_centre)
    delta = rng.normal(size=6) * [sigmas.position_mm / 1e3, sigmas.position_mm / 1e3, sigmas.height_mm / 1e3,
                                  *np.radians([sigmas.tilt_deg, sigmas.tilt_deg, sigmas.turn_deg])]
    return centre @ perturb(np.eye(4), delta) @ invert(centre) @ board.placed_object


def random_camera(rng: np.random.Generator, width: int = 640, height: int = 480) -> Camera:
    """A camera of a common kind, with the distortion of its lens."""
    focal = rng.uniform(0.85, 1.1) * width
    centre = np.array([width, height]) / 2 + rng.normal(size=2) * 5
    matrix = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    if rng.uniform() < 0.3:
        return Camera(width, height, matrix, np.array([rng.normal() * 0.02, 0.01, 0.0, 0.0]), 'equidistant')
    radial = rng.uniform((-0.2, -0.05), 0.1)
    return Camera(width, height, matrix, np.array([*radial, 1e-3, -1e-3, 0.0]))


def random_view(rng: np.random.Generator, board: BoardFile) -> np.ndarray:
    """(4, 4) camera_from_board that looks at the object from 30 to 80 degrees above the board."""
    distance_m = rng.uniform(0.35, 0.65)
    elevation, azimuth = np.radians(rng.uniform(30, 80)), rng.uniform(0, 2 * np.pi)
    eye = distance_m * np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
                                 np.sin(elevation)])
    target = board.outline_centre + [*rng.normal(size=2) * 0.02, 0.0]
    return invert(look_at(target + eye, target))


def photograph(picture: np.ndarray, board: BoardFile, bend: Bend, camera: Camera, camera_from_board: np.ndarray,
               board_from_object: np.ndarray, extents: tuple[np.ndarray, np.ndarray],
               rng: np.random.Generator | None) -> np.ndarray:
    """(H, W, 3) uint8 image with blur and noise.

    :param picture: see :func:`board_picture`
    :param board: as it was printed, with the true length of its ruler
    :param extents: lower and upper corner of the box that stands for the object, object frame
    :param rng: for blur, light and noise; None for none of them
    """
    fine = camera.resized(camera.width * OVERSAMPLING, camera.height * OVERSAMPLING)
    left, top, right, low = _around(fine, board, camera_from_board, board_from_object, extents)
    seen = np.full((fine.height, fine.width), TABLE_GREY, dtype=np.float32)
    width, height = right - left, low - top
    rays = _rays(fine.cropped(left, top, width, height))
    board_from_camera = invert(camera_from_board)
    directions = np.column_stack([rays, np.ones(len(rays))]) @ board_from_camera[:3, :3].T
    origin = board_from_camera[:3, 3]
    depth = -origin[2] / directions[:, 2]
    for _ in range(3):  # onto the bent paper
        hit = origin + depth[:, None] * directions
        depth = (bend.height_m(hit[:, 0], hit[:, 1]) - origin[2]) / directions[:, 2]
    hit = origin + depth[:, None] * directions
    px = 1000 * PX_PER_MM / board.scale
    rows = picture.shape[0]
    part = cv2.remap(picture, (hit[:, 0] * px - 0.5).astype(np.float32).reshape(height, width),
                     (rows - hit[:, 1] * px - 0.5).astype(np.float32).reshape(height, width),
                     cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=TABLE_GREY)
    object_from_board = invert(board_from_object)
    entry = _entry(transform_points(object_from_board, origin[None])[0], directions @ object_from_board[:3, :3].T,
                   *extents)
    part[(entry < depth).reshape(height, width)] = OBJECT_GREY
    seen[top:low, left:right] = part
    image = cv2.resize(seen, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    if rng is not None:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.9))
        image = 25 + image * rng.uniform(0.5, 0.8) + rng.normal(size=image.shape) * rng.uniform(2, 5)
    return cv2.cvtColor(np.clip(image, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)


def _rays(camera: Camera) -> np.ndarray:
    """(H * W, 2) rays of all pixels, interpolated between every 16th."""
    step = 16
    columns, rows = (np.arange(-step, size + 2 * step, step) for size in (camera.width, camera.height))
    pixels = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    coarse = camera.rays(pixels).reshape(len(rows), len(columns), 2)
    v, u = np.arange(camera.height), np.arange(camera.width)
    return np.column_stack([RectBivariateSpline(rows, columns, coarse[..., axis])(v, u).ravel()
                            for axis in range(2)])


def _around(camera: Camera, board: BoardFile, camera_from_board: np.ndarray, board_from_object: np.ndarray,
            extents: tuple[np.ndarray, np.ndarray]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of an image that board and object are in."""
    width_m, height_m = board.pattern.size_m
    sides = np.stack(np.meshgrid([0, width_m], [0, height_m], [-0.005, 0.005]), -1).reshape(-1, 3)
    corners = np.stack(np.meshgrid(*np.transpose(extents)), -1).reshape(-1, 3)
    points = np.vstack([sides, transform_points(board_from_object, corners)])
    u, v = camera.project(transform_points(camera_from_board, points)).T
    edge = 40
    return (max(int(np.nanmin(u)) - edge, 0), max(int(np.nanmin(v)) - edge, 0),
            min(int(np.nanmax(u)) + edge, camera.width), min(int(np.nanmax(v)) + edge, camera.height))


def _entry(origin: np.ndarray, directions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(N,) where rays enter a box; infinite where they miss it."""
    with np.errstate(divide='ignore', invalid='ignore'):
        first, second = (low - origin) / directions, (high - origin) / directions
    near, far = np.minimum(first, second).max(axis=1), np.maximum(first, second).min(axis=1)
    return np.where((near < far) & (near > 0), near, np.inf)


BOX = load_mesh(resource_path('models/box/mesh.obj'))


@cache
def box_board(sheets: tuple[int, int] | None = None, square_m: float | None = None,
              measured_mm: float | None = None) -> tuple[BoardLayout, BoardFile]:
    """A board for the shipped box on A4, and its file."""
    layout = lay_out(footprint(BOX, 1), 'a4', square_m, sheets)
    board = layout.to_file('box', BOX.sha256.hex(), 1)
    return layout, board.model_copy(update={'measured_ruler_mm': measured_mm})
