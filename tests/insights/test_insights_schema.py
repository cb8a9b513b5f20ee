"""Output models become schemas that strict structured output takes, or are refused by name."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

import jsonschema
import pytest
from insights_models import WIDE_ANSWER, Node, Wide
from pydantic import AliasPath, BaseModel, Field, RootModel, SecretStr, computed_field, create_model

from llm_assets.emulator.schema.check import strict_problem
from llm_assets.errors import OutputModelError
from llm_assets.insights.answers import InvalidAnswer, parse_answer
from llm_assets.insights.call_insights import CallInsights
from llm_assets.insights.columns import output_columns
from llm_assets.insights.schema import output_form

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
    schema = output_form(model).schema.schema
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
    validator = jsonschema.Draft202012Validator(output_form(Wide).schema.schema)
    assert list(validator.iter_errors(WIDE_ANSWER)) == []
    for name in WIDE_ANSWER:
        assert not validator.is_valid({key: value for key, value in WIDE_ANSWER.items() if key != name})
    assert not validator.is_valid(WIDE_ANSWER | {"more": 1})
    assert not validator.is_valid(WIDE_ANSWER | {"product": {"name": "kettle"}})
    assert not validator.is_valid(WIDE_ANSWER | {"amount": "a lot"})


def test_recursion_is_kept() -> None:
    """A model that contains itself, at the root or below, is still checked at every depth."""
    validator = jsonschema.Draft202012Validator(output_form(Node).schema.schema)
    tree = {"name": "a", "children": [{"name": "b", "children": []}]}
    assert validator.is_valid(tree)
    broken = copy.deepcopy(tree)
    broken["children"][0]["children"] = [{"name": 5, "children": []}]
    assert not validator.is_valid(broken)


def test_refused_constraints_are_said_instead() -> None:
    """Constraints that strict mode refuses stand in the description, after the field's own words."""
    fields = output_form(Wide).schema.schema["properties"]
    assert fields["text"]["description"] == "Any text. Minimum length 1. Maximum length 50."
    assert "least 0" in fields["price"]["description"]
    assert "(?!b)" in fields["lookahead"]["description"]
    assert fields["code"]["pattern"] == "^[A-Z]{3}$"
    assert fields["whole"]["minimum"] == 0


def test_a_fields_description_goes_before_its_models() -> None:
    """The description of a field wins over the doc string of the model it holds."""
    fields = output_form(Wide).schema.schema["properties"]
    assert fields["product"]["description"] == "The product meant."
    assert fields["products"]["items"]["description"] == "A thing that is sold."


def test_optional_means_nullable() -> None:
    """A field with a default is required all the same; optional is a union with null."""
    fields = output_form(Wide).schema.schema["properties"]
    assert {"type": "null"} in fields["spare"]["anyOf"]
    assert fields["maybe"] == {"type": ["string", "integer", "null"], "enum": ["a", 1, None]}


def test_name_and_description_are_the_models() -> None:
    """The schema is called like the model, in the characters that are allowed, and described like it."""
    schema = output_form(CallInsights).schema
    assert schema.name == "CallInsights"
    assert schema.description == CallInsights.__doc__
    strange = type("Strange[" + "x" * 80, (CallInsights,), {})
    assert output_form(strange).schema.name == "Strange_" + "x" * 56


class Inner(BaseModel):
    values: list[dict[str, Any]]


class FreeKeys(BaseModel):
    inner: Inner


class Anything(BaseModel):
    what: Any


class BareDict(BaseModel):
    keys: dict


class ListOfAnything(BaseModel):
    things: list


class Function(BaseModel):
    fine: int
    callback: Callable[[], int]


class Inside(BaseModel):
    functions: list[Function]


class Stranger:
    pass


class Arbitrary(BaseModel, arbitrary_types_allowed=True):
    stranger: Stranger | None


class Exotic(BaseModel):
    field: int = Field(json_schema_extra={"not": {"const": 3}})


class Hidden(BaseModel):
    password: SecretStr


class Pathed(BaseModel):
    deep: int = Field(validation_alias=AliasPath("a", 0))


class DictOrList(BaseModel):
    either: dict[str, int] | list[int]


class OddKeys(BaseModel):
    pairs: dict[tuple[int, int], str]


class Odd(Enum):
    PAIR = (1, 2)


class NoMembers(BaseModel):
    choice: Odd


class Deep(BaseModel):
    lists: list[list[list[list[list[list[list[list[list[int]]]]]]]]]


class Names(BaseModel):
    country: Literal[tuple(f"c{number}" for number in range(1001))]  # type: ignore[valid-type]


class Note(BaseModel):
    id: int
    text: str


class Email(Note):
    kind: Literal["email"]


class Letter(Note):
    """On paper."""

    kind: Literal["letter"] = "letter"
    answers: Letter | None = None


class Price(Note):
    amount: Decimal


