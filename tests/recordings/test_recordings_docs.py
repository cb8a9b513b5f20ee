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


def test_every_field_of_a_source_is_documented() -> None:
    """docs/configuration.md names each of them."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert [name for name in RecordingSource.model_fields if f"`{name}`" not in text] == []
