"""An OpenAI-compatible server for trying, testing and rehearsing without a key and without a network.

It is no model: chat answers are extracted by plain rules, speech is recognised by pocketsphinx. Nothing in
the package imports it but the CLI. The names below are loaded when asked for, because the processes that
recognise speech import this package too and need neither aiohttp nor pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_assets.emulator.audit import Audit
    from llm_assets.emulator.config import EmulatorConfig, Faults, Latency, QuotaLimits
    from llm_assets.emulator.server import Emulator

__all__ = ["Audit", "Emulator", "EmulatorConfig", "Faults", "Latency", "QuotaLimits"]

_HOMES = {
    "Audit": "audit",
    "Emulator": "server",
    "EmulatorConfig": "config",
    "Faults": "config",
    "Latency": "config",
    "QuotaLimits": "config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
