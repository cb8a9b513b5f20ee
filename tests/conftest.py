"""No test reaches any host but this machine, whatever it asks for."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest


def is_this_machine(address: Any) -> bool:
    """Unix sockets, loopback addresses and the name localhost."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Connecting anywhere else fails at once, so that no test can ask a paid API."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            connect = getattr(socket.socket, name)

            def guarded(self: socket.socket, address: Any, connect: Any = connect) -> Any:
                if not is_this_machine(address):
                    raise OSError(f"tests do not connect to {address[0]}")
                return connect(self, address)

            patch.setattr(socket.socket, name, guarded)
        yield
