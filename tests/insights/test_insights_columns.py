"""Every field of an output model has a column that holds what an answer brings."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from insights_models import WIDE_ANSWER, Wide
from pydantic import BaseModel, Field

from llm_assets.insights.answers import parse_answer
from llm_assets.insights.call_insights import CallInsights
from llm_assets.insights.columns import output_columns
from llm_assets.insights.schema import output_form
from llm_assets.warehouse.values import text_of


def types(model: type[BaseModel]) -> dict[str, str]:
    return {column.name: column.sql_type for column in output_columns(model)}


def test_the_default_models_columns() -> None:
    """The columns of `CallInsights`, which people's queries depend on."""
    assert types(CallInsights) == {
        "summary": "VARCHAR",
        "sentiment": 'STRUCT("label" VARCHAR, "score" DOUBLE)',
        "topics": "VARCHAR[]",
        "intent": "VARCHAR",
        "outcome": "VARCHAR",
        "action_items": 'STRUCT("owner" VARCHAR, "what" VARCHAR, "due" VARCHAR)[]',
        "entities": 'STRUCT("name" VARCHAR, "kind" VARCHAR)[]',
        "customer_effort": "BIGINT",
        "language": "VARCHAR",
        "quotes": 'STRUCT("text" VARCHAR, "segment_index" BIGINT)[]',
        "confidence": "DOUBLE",
    }


def test_each_kind_of_field_has_its_type() -> None:
    """Scalars, enums, dates, decimals, nested models and lists are typed; what has no type is JSON."""
    found = types(Wide)
    assert found["whole"] == found["stars"] == "BIGINT"
    assert found["real"] == "DOUBLE"
    assert found["yes"] == "BOOLEAN"
    assert found["mood"] == found["level"] == found["always"] == found["id"] == found["link"] == "VARCHAR"
    assert found["day"] == "DATE"
    assert found["moment"] == "TIMESTAMPTZ"
    assert found["amount"] == "DECIMAL(38,9)"
    assert found["price"] == "DECIMAL(10,2)"
    assert found["product"] == found["spare"] == 'STRUCT("name" VARCHAR, "price" DECIMAL(38,9))'
    assert found["products"] == f"{found['product']}[]"
    assert found["tags"] == "VARCHAR[]"
    assert found["numbers"] == "BIGINT[]"
    assert found["maybe"] == found["number_or_text"] == found["pet"] == "JSON"
    assert found["tree"] == 'STRUCT("name" VARCHAR, "children" JSON[])'


def test_columns_are_called_like_fields() -> None:
    """A column has the field's name, not its alias, and the field's description with a note on JSON."""
    columns = {column.name: column for column in output_columns(Wide)}
    assert "renamed" in columns
    assert columns["text"].description == "Any text."
    assert columns["spare"].description == "Another one."
    assert columns["pet"].description == "(Stored as JSON.)"
    assert columns["tree"].description == "(Stored as JSON in part.)"


def test_every_valid_answer_fits_its_columns() -> None:
    """What an answer's output holds is taken by the columns made from the same model."""
    output = parse_answer(json.dumps(WIDE_ANSWER), output_form(Wide))
    columns = output_columns(Wide)
    assert list(output) == [column.name for column in columns]
    for column in columns:
        if output[column.name] is not None:
            assert text_of(column.sql_type)(output[column.name])


class Loose(BaseModel):
    keys: dict[str, int]
    anything: Any
    pair: tuple[int, str]
    upper: dict[str, Any] | None
    huge: Decimal = Field(max_digits=50, decimal_places=2)


class SameButForCase(BaseModel):
    a: int
    A: int


class Holder(BaseModel):
    inner: SameButForCase


def test_what_has_no_type_is_json() -> None:
    """Free keys, anything, mixed tuples and fields DuckDB cannot tell apart become JSON."""
    assert types(Loose) == {
        "keys": "JSON",
        "anything": "JSON",
        "pair": "JSON",
        "upper": "JSON",
        "huge": "VARCHAR",
    }
    assert types(Holder) == {"inner": "JSON"}
