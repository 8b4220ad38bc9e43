# SPDX-License-Identifier: Apache-2.0
"""``posegrasp watch``: shows what a model makes of images, live."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group

from posegrasp_ros.cli import option_types
from posegrasp_ros.cli.options import (
    Estimator,
    File,
    Folder,
    Gripper,
    Model,
    Threads,
    Topic,
    option,
    option_group,
    options,
)
from posegrasp_ros.estimation.tracking.tracking_options import TrackingOptions
from posegrasp_ros.runtime.console import remark, show
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.exit_codes import DONE
from posegrasp_ros.runtime.interrupt import exit_code, interrupt_noted
from posegrasp_ros.runtime.resources import DEFAULT_GRIPPER, DEFAULT_MODEL

if TYPE_CHECKING:  # commands import in their bodies
    from posegrasp_ros.datasets.frame_sources import SourceOptions
    from posegrasp_ros.estimation.model_card import ModelCard
    from posegrasp_ros.grasping.end_effector import EndEffector
    from posegrasp_ros.grasping.planning.planner import GraspPlanner
    from posegrasp_ros.sensing.image_camera import ImageCamera
    from posegrasp_ros.watch.newest_frame import NewestFrame
    from posegrasp_ros.watch.page_server import PageServer
    from posegrasp_ros.watch.saved_pictures import Draws
    from posegrasp_ros.watch.terminal_lines import TerminalLines
    from posegrasp_ros.watch.watch_loop import TakesFrames
    from posegrasp_ros.watch.watch_source import WatchSource
    from posegrasp_ros.watch.watch_stages import WatchOptions

EXAMPLES = """Examples:
  posegrasp watch 0                                  the first camera
  posegrasp watch clip.mp4 --camera camera.yaml --save out.mp4
  posegrasp watch scenes --no-page                   lines in the terminal
  posegrasp watch scenes --label truth.csv           label true poses by hand"""
POSE_METAVAR = 'X Y Z QX QY QZ QW'
Pose = tuple[float, float, float, float, float, float, float]
LINE_EVERY_S, POLL_S = 1.0, 0.2
TOPIC_PREFIX = 'ros:'


@option_group(Group.create_ordered('Method'))
@dataclass(frozen=True)
class Looking:
    """What estimates and plans.

    :param track: follow the object from frame to frame, as `posegrasp evaluate --track` does
    """

    model: Model = DEFAULT_MODEL
    estimator: Estimator = 'onnx'
    gripper: Gripper = DEFAULT_GRIPPER
    track: bool = False
    threads: Threads = None


@option_group(Group.create_ordered('Camera'))
@dataclass(frozen=True)
class Viewing:
    """Where the images come from.

    :param camera: calibration as written by camera_calibration or by `ros2 topic echo --once` of camera_info; for
        sources other than recordings
    :param hfov: horizontal field of view of the camera if there is no calibration
    :param image_topic: topic of the images of a recording, if the guess is wrong
    :param camera_info_topic: topic of the camera_info of a recording or of ros:, if the guess is wrong
    :param depth_topic: in a recording, topic of depth registered to the images, used for refinement; default: none
    :param rectified: whether the images of a recording are rectified; auto: from the names of topic and frame
    :param base_from_camera: pose of a fixed camera, metres, in a frame with z up; default: from /tf
        of a recording, else grasps come from the camera's side and the surroundings are unknown
    :param support_height: z of the plane that the object stands on, in that frame, metres
    :param loop: play a file again when it ends
    """

    camera: File | None = None
    hfov: Annotated[float, option('DEG', option_types.field_of_view)] = 60.0
    image_topic: Topic | None = None
    camera_info_topic: Topic | None = None
    depth_topic: Topic | None = None
    rectified: Literal['auto', 'yes', 'no'] = 'auto'
    base_from_camera: Annotated[Pose | None, options(POSE_METAVAR, option_types.finite, n_tokens=7,
                                                     consume_multiple=False)] = None
    support_height: Annotated[float, option('M', option_types.finite)] = 0.0
    loop: bool = False


@option_group(Group.create_ordered('Page and files'))
@dataclass(frozen=True)
class Showing:
    """Where the pictures go.

    :param no_page: print lines in the terminal instead: for files every frame, as fast as possible, and a summary
        at the end; for a live camera one per second
    :param no_browser: do not open the page, only print its URL
    :param host: address of this machine to listen on; any address but loopback is open to everybody who knows the
        token in the page's URL, unencrypted
    :param port: port of the page; default: 8470, or a free one if that is taken
    :param save: MP4 video of the pictures
    :param save_frames: folder for the pictures as PNG files
    :param mcap: write images, poses with uncertainty, grasps and, where the truth is known, errors for Foxglove
    :param rerun: the same for Rerun; needs rerun-sdk
    :param snapshots: folder for the frames kept with the page's button
    :param label: label the object's pose in each frame on the page, and write the poses to this ground-truth file;
        an existing one is continued
    """

    no_page: bool = False
    no_browser: bool = False
    host: Annotated[str, option('ADDRESS')] = '127.0.0.1'
    port: Annotated[int | None, option('N', option_types.port)] = None
    save: Annotated[Path | None, option('FILE.mp4')] = None
    save_frames: Folder | None = None
    mcap: Annotated[Path | None, option('FILE.mcap')] = None
    rerun: Annotated[Path | None, option('FILE.rrd')] = None
    snapshots: Folder = Path('snapshots')
    label: Annotated[Path | None, option('FILE.csv')] = None


LOOKING, VIEWING, SHOWING = Looking(), Viewing(), Showing()


def watch(source: str, /, *, looking: Looking = LOOKING, viewing: Viewing = VIEWING,
          showing: Showing = SHOWING) -> int:
    """See poses and grasps from a camera, video or recording, live.

    :param source: number or path of a camera, URL of a stream (rtsp, http, ...), ros:/TOPIC, video, image, folder
        of images, recording as for `posegrasp evaluate`
    """
    if not showing.no_page:
        from posegrasp_ros.watch import page_server  # noqa: F401  what may be absent is told before all else
    from posegrasp_ros.estimation.model_card import load_model_card
    from posegrasp_ros.grasping.gripper import load_gripper
    from posegrasp_ros.runtime.resources import model_folder
    from posegrasp_ros.sensing.image_camera import ImageCamera
    from posegrasp_ros.viewer_files.viewer_files import ViewerFiles
    from posegrasp_ros.watch.newest_frame import NewestFrame
    from posegrasp_ros.watch.pace import Pace
    from posegrasp_ros.watch.viewed_frames import ViewedFrames
    from posegrasp_ros.watch.watch_loop import watch as look_at_all
    from posegrasp_ros.watch.watch_picture import WatchPicture
    from posegrasp_ros.watch.watch_stages import WatchStages

    camera = ImageCamera(viewing.camera, math.radians(viewing.hfov))
    card = load_model_card(model_folder(looking.model))
    if showing.label:
        _check_labelling(looking, viewing, showing)
        return _label(source, card, camera, viewing, showing, showing.label)
    how = _how(looking, viewing)
    viewer_files = ViewerFiles(showing.mcap, showing.rerun)
    viewer_files.check([source])
    for saved in filter(None, (showing.save, showing.save_frames)):
        if saved.resolve() == Path(source).resolve():
            raise InvalidInputError(f'{saved}: expected another place than the source, which would be lost')
    gripper = load_gripper(looking.gripper) if card.has_grasps else None
    draws = WatchPicture(card.mesh, gripper)
    with ExitStack() as closed_at_end:
        seen = _source(source, camera, viewing, card, closed_at_end)
        takers = _files(showing, seen, draws, closed_at_end)
        if viewer_files.paths:
            show_frame = closed_at_end.enter_context(viewer_files.opened())
            takers.append(ViewedFrames(show_frame, card.mesh, card.symmetry, gripper))
        lines = [f'camera: {seen.camera_line}', _grasp_line(card, viewing, seen)]
        stages = WatchStages(card, how, _planner(card, gripper))
        for line in lines:
            remark(f'posegrasp: {line}')
        texts, newest = _terminal_lines(seen), NewestFrame()
        takers.append(texts if showing.no_page else newest)
        page = None if showing.no_page else _page(newest, seen, card, gripper, draws, lines, showing)
        if page is not None:
            closed_at_end.callback(page.close)
        with interrupt_noted() as is_interrupted:
            if page is not None:
                _say_where(page, showing)
            summary = look_at_all(seen, stages, takers, None if showing.no_page else Pace(), viewing.loop,
                                  lambda: is_interrupted() or texts.is_unread)
            if page is not None and not is_interrupted():
                newest.end()
                remark(f'posegrasp: {seen.name} has ended; the page shows its last frame until Ctrl-C')
                _wait_for(is_interrupted)
    show(summary.line)
    return exit_code() if is_interrupted() else DONE


def _check_labelling(looking: Looking, viewing: Viewing, showing: Showing) -> None:
    """Refuse options that have no meaning while labelling."""
    used = {'model', 'camera', 'hfov', 'image_topic', 'camera_info_topic', 'depth_topic', 'rectified',
            'no_browser', 'host', 'port', 'label'}
    other = [f'--{each.name.replace("_", "-")}' for given, default in
             ((looking, LOOKING), (viewing, VIEWING), (showing, SHOWING)) for each in fields(given)
             if each.name not in used and getattr(given, each.name) != getattr(default, each.name)]
    if other:
        raise InvalidInputError(f'--label: expected without {", ".join(other)}')


def _label(source: str, card: ModelCard, camera: ImageCamera, viewing: Viewing, showing: Showing,
           out: Path) -> int:
    """Label frames on the page until Ctrl-C."""
    from posegrasp_ros.datasets.label_file import LabelFile, labelling
    from posegrasp_ros.watch.label_desk import LabelDesk
    from posegrasp_ros.watch.label_page import LabelPage
    from posegrasp_ros.watch.label_session import LabelSession, labelled_source
    from posegrasp_ros.watch.page_server import PageServer
    from posegrasp_ros.watch.stepped_frames import SteppedFrames

    with ExitStack() as closed_at_end:
        closed_at_end.enter_context(labelling(out))
        seen = _source(source, camera, viewing, card, closed_at_end)
        remark(f'posegrasp: camera: {seen.camera_line}')
        frames = SteppedFrames(seen)
        labels = LabelFile(out, labelled_source(card, frames), frames.stamps_ns)
        session = LabelSession(card, frames, labels)
        page = PageServer(LabelPage(LabelDesk(session, seen.name, str(out))), showing.host, showing.port)
        closed_at_end.callback(page.close)
        with interrupt_noted() as is_interrupted:
            _say_where(page, showing)
            _wait_for(is_interrupted)
        show(f'{out}: {labels.line(len(frames))}')
    return DONE


def _source(text: str, camera: ImageCamera, viewing: Viewing, card: ModelCard,
            closed_at_end: ExitStack) -> WatchSource:
    if not text.startswith(TOPIC_PREFIX):
        from posegrasp_ros.watch.watch_source import open_watch_source

        return open_watch_source(text, camera, _source_options(viewing), card.mesh.diameter)
    from posegrasp_ros.ros.watched_topic import WatchedTopic, topic_source

    stated = camera if viewing.camera else None
    topic = WatchedTopic(text.removeprefix(TOPIC_PREFIX), stated, viewing.camera_info_topic,
                         viewing.rectified)
    closed_at_end.callback(topic.close)
    return topic_source(topic, stated)


def _how(looking: Looking, viewing: Viewing) -> WatchOptions:
    from posegrasp_ros.watch.watch_stages import WatchOptions

    pose = viewing.base_from_camera
    return WatchOptions(looking.estimator, looking.threads, TrackingOptions() if looking.track else None,
                        None if pose is None else option_types.transform('--base-from-camera', pose),
                        viewing.support_height)


def _source_options(viewing: Viewing) -> SourceOptions:
    from posegrasp_ros.datasets.bag_topics import BagTopics
    from posegrasp_ros.datasets.frame_sources import SourceOptions

    topics = BagTopics(viewing.image_topic, viewing.camera_info_topic, depth=viewing.depth_topic,
                       rectified=viewing.rectified)
    return SourceOptions(topics)


def _planner(card: ModelCard, gripper: EndEffector | None) -> GraspPlanner | None:
    """For the model's grasps; None where it has none."""
    if gripper is None:
        return None
    from posegrasp_ros.grasping.grasp_set import load_grasps
    from posegrasp_ros.grasping.planning.planner import GraspPlanner

    return GraspPlanner(gripper, load_grasps(card.grasps_path, gripper, card.mesh), symmetry=card.symmetry,
                        mesh=card.mesh)


