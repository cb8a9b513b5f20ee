"""Which schemas strict mode takes, and that every one of them gets a valid answer."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llm_assets.emulator.extraction.answer import json_answer
from llm_assets.emulator.schema.accepts import Unsatisfiable
from llm_assets.emulator.schema.check import strict_problem
from llm_assets.emulator.schema.pattern import string_for

TURNS = (("user", "Transcript:\n[0 00:00 customer] I want a refund, the phone is broken. This is terrible."),)


def object_of(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def answer(schema: dict[str, Any]) -> Any:
    value = json.loads(json_answer(TURNS, schema))
    jsonschema.Draft202012Validator(schema).validate(value)
    return value


# --- what strict mode refuses ---

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (
            {"type": "array", "items": TEXT},
            "In context=(), schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
        ),
        (
            {"anyOf": [object_of(a=TEXT)]},
            "In context=(), schema must be a JSON Schema of 'type: \"object\"', got 'type: \"anyOf\"'.",
        ),
        (
            {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
            "In context=(), 'additionalProperties' is required to be supplied and to be false.",
        ),
        (
            object_of(a=TEXT) | {"required": []},
            "In context=(), 'required' is required to be supplied and to be an array including every key in "
            "properties. Missing 'a'.",
        ),
        (
            object_of(a=TEXT) | {"required": ["a", "b"]},
            "In context=(), 'required' is required to be supplied and to be an array including every key in "
            "properties. Extra required key 'b' supplied.",
        ),
        (
            object_of(a=TEXT | {"default": "x"}),
            "In context=('properties', 'a'), 'default' is not permitted.",
        ),
        (
            object_of(a={"allOf": [TEXT]}),
            "In context=('properties', 'a'), 'allOf' is not permitted.",
        ),
        (
            object_of(a={"oneOf": [TEXT]}),
            "In context=('properties', 'a'), 'oneOf' is not permitted.",
        ),
        (
            object_of(a=TEXT | {"minLength": 1}),
            "In context=('properties', 'a'), 'minLength' is not permitted.",
        ),
        (
            object_of(a={"$ref": "#/$defs/b", "description": "x"}) | {"$defs": {"b": TEXT}},
            "In context=('properties', 'a'), $ref cannot have keywords {'description'}.",
        ),
        (
            object_of(a={"$ref": "#/$defs/c"}) | {"$defs": {"b": TEXT}},
            "In context=('properties', 'a'), reference '#/$defs/c' points to nothing.",
        ),
        (object_of(a={}), "In context=('properties', 'a'), schema must have a 'type' key."),
        (object_of(a={"type": "array"}), "In context=('properties', 'a'), array schema missing items."),
        (
            object_of(a=TEXT | {"format": "uri"}),
            "In context=('properties', 'a'), 'uri' is not a valid format.",
        ),
        (
            object_of(a=TEXT | {"pattern": "(?=x)"}),
            "In context=('properties', 'a'), '(?=x)' is not a valid pattern.",
        ),
        (
            object_of(a={"anyOf": [TEXT, {"type": "object", "properties": {}}]}),
            "In context=('properties', 'a', 'anyOf', '1'), 'additionalProperties' is required to be supplied "
            "and to be false.",
        ),
    ],
)
def test_strict_mode_says_where_and_what_is_wrong(schema: dict[str, Any], problem: str) -> None:
    """Each rule of strict mode is refused in OpenAI's words, with the place."""
    assert strict_problem(schema) == problem


def nested(levels: int) -> dict[str, Any]:
    return object_of(a=nested(levels - 1)) if levels > 1 else object_of(a=TEXT)


def test_strict_mode_counts_levels_properties_and_enum_values() -> None:
    """10 levels, 5,000 properties and 1,000 enum values pass; one more of either does not."""
    assert strict_problem(nested(9)) is None
    assert "levels of nesting" in str(strict_problem(nested(10)))
    assert strict_problem(object_of(**{f"p{index}": TEXT for index in range(5000)})) is None
    assert "5000" in str(strict_problem(object_of(**{f"p{index}": TEXT for index in range(5001)})))
    assert strict_problem(object_of(a={"type": "integer", "enum": list(range(1000))})) is None
    assert "1000" in str(strict_problem(object_of(a={"type": "integer", "enum": list(range(1001))})))


