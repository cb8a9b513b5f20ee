"""The emulator as a process of its own, for one contender: `python -m benchmarks.server`.

Reads one line of JSON, the emulator's configuration, prints one with its addresses, and prints its audit
when standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from llm_assets.emulator import Emulator, EmulatorConfig


async def serve(config: dict[str, Any]) -> None:
    async with Emulator(EmulatorConfig.model_validate(config)) as emulator:
        print(json.dumps({"base_url": emulator.base_url, "root_url": emulator.root_url}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        audit = emulator.audit.snapshot() | {"ideal_seconds": round(emulator.ideal_seconds, 6)}
        print(json.dumps(audit), flush=True)


if __name__ == "__main__":
    asyncio.run(serve({"chat_answer": "fixed", **json.loads(sys.stdin.readline())}))
