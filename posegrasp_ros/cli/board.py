# SPDX-License-Identifier: Apache-2.0
"""``posegrasp board`` draws a board to print; ``posegrasp truth`` finds the object on it in a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import Count, File, Topic, option
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.exit_codes import DONE
from posegrasp_ros.runtime.interrupt import exit_code

if TYPE_CHECKING:  # slow to import
    from posegrasp_ros.board.board_layout import BoardLayout

BOARD_EXAMPLES = """Examples:
  posegrasp board box
  posegrasp board mug.obj --stable-pose 2 --paper letter --out mug_board.pdf
  posegrasp board models/mine --tiles 2x2 --square-mm 40

Writes the PDF and a YAML file of the same name next to it. Print at 100 %, measure the printed ruler, enter its
length in the YAML file as measured_ruler_mm, put the object on its outline as shown on the last page, and record.
Then posegrasp truth makes the recording's ground truth."""
TRUTH_EXAMPLES = """Examples:
  posegrasp truth recording --board board.yaml
  posegrasp evaluate recording --ground-truth truth.csv --model models/mine

Camera and board may move; the object must stand on its outline. For each image the file has the pose in the
camera's frame with its covariance (cov_0_0 ... cov_5_5, the upper triangle; x y z, then the rotation about x y z;
m, rad): errors of the corners, of the object on its outline (1 mm, 0.5 degrees), of paper that is not flat (1 mm),
of the print's scale. These are standard deviations in the board's file; change them where you know better."""
DEFAULT_PDF, DEFAULT_BOARD, DEFAULT_CSV = Path('board.pdf'), Path('board.yaml'), Path('truth.csv')


def board(model: str, /, *,
          out: File = DEFAULT_PDF,
          paper: Literal['a4', 'letter'] = 'a4',
          tiles: Annotated[tuple[int, int] | None, option('COLUMNSxROWS', option_types.tiles)] = None,
          stable_pose: Count = 1,
          square_mm: Annotated[float | None, option('MM', option_types.square_mm)] = None) -> int:
    """Draw a ChArUco board to print, with the outline on which to place an object.

    :param model: model folder, box or can (the shipped models), a mesh file, or a name from the mesh family
    :param out: PDF to write; the board's file is next to it, with .yaml
    :param paper: paper size of the sheets
    :param tiles: sheets from left to right and from top to bottom, to be cut and joined; default: the fewest that
        leave enough corners around the object
    :param stable_pose: the pose in which the object stands on the board: 1 the most likely after a fall, 2 the
        next
    :param square_mm: side of a square; default: 25, or 20 where that saves a sheet. It should be about 12 pixels
        in the images
    """
    from posegrasp_ros.board.board_drawing import draw_board, save_pdf
    from posegrasp_ros.board.board_file import save_board
    from posegrasp_ros.board.board_layout import lay_out
    from posegrasp_ros.board.footprint import footprint, poses_line
    from posegrasp_ros.board.instruction_page import draw_instructions
    from posegrasp_ros.simulation.pick_objects import load_object

    found = load_object(model)
    layout = lay_out(footprint(found.mesh, stable_pose), paper, square_mm and square_mm / 1000, tiles)
    canvas = draw_board(layout, found.name)
    draw_instructions(canvas, layout, found.mesh, found.name)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_pdf(canvas, out)
    beside = out.with_suffix('.yaml')
    save_board(beside, layout.to_file(found.name, found.mesh.sha256.hex(), stable_pose))
    show(f'{out}: {_about(layout)}\n{beside}: enter measured_ruler_mm after printing\n'
         f'{poses_line(found.mesh, stable_pose)}')
    return DONE


def _about(layout: BoardLayout) -> str:
    """What was drawn."""
    pattern, (across, down) = layout.pattern, layout.sheets
    sheets = 'one sheet' if across * down == 1 else f'{across}x{down} sheets to cut and join'
    return (f'{sheets} of {layout.paper}, {pattern.columns}x{pattern.rows} squares of '
            f'{1000 * pattern.square_m:g} mm, {int(pattern.is_usable.sum())} corners around the object')


def truth(bag: Path, /, *,
          board: File = DEFAULT_BOARD,
          out: File = DEFAULT_CSV,
          image_topic: Topic | None = None,
          camera_info_topic: Topic | None = None,
          rectified: Literal['auto', 'yes', 'no'] = 'auto') -> int:
    """Find the true pose of an object on its printed board in every image of a recording.

    :param bag: rosbag2 folder, .mcap or .db3 file (also .zstd), ROS 1 .bag
    :param board: the board's file, as written by posegrasp board, with the ruler's length
    :param out: CSV file to write, for posegrasp evaluate --ground-truth
    :param image_topic: topic of the images, if the guess is wrong
    :param camera_info_topic: topic of their camera_info, if the guess is wrong
    :param rectified: whether the images are rectified, so that P of camera_info is used instead of K and D; auto:
        from the names of topic and frame, image_rect or image_raw
    """
    import numpy as np

    from posegrasp_ros.board.board_file import load_board, scale_warning
    from posegrasp_ros.board.recorded_truth import find_truths
    from posegrasp_ros.board.truth_file import write_truths
    from posegrasp_ros.datasets.bag_topics import BagTopics
    from posegrasp_ros.datasets.frame_sources import SourceOptions

    printed = load_board(board)
    if warning := scale_warning(board, printed):
        remark(f'posegrasp: {warning}')
    topics = BagTopics(image_topic, camera_info_topic, base_frame=None, rectified=rectified)
    found = find_truths(bag, printed, SourceOptions(topics))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_truths(out, found.truths)
    if found.truths:
        sigmas = np.array([np.sqrt(np.diag(each.covariance)) for _, each in found.truths])
        position_mm, turn_deg = (np.median(np.linalg.norm(sigmas[:, part], axis=1))
                                 for part in (slice(3), slice(3, 6)))
        show(f'{out}: poses of {printed.object} in {len(found.truths)} of {found.left_out.frames} images, exact '
             f'to {1000 * position_mm:.1f} mm and {np.degrees(turn_deg):.2f} degrees (median standard deviation)')
    return DONE if found.is_complete else exit_code()