def test_strict_mode_counts_characters() -> None:
    """120,000 of all names and enum values together, 15,000 of a large enum."""
    wide = object_of(**{f"{number:0100}": TEXT for number in range(1200)})
    assert strict_problem(wide) is None
    assert "120000 total string length" in str(strict_problem(object_of(**wide["properties"], more=TEXT)))
    large = [f"{number:060}" for number in range(250)]
    assert strict_problem(object_of(a={"type": "string", "enum": large})) is None
    assert "15000" in str(strict_problem(object_of(a={"type": "string", "enum": [*large, "one"]})))


@pytest.mark.parametrize(
    ("firsts", "is_taken"),
    [
        ([{"a": TEXT}, {"b": TEXT, "a": TEXT}], True),
        ([{"a": TEXT}, {"a": TEXT, "b": TEXT}], False),
        ([{"a": {"type": "string", "enum": ["x"]}}, {"a": {"type": "string", "enum": ["y", "z"]}}], True),
        ([{"a": {"type": "string", "enum": ["x"]}}, {"a": {"type": "string", "const": "x"}}], False),
        ([{"a": {"type": "string", "enum": ["x"]}}, {"a": TEXT}], False),
    ],
)
def test_alternatives_are_told_apart_by_their_first_property(firsts: list[Any], is_taken: bool) -> None:
    """Two objects of a union that begin alike are refused, as reasoning models do."""
    problem = strict_problem(object_of(u={"anyOf": [object_of(**first) for first in firsts]}))
    assert (problem is None) == is_taken
    assert is_taken or "must not share identical first keys" in str(problem)


# --- every schema gets a valid answer ---

KNOWN_NAMES = "summary sentiment label score topics intent outcome action_items owner due entities name kind"
NAMES = st.sampled_from([*KNOWN_NAMES.split(), "language", "quotes", "confidence", "x", "y", "is_angry"])
PATTERNS = [
    r"^[a-z]{2}$",
    r"^\d{3}-\d{4}$",
    r"^(yes|no)$",
    r"^[^a-z\s]+$",
    r"[A-F0-9]{4,6}",
    r"^-?[0-9]+(\.[0-9]+)?$",
]
FORMATS = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number"]))}
    low = draw(st.none() | st.integers(-50, 50))
    if low is not None:
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = (low or 0) + draw(
            st.integers(12, 60)
        )
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.sampled_from([1, 2, 5, 0.5, 0.1]))
    return schema


SCALARS = st.one_of(
    numbers(),
    st.sampled_from(
        [{"type": "boolean"}, {"type": "null"}, {"type": "string"}, {"type": ["string", "null"]}]
    ),
    st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(FORMATS).map(lambda name: {"type": "string", "format": name}),
    st.lists(st.sampled_from(["positive", "negative", "refund", "high", "a b"]), min_size=1, unique=True).map(
        lambda values: {"type": "string", "enum": values}
    ),
    st.lists(st.integers(-3, 9), min_size=1, unique=True).map(
        lambda values: {"type": "integer", "enum": values}
    ),
    st.sampled_from([{"enum": ["x", None, 3]}, {"const": "only"}, {"type": ["integer", "null"]}]),
)
REFERENCES = st.sampled_from([{"$ref": "#/$defs/node"}, {"$ref": "#/$defs/leaf"}])


