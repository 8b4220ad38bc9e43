# SPDX-License-Identifier: Apache-2.0
"""Tells the monitor when a pick begins and how it ended."""

from __future__ import annotations

import re

from rclpy.client import Client
from rclpy.node import Node
from servers import Servers
from std_srvs.srv import SetBool, Trigger
from way import PickError, image_of


class Monitor:
    """The services begin_pick and end_pick.

    :param name: of the monitor's node; empty: nobody is told
    """

    def __init__(self, node: Node, servers: Servers, name: str):
        self._servers, self._is_told, self._has_begun = servers, bool(name), False
        self._log = node.get_logger()
        self._begin: Client = node.create_client(Trigger, f'{name or "monitor"}/begin_pick')
        self._end: Client = node.create_client(SetBool, f'{name or "monitor"}/end_pick')

    def begin(self, grasp_id: str) -> None:
        """The robot sets out for a grasp.

        :raises PickError: when the monitor takes it for a grasp of another image
        """
        said: list[str] = []

        def means_ours() -> bool:
            said.append(self._servers.call(self._begin, Trigger.Request()).message)
            found = re.search(r'grasp (\d+)_', said[-1])
            return found is not None and int(found[1]) == image_of(grasp_id)

        if self._is_told:
            # The planner's report may reach the monitor after its answer has reached us.
            try:
                self._servers.wait_until(means_ours, f'{self._begin.srv_name}: it does not mean {grasp_id}')
            except PickError as error:
                if not said:
                    raise
                raise PickError('monitor', f'{error}; it says: {said[-1]}. With continuous: true the planner goes '
                                           'on with newer images: set it to false') from error
            self._has_begun = True

    def end(self, lifted: bool) -> None:
        """How it went, once for each pick that has begun; it went so whether or not the monitor hears of it."""
        if not self._has_begun:
            return
        self._has_begun = False
        try:
            response = self._servers.call(self._end, SetBool.Request(data=lifted))
            problem = '' if response.success else response.message
        except PickError as error:
            problem = str(error)
        if problem:
            self._log.error(f'monitor: {self._end.srv_name}: the result of the pick was not taken: {problem}')
