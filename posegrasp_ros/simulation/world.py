# SPDX-License-Identifier: Apache-2.0
"""World: a simulated table with the object on it, to look at and to pick from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import mujoco
import numpy as np
import trimesh

from posegrasp_ros.geometry.camera import Camera
from posegrasp_ros.geometry.mesh import Mesh
from posegrasp_ros.geometry.transforms import invert, make_transform
from posegrasp_ros.grasping.end_effector import EndEffector
from posegrasp_ros.grasping.planning.planning_scene import BoxObstacle
from posegrasp_ros.simulation.hand import Hand
from posegrasp_ros.simulation.mujoco_model import TIMESTEP_S, build_model, mujoco_quaternion
from posegrasp_ros.simulation.pick import Pick, PickOutcome
from posegrasp_ros.simulation.pick_film import FILM_SIZE
from posegrasp_ros.simulation.render import SceneRenderer, inside_share
from posegrasp_ros.simulation.rendered_world import RenderedWorld
from posegrasp_ros.simulation.scene import SceneSpec
from posegrasp_ros.simulation.sensor import expose, measure_depth

SETTLE_AT_MOST_S = 1.0
# A body this slow (metres or radians a second) is at rest.
AT_REST = 0.005


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera image with its truth.

    :param image: (H, W, 3) uint8, blue green red
    :param camera_from_object: (4, 4)
    :param base_from_camera: (4, 4)
    :param other_objects: (4, 4) camera_from_object of each further one
    :param bystanders: (4, 4) camera_from_object of each object of another kind
    :param depth_m: (H, W) float32 of a depth camera in the same place, NaN where unknown; None unless asked for
    """

    image: np.ndarray
    camera: Camera
    camera_from_object: np.ndarray
    base_from_camera: np.ndarray
    other_objects: tuple[np.ndarray, ...] = ()
    bystanders: tuple[np.ndarray, ...] = ()
    depth_m: np.ndarray | None = None