def extended(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.tuples(children, st.integers(0, 2), st.none() | st.integers(2, 4)).map(
        lambda drawn: (
            {"type": "array", "items": drawn[0], "minItems": drawn[1]}
            | ({} if drawn[2] is None else {"maxItems": drawn[2]})
        )
    )
    unions = st.lists(children, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    objects = st.dictionaries(NAMES, children, max_size=4).map(lambda properties: object_of(**properties))
    return lists | unions | objects


VALUES = st.recursive(SCALARS | REFERENCES, extended, max_leaves=8)


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    root = object_of(**draw(st.dictionaries(NAMES, VALUES, max_size=5)))
    node = object_of(
        name=draw(SCALARS),
        next={"anyOf": draw(st.permutations([{"$ref": "#/$defs/node"}, {"type": "null"}]))},
        children={"type": "array", "items": {"$ref": "#/$defs/node"}},
        leaf={"$ref": "#/$defs/leaf"},
    )
    return root | {"$defs": {"node": node, "leaf": draw(SCALARS)}}


@given(schemas())
@settings(max_examples=300, deadline=None)
def test_every_answer_validates_against_its_schema(schema: dict[str, Any]) -> None:
    """Enums, bounds, patterns, formats, unions, lists, references and recursion."""
    problem = strict_problem(schema)
    assume(problem is None or "identical first keys" not in problem)
    assert problem is None
    value = json.loads(json_answer(TURNS, schema))
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(value)


def test_recursion_ends() -> None:
    """A list of nodes that must not be empty is filled until it may be, and no further."""
    node = object_of(
        name=TEXT, next={"anyOf": [{"$ref": "#/$defs/node"}, object_of(end={"type": "boolean"})]}
    )
    value = answer(object_of(root={"$ref": "#/$defs/node"}) | {"$defs": {"node": node}})
    assert "end" in json.dumps(value)


def test_a_definition_that_must_contain_itself_is_refused() -> None:
    """No finite answer exists, so there is a clear error and no endless loop."""
    schema = object_of(root={"$ref": "#/$defs/node"}) | {
        "$defs": {"node": object_of(next={"$ref": "#/$defs/node"})}
    }
    with pytest.raises(Unsatisfiable, match="contain itself"):
        json_answer(TURNS, schema)


def test_an_answer_that_would_be_huge_is_refused() -> None:
    """A thousand times a thousand items are a clear error and not a full memory."""
    inner = {"type": "array", "items": TEXT, "minItems": 1000}
    with pytest.raises(Unsatisfiable):
        json_answer(TURNS, object_of(a={"type": "array", "items": inner, "minItems": 1000}))


@given(st.sampled_from([*PATTERNS, r"(a|b)\1", r"\w+@\w+\.com", r"x{3,}", r"[\d.]+", r".", r"[^\w]"]))
def test_patterns_become_strings_that_match(pattern: str) -> None:
    """The string that is made is checked with `re` itself."""
    assert string_for(pattern) is not None


def test_nullable_fields_that_nobody_knows_are_null() -> None:
    """Nothing is made up where the schema allows to say nothing."""
    schema = object_of(shoe_size={"anyOf": [{"type": "integer"}, {"type": "null"}]})
    assert answer(schema) == {"shoe_size": None}


def test_without_a_schema_the_one_in_the_instructions_is_followed() -> None:
    """Servers that only know `json_object` are told the schema in words; so is this one."""
    schema = object_of(sentiment={"type": "string", "enum": ["good", "bad"]}, intent=TEXT)
    told = ("system", f"Answer with one JSON object that satisfies this JSON schema:\n{json.dumps(schema)}")
    assert json.loads(json_answer((told, *TURNS), None)) == {"sentiment": "bad", "intent": "refund"}


KEYS: dict[str, Any] = {
    "texts": TEXT,
    "members": {"type": "string", "enum": ["red", "green", "blue"]},
    "numbers": {"type": "integer", "minimum": 3},
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("least", [0, 1, 3])
def test_a_mapping_has_no_key_twice(key: str, least: int) -> None:
    """Strict schemas write a mapping as a list of keys and values, which has to become one again."""
    entries = {"type": "array", "items": object_of(key=KEYS[key], value=TEXT), "minItems": least}
    found = answer(object_of(topics=entries))["topics"]
    keys = [entry["key"] for entry in found]
    assert len(keys) == len(set(keys)) >= least
