"""An answer is the output model's values as they were given, or it is invalid."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any

import pytest
from insights_models import WIDE_ANSWER, Wide
from pydantic import BaseModel, Field

from llm_assets.insights.answers import InvalidAnswer, parse_answer
from llm_assets.insights.schema import output_form


class Facts(BaseModel):
    count: int
    name: str | None = None
    share: float = 0.0
    amounts: list[Decimal] = []
    fine: Annotated[Decimal, Field(max_digits=20, decimal_places=12)] = Decimal(0)


def test_a_valid_answer_is_plain_json() -> None:
    """Every kind of field comes out as plain JSON values under the field's name."""
    output = parse_answer(json.dumps(WIDE_ANSWER), output_form(Wide))
    assert json.loads(json.dumps(output)) == output
    assert output["renamed"] == "there"
    assert output["product"] == {"name": "kettle", "price": "39.90"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Invalid JSON"),
        ('Sure! {"count": 1}', "Invalid JSON"),
        ('{"count": 1', "Invalid JSON"),
        ('{"count": 1, "name": "half \\ud83d"}', "Invalid JSON"),
        ("[1]", "object"),
        ("{}", "count: Field required"),
        ('{"count": "1"}', "count: .*integer"),
        ('{"count": 1.5}', "count: .*integer"),
        ('{"count": true}', "count: .*integer"),
        ('{"count": 9223372036854775808}', "count: must fit 64 bits"),
        ('{"count": 1, "share": Infinity}', "Invalid JSON"),
        ('{"count": 1, "amounts": ["1", "0.0000000001"]}', r"amounts\[1\]: must have at most 9 decimals"),
        ('{"count": 1, "fine": "0.0000000000001"}', "fine: .*12 decimal places"),
    ],
)
def test_an_invalid_answer_says_what_is_wrong(text: str, said: str) -> None:
    """Broken JSON, wrong types and values no column can hold are named with their field, never put right."""
    with pytest.raises(InvalidAnswer, match=said):
        parse_answer(text, output_form(Facts))


def test_a_decimal_with_declared_places_may_use_them() -> None:
    """A field that declares twelve decimals has a column for them."""
    output = parse_answer('{"count": 1, "fine": "0.000000000001"}', output_form(Facts))
    assert Decimal(output["fine"]) == Decimal("0.000000000001")


def test_many_problems_are_summed_up() -> None:
    """The reason stays readable when everything is wrong."""
    answer: dict[str, Any] = {"count": 1, "amounts": ["x"] * 100}
    with pytest.raises(InvalidAnswer) as caught:
        parse_answer(json.dumps(answer), output_form(Facts))
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 90 more"


def test_more_than_was_asked_for_has_no_column() -> None:
    """A model may allow for anything; at the top it would be lost, or pass for a column of ours."""

    class Open(BaseModel, extra="allow"):
        a: int

    class Holder(BaseModel):
        inner: Open

    with pytest.raises(InvalidAnswer, match="status: is no field that was asked for"):
        parse_answer('{"a": 1, "status": "ok"}', output_form(Open))
    assert parse_answer('{"inner": {"a": 1, "b": 2}}', output_form(Holder)) == {"inner": {"a": 1, "b": 2}}
