"""docs/emulator.md says everything, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from llm_assets.emulator.catalog import catalog
from llm_assets.emulator.config import FAULT_KINDS, EmulatorConfig, Faults

DOCUMENT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")


def test_every_option_fault_and_model_is_named() -> None:
    """What can be configured is documented."""
    names = {*EmulatorConfig.model_fields, *FAULT_KINDS, *catalog()}
    assert [name for name in sorted(names) if f"`{name}`" not in DOCUMENT] == []
    assert set(FAULT_KINDS) == set(Faults.model_fields)


async def test_the_example_runs() -> None:
    """An emulator can be started as the document shows it."""
    namespace: dict[str, Any] = {}
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    exec(example, namespace)
    await namespace["rehearse"]()
