"""What Pydantic says about a model as JSON schema, with decimals told apart from text.

Both the schema for the provider and the columns of the table are made from this one description.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from llm_assets.errors import OutputModelError

Schema = dict[str, Any]

DECIMAL_FORMAT = "decimal"


class _Generator(GenerateJsonSchema):
    """Decimals are strings of digits: Pydantic's own pattern for them uses look-ahead, which strict mode
    does not know, and a JSON number would go through a binary fraction."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        facts: Schema = {"type": "string", "format": DECIMAL_FORMAT}
        digits, decimals = schema.get("max_digits"), schema.get("decimal_places")
        if digits is not None and decimals is not None:
            facts |= {"x-digits": digits, "x-decimals": decimals}
        bounds = {"least": "ge", "more than": "gt", "most": "le", "less than": "lt"}
        said = [f"{word} {schema[key]}" for word, key in bounds.items() if key in schema]
        return facts | ({"x-bounds": ", ".join(said)} if said else {})


def json_schema(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> Schema:
    """The JSON schema of what the model takes (`validation`) or gives (`serialization`).

    Raises OutputModelError that names the field which no JSON schema can express.
    """
    try:
        return model.model_json_schema(by_alias=mode == "validation", mode=mode, schema_generator=_Generator)
    except PydanticUserError as error:
        raise OutputModelError(
            f"{model.__name__}{_culprit(model)} cannot be expressed as a JSON schema: {error.message}"
        ) from error


def _culprit(model: type[BaseModel]) -> str:
    for name, field in model.model_fields.items():
        try:
            TypeAdapter[Any](cast(Any, field.annotation)).json_schema(schema_generator=_Generator)
        except PydanticUserError:
            return f".{name}"
    return ""
