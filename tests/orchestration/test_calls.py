"""Who goes first at the shared limits."""

from __future__ import annotations

import pytest

from llm_assets.orchestration.calls import BACKFILL_PRIORITY, call_priority


@pytest.mark.parametrize(
    ("tags", "priority"),
    [
        ({}, 0),
        ({"dagster/priority": "10"}, 10),
        ({"dagster/backfill": "abc"}, BACKFILL_PRIORITY),
        ({"dagster/backfill": "abc", "dagster/priority": "5"}, 5),
        ({"dagster/priority": "high"}, 0),
    ],
)
def test_a_backfill_stands_behind_unless_its_tag_says_otherwise(tags: dict[str, str], priority: int) -> None:
    """The run's own priority counts; years of history wait for today's numbers."""
    assert call_priority(tags) == priority
    assert BACKFILL_PRIORITY < 0
