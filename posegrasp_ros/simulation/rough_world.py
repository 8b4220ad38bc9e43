# SPDX-License-Identifier: Apache-2.0
"""RoughWorld: a rough scene to look at, rendered as a camera that is not quite the stated one sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import cv2
import mujoco
import numpy as np

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.simulation.assets import add_textured_mesh
from posegrasp_ros.simulation.clutter import as_mug
from posegrasp_ros.simulation.mujoco_model import build_spec
from posegrasp_ros.simulation.occlusion import sample_fitting
from posegrasp_ros.simulation.render import inside_share
from posegrasp_ros.simulation.rendered_world import RenderedWorld
from posegrasp_ros.simulation.rough_camera import LensMap, RoughSensor, expose_roughly, ideal_camera
from posegrasp_ros.simulation.rough_object import worn
from posegrasp_ros.simulation.rough_scene import RoughScene, sample_rough_scene, with_more
from posegrasp_ros.simulation.world import Frame

MOST_SCENES, MOST_WORLDS_A_SCENE = 60, 4
# Without a wanted occlusion, a hand, a mug and what stands beside the object hide at most so much of it together.
HIDDEN_AT_MOST = 0.35
IN_IMAGE_AT_LEAST = 0.85
MUG_SHARE, MUG_HIDES = 0.2, (0.05, 0.3)
STANDING_SHARE = 0.6


class RoughWorld(RenderedWorld):
    """Renders a rough scene. Close it when done, or use it with ``with``.

    :param mesh: the nominal one, whose pose is the truth; the object shown is ``rough.wear`` away from it
    """

    def __init__(self, mesh: Mesh, rough: RoughScene, image_size: tuple[int, int] = (640, 480)):
        self.camera = Camera.from_field_of_view(*image_size, rough.scene.field_of_view_rad)
        self.true_camera = rough.mismatch.true_camera(self.camera)
        self.rough, self._mesh, self._frames = rough, mesh, 0
        ideal = ideal_camera(self.true_camera)
        self._lens = LensMap(ideal, self.true_camera)
        spec = build_spec(mesh, None, rough.scene, ideal)
        _show_worn_object(spec, mesh, rough)
        super().__init__(spec.compile(), ideal)
        mujoco.mj_forward(self._model, self._data)  # nothing is let fall: all lies, stands or is held as drawn

    @property
    def camera_from_object(self) -> np.ndarray:
        """(4, 4) pose of the nominal mesh."""
        return invert(self.rough.scene.base_from_camera) @ self.rough.scene.base_from_object

    def move(self, base_from_camera: np.ndarray, sensor: RoughSensor, occluders: Mapping[int, np.ndarray]) -> None:
        """Put the camera elsewhere, with another sensor, and occluders; all else stays as drawn.

        :param base_from_camera: (4, 4)
        :param occluders: (4, 4) base_from_body by their index in the scene
        """
        scene = replace(self.rough.scene, base_from_camera=base_from_camera)
        self.rough = replace(self.rough, scene=scene, sensor=sensor)
        self._place(base_from_camera, occluders)
        mujoco.mj_forward(self._model, self._data)

    def frame(self, show_object: bool = True) -> Frame:
        """Take the next image; its camera is the stated one."""
        picture = self._open_renderer().image(self._data, show_object=show_object)
        image = expose_roughly(self.rough.sensor, self._lens.image(picture), self._frames)
        self._frames += 1
        return Frame(image, self.camera, self.camera_from_object, self.rough.scene.base_from_camera)

    def object_mask(self, alone: bool = False) -> np.ndarray:
        """(H, W) uint8, 255 at the object's pixels in the true camera.

        :param alone: also those that something hides
        """
        return self._lens.image(self._open_renderer().object_mask(self._data, alone), cv2.INTER_NEAREST)

    def hidden_share(self) -> float:
        """Share of the object's pixels in the image that something hides, 1 where none is seen; two renderings."""
        alone = int(np.count_nonzero(self.object_mask(alone=True)))
        return 1.0 - int(np.count_nonzero(self.object_mask())) / alone if alone else 1.0

    def visible_share(self) -> float:
        """The object's visible pixels by those it would have alone in an image without borders; two renderings."""
        return self.inside_share() * (1.0 - self.hidden_share())

    def inside_share(self) -> float:
        """Share of the object's outline that lies in the image."""
        return inside_share(self._mesh, self.camera, self.camera_from_object)


def rough_world(rng: np.random.Generator, mesh: Mesh, image_size: tuple[int, int] = (640, 480),
                occlusion: tuple[float, float] | None = None) -> RoughWorld:
    """Draw rough scenes until one shows enough of the object.

    :param occlusion: smallest and largest hidden fraction of the object's pixels; None for 35 % at most
    :return: an open world
    :raises InvalidInputError: when nothing fits after :data:`MOST_SCENES` scenes
    """
    low, high = occlusion or (0.0, HIDDEN_AT_MOST)
    has_mug = occlusion is not None or rng.random() < MUG_SHARE
    wanted, may_stand = rng.uniform(*(occlusion or MUG_HIDES)), rng.random() < STANDING_SHARE
    for _ in range(MOST_SCENES):
        rough = sample_rough_scene(rng, mesh)
        for _ in range(MOST_WORLDS_A_SCENE if has_mug else 1):
            candidate = _with_mug(rng, mesh, rough, wanted, may_stand) if has_mug else rough
            if candidate is None:
                break
            world = RoughWorld(mesh, candidate, image_size)
            if world.inside_share() >= IN_IMAGE_AT_LEAST and low <= world.hidden_share() <= high:
                return world
            world.close()
    raise InvalidInputError(
        f'rough scenes: expected a share of the object to be hidden that can be reached, found no scene in '
        f'{MOST_SCENES} with between {low:g} and {high:g} of it hidden: use a wider range')


def _with_mug(rng: np.random.Generator, mesh: Mesh, rough: RoughScene, wanted: float,
              may_stand: bool) -> RoughScene | None:
    """The scene with something before the object, cylinders as mugs; None where nothing fits."""
    occluder = sample_fitting(rng, mesh, rough.scene, wanted, may_stand)
    if occluder is None:
        return None
    return with_more(rough, as_mug(rng, occluder) if occluder.shape == 'cylinder' else (occluder,))


def _show_worn_object(spec: mujoco.MjSpec, mesh: Mesh, rough: RoughScene) -> None:
    """Show the object as it is in the place of its nominal mesh, with its gloss."""
    add_textured_mesh(spec, worn(mesh, rough.wear), 'worn')
    material = spec.material('worn')
    material.specular, material.shininess = rough.wear.specular, rough.wear.shininess
    geom = spec.geom('object')
    geom.meshname, geom.material = 'worn', 'worn'
    # Light is computed at the vertices of what MuJoCo divides box sides into.
    spec.visual.quality.numquads = 12
