# SPDX-License-Identifier: Apache-2.0
"""PageGuard: which requests are answered at all.

Any web page that a browser shows can send requests to this machine. A name of its own that it has point here (DNS
rebinding) is told by the Host header, a page from elsewhere by its Origin.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass

LOOPBACK_NAMES = ('127.0.0.1', 'localhost', '[::1]')
TOKEN_BYTES = 16


@dataclass(frozen=True)
class PageGuard:
    """What a request must have.

    :param host: address or name that the server was given to listen on
    :param token: first part of every path; empty for none
    """

    host: str
    token: str = ''

    @classmethod
    def of(cls, host: str) -> PageGuard:
        """With a random token where others than this machine can ask."""
        return cls(host, '' if is_loopback(host) else secrets.token_urlsafe(TOKEN_BYTES))

    @property
    def root(self) -> str:
        """The path of the page."""
        return f'/{self.token}/' if self.token else '/'

    def refusal(self, hosts: Sequence[str], origins: Sequence[str]) -> str:
        """Why a request is not answered; empty where it is.

        :param hosts: its Host headers
        :param origins: its Origin headers; programs send none
        """
        if len(hosts) != 1 or not self._is_ours(_without_port(hosts[0])):
            return 'Host'
        if len(origins) > 1 or (origins and origins[0].lower() != f'http://{hosts[0].lower()}'):
            return 'Origin'
        return ''

    def name(self, path: str) -> str | None:
        """What a path asks for, behind the token; None with a wrong one."""
        if not self.token:
            return path.removeprefix('/')
        given, slash, name = path.removeprefix('/').partition('/')
        is_right = hmac.compare_digest(given.encode(errors='replace'), self.token.encode())
        return name if slash and is_right else None

    def _is_ours(self, name: str) -> bool:
        if name in LOOPBACK_NAMES or name in (self.host.lower(), f'[{self.host.lower()}]'):
            return True
        # Listening on every address: whoever has an address for a name needs no rebinding.
        return is_wildcard(self.host) and (_address(name) is not None or name == socket.gethostname().lower())


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    address = _address(host)
    return host.lower() == 'localhost' or (address is not None and address.is_loopback)


def is_wildcard(host: str) -> bool:
    """Whether it stands for all addresses of the machine."""
    address = _address(host)
    return address is not None and address.is_unspecified


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.removeprefix('[').removesuffix(']'))
    except ValueError:
        return None


def _without_port(host: str) -> str:
    """Of a Host header."""
    name, colon, port = host.lower().rpartition(':')
    return name if colon and port.isdigit() else host.lower()
