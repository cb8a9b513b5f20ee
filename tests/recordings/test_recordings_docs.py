"""docs/recordings.md is so: its examples run, its patterns compile, its fields are the ones there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llm_assets.recordings.layout import layout_of
from llm_assets.recordings.sidecars import FIELDS
from llm_assets.recordings.source import RecordingSource

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "recordings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_examples_run(example: str) -> None:
    """Every source that is shown can be made."""
    exec(example, {})


def test_every_pattern_in_the_table_compiles() -> None:
    """What people copy from the table works."""
    patterns = re.findall(r"^\| `([^`]+)`", TEXT, re.MULTILINE)
    assert len(patterns) == 6
    assert all(layout_of(pattern) for pattern in patterns)


def test_the_hints_shown_are_known() -> None:
    """The sidecar in the text has no field that would be left alone."""
    [example] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert json.loads(example).keys() <= FIELDS
    assert all(f"`{name}`" in TEXT for name in FIELDS)


def shown(value: object) -> str:
    """A default as it would be written in YAML."""
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")


def test_the_fields_of_a_source_are_documented() -> None:
    """The table in docs/configuration.md has each of them once, with its default, and no other."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    table = text.partition("### `RecordingSource`")[2].partition("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\|", table, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(RecordingSource.model_fields)
    source = RecordingSource(root="calls")
    told = {name: value.strip("`") for name, value in rows if value not in ("", "none", "the partitions'")}
    assert told == {name: shown(getattr(source, name)) for name in told}
