"""The definitions of the tables are sound before any database sees them."""

from __future__ import annotations

import pytest

from llm_assets.errors import ConfigurationError
from llm_assets.warehouse.tables import FIXED_TABLES, TRANSCRIPTS, Column, insights_table
from llm_assets.warehouse.values import text_of


@pytest.mark.parametrize("table", FIXED_TABLES, ids=lambda table: table.name)
def test_every_column_is_described_and_typed(table) -> None:
    """Every column of the fixed tables has a description and a type the warehouse can convert to."""
    assert [column.name for column in table.columns][:2] == ["partition_date", "recording_id"]
    for column in table.columns:
        assert column.description.endswith("."), column.name
        text_of(column.sql_type)


def test_insights_table_has_the_models_columns_between_the_fixed_ones() -> None:
    """An insights table is the keys, the output model's columns, and the columns all extractors have."""
    names = [
        column.name for column in insights_table("insights", [Column("mood", "VARCHAR", "Mood.")]).columns
    ]
    assert names[:4] == ["partition_date", "recording_id", "mood", "status"]
    assert names[-3:] == ["prompt_version", "extracted_at", "error"]


@pytest.mark.parametrize("name", ["status", "Partition_Date", "llm_calls", "cost_usd"])
def test_a_field_named_like_a_fixed_column_is_refused(name: str) -> None:
    """An output model whose field would be a second column of the same name is a configuration error."""
    with pytest.raises(ConfigurationError, match=f'two columns "{name}"|two columns "{name.lower()}"'):
        insights_table("insights", [Column(name, "VARCHAR", "")])


@pytest.mark.parametrize("name", ["transcripts", "Segments", "daily_cost"])
def test_a_taken_table_name_is_refused(name: str) -> None:
    """An extractor cannot take the name of a fixed table or view."""
    with pytest.raises(ConfigurationError, match="cannot be called"):
        insights_table(name, [])


def test_transcripts_carry_segments_and_calls() -> None:
    """Segments belong to the transcript and come back with it; calls are shared and do not."""
    assert [(c.column, c.shared, c.read_back) for c in TRANSCRIPTS.children] == [
        ("segments", False, True),
        ("llm_calls", True, False),
    ]
