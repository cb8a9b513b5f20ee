"""Output models become schemas that strict structured output takes, or are refused by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from insights_models import WIDE_ANSWER, Node, Wide
from pydantic import BaseModel, Field, RootModel

from llm_assets.errors import OutputModelError
from llm_assets.insights.call_insights import CallInsights
from llm_assets.insights.schema import build_output_schema

MODELS = [Wide, Node, CallInsights]
ALLOWED = {
    "type", "description", "properties", "required", "additionalProperties", "items", "enum", "anyOf",
    "$ref", "$defs", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minItems", "maxItems",
}  # fmt: skip


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every schema inside a schema."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    inner += [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    for node in inner:
        yield from nodes(node)


@pytest.mark.parametrize("model", MODELS)
def test_the_schema_keeps_the_strict_rules(model: type[BaseModel]) -> None:
    """Closed objects that require everything, no keyword strict mode refuses, nothing beside a reference."""
    schema = build_output_schema(model).schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    for node in nodes(schema):
        assert set(node) <= ALLOWED
        assert set(node) & {"type", "anyOf", "$ref"}, node
        if "$ref" in node:
            assert set(node) == {"$ref"}
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])


def test_the_schema_takes_what_the_model_takes() -> None:
    """An answer with every field is valid; one that lacks a field or has another one is not."""
    validator = jsonschema.Draft202012Validator(build_output_schema(Wide).schema)
    assert list(validator.iter_errors(WIDE_ANSWER)) == []
    for name in WIDE_ANSWER:
        assert not validator.is_valid({key: value for key, value in WIDE_ANSWER.items() if key != name})
    assert not validator.is_valid(WIDE_ANSWER | {"more": 1})
    assert not validator.is_valid(WIDE_ANSWER | {"product": {"name": "kettle"}})
    assert not validator.is_valid(WIDE_ANSWER | {"amount": "a lot"})


def test_recursion_is_kept() -> None:
    """A model that contains itself, at the root or below, is still checked at every depth."""
    validator = jsonschema.Draft202012Validator(build_output_schema(Node).schema)
    tree = {"name": "a", "children": [{"name": "b", "children": []}]}
    assert validator.is_valid(tree)
    broken = copy.deepcopy(tree)
    broken["children"][0]["children"] = [{"name": 5, "children": []}]
    assert not validator.is_valid(broken)


def test_refused_constraints_are_said_instead() -> None:
    """Constraints that strict mode refuses stand in the description, after the field's own words."""
    fields = build_output_schema(Wide).schema["properties"]
    assert fields["text"]["description"] == "Any text. Minimum length 1. Maximum length 50."
    assert "least 0" in fields["price"]["description"]
    assert "(?!b)" in fields["lookahead"]["description"]
    assert fields["code"]["pattern"] == "^[A-Z]{3}$"
    assert fields["whole"]["minimum"] == 0


def test_a_fields_description_goes_before_its_models() -> None:
    """The description of a field wins over the doc string of the model it holds."""
    fields = build_output_schema(Wide).schema["properties"]
    assert fields["product"]["description"] == "The product meant."
    assert fields["products"]["items"]["description"] == "A thing that is sold."


def test_optional_means_nullable() -> None:
    """A field with a default is required all the same; optional is a union with null."""
    fields = build_output_schema(Wide).schema["properties"]
    assert {"type": "null"} in fields["spare"]["anyOf"]
    assert fields["maybe"] == {"type": ["string", "integer", "null"], "enum": ["a", 1, None]}


def test_name_and_description_are_the_models() -> None:
    """The schema is called like the model, in the characters that are allowed, and described like it."""
    schema = build_output_schema(CallInsights)
    assert schema.name == "CallInsights"
    assert schema.description == CallInsights.__doc__
    strange = type("Strange[" + "x" * 80, (CallInsights,), {})
    assert build_output_schema(strange).name == "Strange_" + "x" * 56


class Inner(BaseModel):
    values: list[dict[str, int]]


class FreeKeys(BaseModel):
    inner: Inner


class Anything(BaseModel):
    what: Any


class ListOfAnything(BaseModel):
    things: list


class Pair(BaseModel):
    pair: tuple[int, str]


class Function(BaseModel):
    fine: int
    callback: Callable[[], int]


class Exotic(BaseModel):
    field: int = Field(json_schema_extra={"not": {"const": 3}})


class Items(RootModel[list[int]]):
    pass


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (FreeKeys, r"FreeKeys\.inner\.values\[\] has free keys"),
        (Anything, r"Anything\.what can be anything"),
        (ListOfAnything, r"ListOfAnything\.things is a list of anything"),
        (Pair, r"Pair\.pair is a tuple"),
        (Function, r"Function\.callback cannot be expressed"),
        (Exotic, r"Exotic\.field uses not"),
        (Items, r"Items is not an object"),
    ],
)
def test_what_cannot_be_expressed_is_named(model: type[BaseModel], said: str) -> None:
    """A field that strict mode cannot express is an error that names the field, before any call."""
    with pytest.raises(OutputModelError, match=said):
        build_output_schema(model)


def test_the_default_model_describes_every_field() -> None:
    """Descriptions are the prompt: each field of the default model has one, at every depth."""
    schema = build_output_schema(CallInsights).schema
    for node in nodes(schema):
        for name, field in node.get("properties", {}).items():
            assert len(field.get("description", "")) > 20, name
    assert len(json.dumps(schema)) < 10_000
