"""What Pydantic says about a model as JSON schema, with marks for what JSON schema has no words for.

Both the schema for the provider and the columns of the table are made from this one description. Marks
begin with `x-` and never leave this room.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import BaseModel, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from llm_assets.errors import OutputModelError

Schema = dict[str, Any]

DECIMAL_FORMAT = "decimal"
NAIVE_FORMAT = "date-time-without-zone"

IMPOSSIBLE = "x-impossible"
KEYS, VALUES = "x-keys", "x-values"  # of a mapping
PLACES = "x-places"  # the names of a tuple's places
OMITTABLE = "x-omittable"  # properties that are left out rather than null
BOUNDS, DIGITS, DECIMALS = "x-bounds", "x-digits", "x-decimals"

_DEFINITION = "#/$defs/"
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_NOW = {"past": "in the past", "future": "in the future"}


class _Generator(GenerateJsonSchema):
    """Decimals are strings of digits: Pydantic's own pattern for them uses look-ahead, which strict mode
    does not know, and a JSON number would go through a binary fraction."""

    # Said once, with the field's path, by whoever goes through the schema.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - Pydantic's own form

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {IMPOSSIBLE: error_info}

    def model_field_schema(self, schema: core_schema.ModelField) -> JsonSchemaValue:
        alias = schema.get("validation_alias")
        if self.mode == "validation" and isinstance(alias, list) and not _has_plain_name(alias):
            return {IMPOSSIBLE: "an AliasPath; give it an alias that is a plain name"}
        return super().model_field_schema(schema)

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        facts: Schema = {"type": "string", "format": DECIMAL_FORMAT} | _bounds(schema)
        digits, decimals = schema.get("max_digits"), schema.get("decimal_places")
        if digits is not None and decimals is not None:
            facts |= {DIGITS: digits, DECIMALS: decimals}
        return facts

    def date_schema(self, schema: core_schema.DateSchema) -> JsonSchemaValue:
        return super().date_schema(schema) | _bounds(schema)

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        # The format `time` of JSON schema demands an offset, which nobody says of a time of day.
        plain = super().time_schema(schema)
        return (
            {key: value for key, value in plain.items() if key != "format"}
            | {"format": "time-of-day"}
            | (_bounds(schema))
        )

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        facts = super().datetime_schema(schema) | _bounds(schema)
        return facts | ({"format": NAIVE_FORMAT} if schema.get("tz_constraint") == "naive" else {})

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return super().timedelta_schema(schema) | _bounds(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        sides = {KEYS: schema.get("keys_schema"), VALUES: schema.get("values_schema")}
        inner = {name: self.generate_inner(side) if side else {} for name, side in sides.items()}
        return super().dict_schema(schema) | inner

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        facts = super().typed_dict_schema(schema)
        required = facts.get("required", [])
        return facts | {OMITTABLE: [name for name in facts.get("properties", {}) if name not in required]}

    def p_arguments_schema(
        self, arguments: list[core_schema.ArgumentsParameter], var_args_schema: CoreSchema | None
    ) -> JsonSchemaValue:
        places = [self.get_argument_name(argument) for argument in arguments]
        return super().p_arguments_schema(arguments, var_args_schema) | {PLACES: places}

    def named_tuple_schema(self, schema: Any) -> JsonSchemaValue:
        # Older versions of Pydantic describe a named tuple as the arguments of a call, see above.
        return super().named_tuple_schema(schema) | {PLACES: [field["name"] for field in schema["fields"]]}


def _has_plain_name(alias: list[Any]) -> bool:
    """Of several aliases Pydantic names the first that is no path."""
    return any(isinstance(path, list) and [type(step) for step in path] == [str] for path in alias)


def _bounds(schema: Mapping[str, Any]) -> Schema:
    said = [f"{words} {schema[key]}" for key, words in _BOUNDS.items() if key in schema]
    said += [words for key, words in _NOW.items() if schema.get("now_op") == key]
    return {BOUNDS: ", ".join(said)} if said else {}


def json_schema(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> Schema:
    """The JSON schema of what the model takes (`validation`) or gives (`serialization`).

    What no JSON schema can express stands in it under the mark IMPOSSIBLE. Raises OutputModelError when
    Pydantic cannot describe the model at all.
    """
    try:
        return model.model_json_schema(by_alias=mode == "validation", mode=mode, schema_generator=_Generator)
    except PydanticUserError as error:
        raise OutputModelError(
            f"{model.__name__} cannot be expressed as a JSON schema: {error.message}"
        ) from error


def definitions_of(source: Schema) -> dict[str, Schema]:
    """The definitions of a whole schema by their names."""
    return cast("dict[str, Schema]", source.get("$defs", {}))


def referred(node: Schema) -> str | None:
    """The name of the definition that a node refers to, None for a node that stands for itself."""
    return str(node["$ref"]).removeprefix(_DEFINITION) if "$ref" in node else None


def reference(name: str) -> Schema:
    return {"$ref": _DEFINITION + name}


def body_of(source: Schema) -> Schema:
    """The root of a whole schema, also where it is only a reference to a definition."""
    node, definitions = source, definitions_of(source)
    while (name := referred(node)) is not None:
        node = definitions[name]
    return node