class Mixed(BaseModel):
    told: Email | Letter
    alike: list[Note | Price | None]
    pairs: tuple[int, str] | tuple[str, int]


class Chain(BaseModel):
    name: str
    next: Chain | Ring


class Ring(BaseModel):
    name: str
    into: Ring | Chain


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (FreeKeys, r"FreeKeys\.inner\.values\[\] has values that can be anything: give it a type"),
        (BareDict, r"BareDict\.keys has"),
        (Anything, r"Anything\.what can be anything"),
        (ListOfAnything, r"ListOfAnything\.things is a list of anything"),
        (Function, r"Function\.callback cannot be expressed"),
        (Inside, r"Inside\.functions\[\]\.callback cannot be expressed"),
        (Arbitrary, r"Arbitrary\.stranger cannot be expressed"),
        (Exotic, r"Exotic\.field uses not"),
        (Hidden, r"Hidden\.password hides its value"),
        (Pathed, r"Pathed\.deep.* AliasPath"),
        (DictOrList, r"DictOrList\.either is a dict or a list"),
        (OddKeys, r"OddKeys\.pairs has keys that are no plain values"),
        (NoMembers, r"NoMembers\.choice has members that are no plain values"),
        (Chain, r"is one of models that begin with the same field \(Chain and Ring\)"),
        (Deep, r"Deep\.lists.* nested 11 levels deep"),
        (Names, r"Names has 1,001 enum values in all, most of them \(1,001\) at Names\.country"),
    ],
)
def test_what_cannot_be_expressed_is_named(model: type[BaseModel], said: str) -> None:
    """A field that strict mode cannot express is an error that names the field, before any call."""
    with pytest.raises(OutputModelError, match=said):
        output_form(model)


def test_a_model_with_too_many_properties_is_refused() -> None:
    """Strict mode takes 5,000 of them; one of more models that hold each other is counted written out."""
    fields: dict[str, Any] = {f"field_{number}": (int, ...) for number in range(50)}
    wide = create_model("Wide", **fields)
    holders: dict[str, Any] = {f"holder_{number}": (wide, ...) for number in range(100)}
    with pytest.raises(OutputModelError, match=r"Holders has more than 5,000 properties"):
        output_form(create_model("Holders", **holders))


def test_a_very_wide_model_works() -> None:
    """As many fields as strict mode takes, of which some need another name on the way."""
    fields: dict[str, Any] = {f"größe {number}": (int | None, ...) for number in range(4_999)}
    wide = create_model("VeryWide", **fields, last=(str, ...))
    form = output_form(wide)
    assert strict_problem(form.schema.schema) is None
    answer = {f"gr__e_{number}": number for number in range(4_999)} | {"last": "x"}
    output = parse_answer(json.dumps(answer), form)
    assert output == {f"größe {number}": number for number in range(4_999)} | {"last": "x"}
    assert len(output_columns(wide)) == 5_000


def test_a_large_enum_of_long_names_is_refused() -> None:
    """15,000 characters where it has more than 250 members, 120,000 of all names and members together."""
    members = [f"member {number:053}" for number in range(251)]
    large = create_model("Large", which=(Literal[tuple(members)], ...))
    with pytest.raises(OutputModelError, match=r"Large\.which has 251 members of 15,060 characters"):
        output_form(large)
    named: dict[str, Any] = {f"{'x' * 60}{number}": (int, ...) for number in range(2_000)}
    with pytest.raises(OutputModelError, match=r"Long has names and enum values of 12\d,\d{3} characters"):
        output_form(create_model("Long", **named))


def test_the_default_model_describes_every_field() -> None:
    """Descriptions are the prompt: each field of the default model has one, at every depth."""
    schema = output_form(CallInsights).schema.schema
    for node in nodes(schema):
        for name, field in node.get("properties", {}).items():
            assert len(field.get("description", "")) > 20, name
    assert len(json.dumps(schema)) < 10_000


class Sale(BaseModel):
    prices: dict[str, Decimal] = Field(min_length=1, description="Price by product.")
    place: tuple[float, float]
    level: Literal["low", "high"] = Field("low", examples=["high"])
    due: date = Field(gt=date(2026, 1, 1))
    reasoning: str = Field(exclude=True, description="Think first.")
    straße: str

    @computed_field(description="How many.")
    @property
    def products(self) -> int:
        return len(self.prices)


SALE = {
    "prices": [{"key": "cup", "value": "3.50"}, {"key": "pot", "value": "9"}],
    "place": {"item_1": 1.5, "item_2": 2},
    "level": "high",
    "due": "2026-03-02",
    "reasoning": "They said so.",
    "stra_e": "Main Street",
}


