"""The tests themselves stay on this machine."""

from __future__ import annotations

import asyncio
import socket

import pytest


def test_a_connection_to_another_host_fails_at_once() -> None:
    """An address out there is refused before a packet is sent."""
    with socket.socket() as outside, pytest.raises(OSError, match=r"tests do not connect to 192\.0\.2\.1"):
        outside.connect(("192.0.2.1", 443))


async def test_an_event_loop_is_guarded_too() -> None:
    """asyncio connects by the same function."""
    with pytest.raises(OSError, match=r"tests do not connect to 192\.0\.2\.1"):
        await asyncio.open_connection("192.0.2.1", 443)
