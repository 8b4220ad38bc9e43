# SPDX-License-Identifier: Apache-2.0
"""PlanRequests: pending requests for a plan of a future image, and their replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from rclpy.task import Future
from std_msgs.msg import Header

from posegrasp_ros.grasping.planning.plan import Plan

# Why a request ends without grasps, besides the reasons of a plan.
NOTHING_SEEN, CANCELED, NOT_ACTIVE = 'nothing_seen', 'canceled', 'not_active'
NO_SUCH_OBJECT, INSTANCE_NOT_SEEN = 'no_such_object', 'instance_not_seen'


@dataclass(frozen=True)
class PlanReply:
    """The reply to a request.

    :param reason: a short word where there are no grasps, else empty
    :param text: one line
    :param header: of the base frame, with the stamp of the image; None where none was planned for
    :param plan: the grasps; None where none was planned
    """

    reason: str
    text: str
    header: Header | None = None
    plan: Plan | None = None


@dataclass(eq=False)
class PlanRequest:
    """One request.

    :param object_name: of the object, which is empty where there is only one; None for any
    :param instance: id of one instance of the object, empty for the best
    :param asked_ns: node time; poses of images up to then are no answer
    :param until_s: steady time at which it ends
    :ivar reply: becomes the :class:`PlanReply`
    """

    object_name: str | None
    instance: str
    asked_ns: int
    until_s: float
    newest_ns: int = -1
    last: PlanReply | None = None
    reply: Future = field(default_factory=Future)

    def takes(self, name: str, stamp_ns: int, instance: str = '') -> bool:
        """Whether a plan for an object, or one instance of it, in an image is an answer."""
        is_for = self.object_name is None or (self.object_name, self.instance) == (name, instance)
        return is_for and stamp_ns > self.asked_ns

    async def answered(self) -> PlanReply:
        """Wait for the reply, in a coroutine of the executor."""
        return cast(PlanReply, await self.reply)


class PlanRequests:
    """Requests that wait for a pose newer than they are.

    :param objects: names of the objects that are planned for; one that is empty where there is only one
    :param known_as: the objects by their names on the models' cards
    """

    def __init__(self, objects: tuple[str, ...], known_as: dict[str, str]):
        self._objects, self._known_as = objects, known_as
        self._waiting: list[PlanRequest] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, wanted: str, asked_ns: int, until_s: float,
            instances: Mapping[str, str] | None = None) -> PlanRequest:
        """A new request for an object or one instance of it, or for any where the name is empty; an unknown one is
        answered at once. Where an instance has the name of its object, the object is meant.

        :param instances: the object of each instance that is seen, by its id; None where nobody tells
        """
        name, seen = self._known_as.get(wanted, wanted), instances or {}
        instance = wanted if name not in self._objects and seen.get(wanted) in self._objects else ''
        meant = seen[instance] if instance else name
        request = PlanRequest(meant if wanted else None, instance, asked_ns, until_s)
        if wanted and not instance and name not in self._objects:
            names = ', '.join(sorted(self._known_as)) or 'the only object, without a name'
            self._end(request, PlanReply(
                NO_SUCH_OBJECT, f'expected {names} or no name, {self._seen(instances)}, got {wanted!r}'))
        else:
            self._waiting.append(request)
        return request

    def are_for(self, name: str, stamp_ns: int) -> bool:
        """Whether a request waits for a pose of this object and time; those that are too old are noted."""
        concerned = [each for each in self._waiting if each.object_name in (None, name)]
        for request in concerned:
            request.newest_ns = max(request.newest_ns, stamp_ns)
        return any(stamp_ns > request.asked_ns for request in concerned)

    def instances_for(self, name: str, stamp_ns: int) -> list[str]:
        """The instances of an object that requests wait for in an image, who asked first comes first."""
        return [each.instance for each in self._waiting
                if each.instance and each.takes(name, stamp_ns, each.instance)]

    def answer(self, name: str, header: Header, stamp_ns: int, plan: Plan, instance: str = '') -> None:
        """Answer the requests that a plan is for; after one without a grasp, the next is waited for."""
        for request in [each for each in self._waiting if each.takes(name, stamp_ns, instance)]:
            if plan.grasps:
                text = f'{len(plan.grasps)} grasps for the image with stamp {stamp_ns} ns'
                self._end(request, PlanReply('', text, header, plan))
                continue
            counts = ', '.join(f'{reason} {count}' for reason, count in plan.rejected.items() if count)
            request.last = PlanReply(plan.reason, f'no grasp: {plan.reason} ({counts or "no candidates"})', header,
                                     plan)

    def fail(self, name: str, stamp_ns: int, reason: str, text: str, instance: str = '') -> None:
        """Note for the requests that a pose could not be planned for."""
        for request in self._waiting:
            if request.takes(name, stamp_ns, instance):
                request.last = PlanReply(reason, text)

    def expire(self, now_s: float) -> None:
        """End the requests whose time is over: with the reason of the last plan, or that nothing was seen."""
        for request in [each for each in self._waiting if now_s >= each.until_s]:
            self._end(request, request.last or PlanReply(NOTHING_SEEN, self._nothing(request)))

    def cancel(self, request: PlanRequest) -> None:
        """End one request without an answer."""
        self._end(request, PlanReply(CANCELED, 'canceled'))

    def refuse_all(self, text: str) -> None:
        """End all requests because the node stops."""
        for request in list(self._waiting):
            self._end(request, PlanReply(NOT_ACTIVE, text))

    def _end(self, request: PlanRequest, reply: PlanReply) -> None:
        if request in self._waiting:
            self._waiting.remove(request)
        if not request.reply.done():
            request.reply.set_result(reply)

    @staticmethod
    def _seen(instances: Mapping[str, str] | None) -> str:
        if instances is None:
            return 'and no instance, for detections (vision_msgs) are not heard'
        return f'or an instance that is seen ({", ".join(instances) or "the newest detections show none"})'

    def _nothing(self, request: PlanRequest) -> str:
        what = request.instance or request.object_name or 'an object'
        if request.newest_ns < 0:
            return f'no pose of {what} came'
        late_s = (request.asked_ns - request.newest_ns) / 1e9
        return (f'no pose of {what} came that is newer than the request: the newest image is {late_s:.1f} s '
                'older; where images come from a simulation or a recording, use_sim_time has to be true')