def test_free_keys_travel_as_entries() -> None:
    """A dict is asked for as a list of keys and values, a tuple as an object, and both come back."""
    form = output_form(Sale)
    fields = form.schema.schema["properties"]
    assert strict_problem(form.schema.schema) is None
    assert fields["prices"]["description"] == "Price by product. At least 1 entries."
    assert fields["prices"]["items"]["required"] == ["key", "value"]
    assert parse_answer(json.dumps(SALE), form) == {
        "prices": {"cup": "3.50", "pot": "9"},
        "place": [1.5, 2.0],
        "level": "high",
        "due": "2026-03-02",
        "straße": "Main Street",
        "products": 2,
    }


def test_what_a_schema_has_no_words_for_is_said() -> None:
    """Defaults, examples, bounds of dates and names that not every provider takes stand in descriptions."""
    fields = output_form(Sale).schema.schema["properties"]
    assert fields["level"]["description"] == 'Examples: "high". When nothing is said: "low".'
    assert fields["due"]["description"] == "Value: more than 2026-01-01."
    assert fields["stra_e"]["description"] == 'Means "straße".'


def test_a_field_can_be_asked_for_and_not_stored() -> None:
    """`exclude=True` has no column; a computed field has one and is not asked for."""
    assert "products" not in output_form(Sale).schema.schema["properties"]
    columns = {column.name: column for column in output_columns(Sale)}
    assert list(columns) == ["prices", "place", "level", "due", "straße", "products"]
    assert columns["products"].description == "How many."
    assert columns["prices"].sql_type == columns["place"].sql_type == "JSON"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prices": {"cup": "3.50"}}, "prices: must be a list of objects with `key` and `value`"),
        ({"prices": [*SALE["prices"], {"key": "cup", "value": "4"}]}, r"prices\[2\]: the key 'cup' is there"),
        ({"prices": []}, "prices: .*at least 1"),
        ({"place": [1.5, 2]}, "place: must be an object with `item_1`, `item_2`"),
        ({"due": "2025-01-01"}, "due: .*greater than 2026-01-01"),
    ],
)
def test_another_form_is_invalid(change: dict[str, Any], said: str) -> None:
    """An answer of another form is refused with its path, also where its meaning could be guessed."""
    with pytest.raises(InvalidAnswer, match=said):
        parse_answer(json.dumps(SALE | change), output_form(Sale))


def test_alternatives_that_begin_alike_are_told_apart() -> None:
    """By their discriminator, which goes first, also of a model that contains itself; else by a property
    that they get on the way."""
    schema = output_form(Mixed).schema.schema
    assert strict_problem(schema) is None
    fields = schema["properties"]
    assert list(fields["told"]["anyOf"][0]["properties"]) == ["kind", "id", "text"]
    assert list(schema["$defs"]["Letter"]["properties"]) == ["kind", "id", "text", "answers"]
    tags = [each["properties"]["variant"]["enum"] for each in fields["alike"]["items"]["anyOf"][:2]]
    assert tags == [["Note"], ["Price"]]
    answer = {
        "told": {"kind": "letter", "id": 1, "text": "a", "answers": None},
        "alike": [{"variant": "Price", "id": 2, "text": "b", "amount": "3.5"}, None],
        "pairs": {"variant": "option_2", "item_1": "x", "item_2": 5},
    }
    jsonschema.validate(answer, schema)
    assert parse_answer(json.dumps(answer), output_form(Mixed)) == {
        "told": {"id": 1, "text": "a", "kind": "letter", "answers": None},
        "alike": [{"id": 2, "text": "b", "amount": "3.5"}, None],
        "pairs": ["x", 5],
    }


def test_a_deprecated_field_is_read_without_a_warning() -> None:
    """It is asked for and stored like any other; the warning is for those who write programs."""
    model = create_model("Old", old=(set[str], Field(deprecated=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_answer('{"old": ["b", "a"]}', output_form(model)) == {"old": ["a", "b"]}


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A page of things."""

    items: list[T]


class Tree(RootModel[dict[str, "Tree"]]):
    pass


class Either(RootModel[Node | Wide]):
    pass


def test_roots_that_are_no_objects_are_wrapped() -> None:
    """A list, a dict or a union at the root is asked for, stored and returned under `root`."""
    answer = {"root": [{"key": "a", "value": [{"key": "b", "value": []}]}]}
    assert parse_answer(json.dumps(answer), output_form(Tree)) == {"root": {"a": {"b": {}}}}
    for model in (Tree, Either, RootModel[list[int]]):
        schema = output_form(model).schema.schema
        assert strict_problem(schema) is None
        assert list(schema["properties"]) == ["root"]
        assert [column.name for column in output_columns(model)] == ["root"]
    assert output_columns(RootModel[list[int]])[0].sql_type == "BIGINT[]"


def test_generic_models_have_their_own_schemas() -> None:
    """A generic model is a model for each type it is used with."""
    schema = output_form(Page[Node]).schema
    assert schema.name == "Page_Node_"
    assert strict_problem(schema.schema) is None
    assert parse_answer('{"items": [3]}', output_form(Page[int])) == {"items": [3]}
