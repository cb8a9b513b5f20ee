"""An emulator with a client for it, started by the test that needs one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from emulator_client import Client, StillClock

from llm_assets.emulator import Emulator, EmulatorConfig


@asynccontextmanager
async def _emulated(clock: StillClock | None = None, **config: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": "Bearer key"}
    emulator = Emulator(EmulatorConfig(**config), clock)
    async with emulator, aiohttp.ClientSession(headers=headers) as session:
        yield Client(emulator, session)


@pytest.fixture
def emulated() -> Any:
    """`async with emulated(limits=…) as client:` starts an emulator and gives a client for it."""
    return _emulated


@pytest.fixture
def clock() -> StillClock:
    return StillClock()