def _grasp_line(card: ModelCard, viewing: Viewing, seen: WatchSource) -> str:
    """What is assumed for grasps, for people."""
    if not card.has_grasps:
        return f'grasps: none in {card.grasps_path}'
    if viewing.base_from_camera is not None:
        return f'grasps: support at {viewing.support_height:g} m, camera pose from --base-from-camera'
    assumed = "from the camera's side, with no support and no obstacle (--base-from-camera states its pose)"
    if seen.is_recording:
        return f'grasps: camera pose from /tf of the recording; in frames without one, {assumed}'
    return f'grasps: {assumed}'


def _files(showing: Showing, seen: WatchSource, draws: Draws, closed_at_end: ExitStack) -> list[TakesFrames]:
    from posegrasp_ros.watch.saved_pictures import LIVE_HZ, SavedImages, SavedVideo

    takers: list[TakesFrames] = []
    if showing.save:
        takers.append(closed_at_end.enter_context(
            SavedVideo(showing.save, draws, LIVE_HZ if seen.is_live else seen.rate_hz)))
    if showing.save_frames:
        takers.append(SavedImages(showing.save_frames, draws))
    return takers


def _terminal_lines(seen: WatchSource) -> TerminalLines:
    from posegrasp_ros.watch.terminal_lines import TerminalLines

    return TerminalLines(LINE_EVERY_S if seen.is_live else 0.0)


def _page(newest: NewestFrame, seen: WatchSource, card: ModelCard, gripper: EndEffector | None, draws: Draws,
          lines: list[str], showing: Showing) -> PageServer:
    from posegrasp_ros.watch.frame_page import FramePage
    from posegrasp_ros.watch.page_message import frame_message, object_message
    from posegrasp_ros.watch.page_server import PageServer
    from posegrasp_ros.watch.snapshots import Snapshots

    page = FramePage(newest, object_message(seen.name, card, lines),
                     lambda frame: frame_message(frame, card.mesh, gripper), draws,
                     Snapshots(showing.snapshots, seen.name, card, draws))
    return PageServer(page, showing.host, showing.port)


def _say_where(page: PageServer, showing: Showing) -> None:
    from posegrasp_ros.watch.browser import open_browser

    show(page.url)
    if not showing.no_browser:
        open_browser(page.url)


def _wait_for(is_interrupted: Callable[[], bool]) -> None:
    while not is_interrupted():
        time.sleep(POLL_S)