class World(RenderedWorld):
    """Builds the scene, lets it settle, then looks and picks. Close it when done, or use it with ``with``.

    :param gripper: None when only pictures are wanted
    :param image_size: width and height, pixels
    :param convex_parts: pieces of the mesh for contacts, where they are known
    """

    def __init__(
        self, mesh: Mesh, gripper: EndEffector | None, scene: SceneSpec, image_size: tuple[int, int] = (640, 480),
        convex_parts: Sequence[trimesh.Trimesh] | None = None,
    ):
        self.camera = Camera.from_field_of_view(*image_size, scene.field_of_view_rad)
        self._mesh, self._scene, self._frames = mesh, scene, 0
        super().__init__(build_model(mesh, gripper, scene, self.camera, convex_parts), self.camera)
        self._hand = None if gripper is None else Hand(self._model, self._data, gripper)
        self._object = self._model.body('object').id
        self._settle()

    def object_pose(self) -> np.ndarray:
        """(4, 4) base_from_object as it is now."""
        return make_transform(self._data.xmat[self._object].reshape(3, 3), self._data.xpos[self._object])

    def move(self, base_from_object: np.ndarray | None = None, base_from_camera: np.ndarray | None = None,
             occluders: Sequence[np.ndarray] = ()) -> None:
        """Put things elsewhere, without physics; what is None, and occluders beyond the given ones, stay.

        :param occluders: (4, 4) base_from_body of the scene's occluders, in their order
        """
        if base_from_object is not None:
            joint = self._data.joint(self._model.body('object').jntadr[0])
            joint.qpos = np.concatenate([base_from_object[:3, 3], mujoco_quaternion(base_from_object[:3, :3])])
        if base_from_camera is not None:
            self._scene = replace(self._scene, base_from_camera=base_from_camera)
        self._place(base_from_camera, dict(enumerate(occluders)))
        mujoco.mj_forward(self._model, self._data)

    def obstacles(self) -> tuple[BoxObstacle, ...]:
        """Boxes around the other things on the table, as they lie now."""
        bodies = [self._data.body(f'distractor_{index}') for index in range(len(self._scene.distractors))]
        return tuple(BoxObstacle(make_transform(body.xmat.reshape(3, 3), body.xpos), distractor.half_extents)
                     for body, distractor in zip(bodies, self._scene.distractors))

    def frame(self, show_hand: bool = False, show_object: bool = True, depth: bool = False) -> Frame:
        """Take the next image, and depth if that is asked for; the hand is out of sight unless asked for."""
        picture = self._open_renderer().image(self._data, show_hand, show_object)
        image = expose(self._scene.sensor, picture, self._frames)
        depth_m = None
        if depth:
            ideal_m = self._open_renderer().depth_m(self._data, show_object)
            depth_m = measure_depth(self._scene.sensor, ideal_m, self._frames)
        self._frames += 1
        camera_from_base = invert(self._scene.base_from_camera)
        return Frame(image, self.camera, self._camera_from_object(), self._scene.base_from_camera,
                     tuple(camera_from_base @ pose for pose in self._scene.other_objects),
                     tuple(camera_from_base @ each.base_from_object for each in self._scene.bystanders), depth_m)

    def visible_fraction(self) -> float:
        """The object's visible pixels by those it would have alone in an image without borders; two renderings."""
        return self._visible('object', self._mesh, self._camera_from_object())

    def visible_share(self) -> float:
        """:meth:`visible_fraction` of the instance of the object of which most is visible; two renderings each."""
        camera_from_base = invert(self._scene.base_from_camera)
        return max(self.visible_fraction(), *(
            self._visible(f'instance_{index}', self._mesh, camera_from_base @ pose)
            for index, pose in enumerate(self._scene.other_objects)), 0.0)

    def bystander_shares(self) -> tuple[float, ...]:
        """The same of each object of another kind; two renderings each."""
        camera_from_base = invert(self._scene.base_from_camera)
        return tuple(self._visible(f'bystander_{index}', each.mesh, camera_from_base @ each.base_from_object)
                     for index, each in enumerate(self._scene.bystanders))

    def hidden_share(self) -> float:
        """Share of the object's pixels in the image that something hides, 1 where none is seen; two renderings."""
        return 1.0 - self._open_renderer().unoccluded_share(self._data)

    def pick(self, approach: Sequence[np.ndarray], opening_m: float, force_n: float,
             after_step: Callable[[], None] = lambda: None) -> PickOutcome:
        """Try to pick the object up; physics decides. The hand stays where the attempt ended.

        :param approach: base_from_tcp (4, 4) before the grasp, at the grasp, and lifted
        :param opening_m: between the pads on the way in
        :param force_n: to close with
        :param after_step: called after each step of the simulation, :data:`TIMESTEP_S` long
        :raises ValueError: when the world was built without a gripper
        """
        if self._hand is None:
            raise ValueError('World.pick: this world has no gripper: give one when building it')
        return Pick(self._model, self._data, self._hand, after_step).run(approach, opening_m, force_n)

    def film(self, states: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Pictures of a pick, see :attr:`posegrasp_ros.simulation.pick.PickOutcome.states`; one of the scene where
        there are none. The world is at the last state afterwards.

        :return: (:data:`FILM_SIZE`) (H, W, 3) uint8, blue green red, each
        """
        camera = Camera.from_field_of_view(*FILM_SIZE, self._scene.field_of_view_rad)
        renderer = SceneRenderer(self._model, camera)
        try:
            pictures = []
            for state in states or [self._data.qpos.copy()]:
                self._data.qpos[:] = state
                mujoco.mj_forward(self._model, self._data)
                pictures.append(renderer.image(self._data, show_hand=bool(states)))
            return pictures
        finally:
            renderer.close()

    def _visible(self, geom: str, mesh: Mesh, camera_from_object: np.ndarray) -> float:
        return (inside_share(mesh, self.camera, camera_from_object)
                * self._open_renderer().unoccluded_share(self._data, geom))

    def _camera_from_object(self) -> np.ndarray:
        return invert(self._scene.base_from_camera) @ self.object_pose()

    def _settle(self) -> None:
        """Let everything come to rest, so that the object lies where physics wants it."""
        check_every = 25
        for _ in range(int(SETTLE_AT_MOST_S / TIMESTEP_S / check_every)):
            mujoco.mj_step(self._model, self._data, nstep=check_every)
            if np.abs(self._data.qvel).max() < AT_REST:
                break
        self._data.qvel[:] = 0.0
        mujoco.mj_forward(self._model, self._data)
