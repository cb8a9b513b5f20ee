"""The schema that `dg` holds YAML against, such that an error names the innermost line and field.

Dagster lets every field be a template in place of its value and says so as "any of these": what does not fit
is then reported at the outermost field, without the reason. Said as "if it is a template, else", the
reason and its line are found. What may be a plain text besides says so with `Text`.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, ValidationError, WithJsonSchema, model_validator

from llm_assets.llm.models import ModelConfig
from llm_assets.orchestration.component_unions import of_what_was_meant

Text = Annotated[str, Field(json_schema_extra={"minLength": 1})]

_MODEL_FIELDS = {
    name: {"description": each.description or name} for name, each in ModelConfig.model_fields.items()
}
Entry = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "properties": _MODEL_FIELDS,
            "required": ["model"],
            "additionalProperties": False,
        }
    ),
]

_TEXT = {"type": "string"}
_NONE = {"type": "null"}
_TEMPLATE = r"\{\{"


@cache
def with_precise_schema(model: type[BaseModel]) -> type[BaseModel]:
    """The same model, whose schema and errors lead to the innermost field."""

    def model_json_schema(cls: type[BaseModel], *args: Any, **options: Any) -> dict[str, Any]:
        return _precise(model.model_json_schema(*args, **options))

    def validated(cls: type[BaseModel], value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise of_what_was_meant(model, value, error) from None

    methods = {
        "__module__": model.__module__,
        "__doc__": model.__doc__,
        "validated": model_validator(mode="wrap")(cast("Any", classmethod(validated))),
        "model_json_schema": classmethod(model_json_schema),
    }
    return type(model.__name__, (model,), methods)


def _precise(schema: dict[str, Any]) -> dict[str, Any]:
    for each in (schema, *schema.get("$defs", {}).values()):
        for name, field in each.get("properties", {}).items():
            each["properties"][name] = _field(field)
    return schema


def _field(field: dict[str, Any]) -> dict[str, Any]:
    options = field.get("anyOf", [])
    others = [option for option in options if option.get("type") not in ("string", "null")]
    texts = [option for option in options if option.get("type") == "string"]
    if len(others) != 1 or not texts:
        return field
    nullable = ["null"] if _NONE in options else []
    passing: dict[str, Any] = {"type": ["string", *nullable]}
    if texts == [_TEXT]:
        passing["pattern"] = _TEMPLATE
    rest = {key: value for key, value in field.items() if key != "anyOf"}
    return rest | {"if": passing, "else": _items(others[0])}


def _items(schema: dict[str, Any]) -> dict[str, Any]:
    options = schema.get("items", {}).get("anyOf", [])
    others = [option for option in options if option != _TEXT]
    if len(others) != 1 or len(options) != 2:
        return schema
    return schema | {"items": {"if": _TEXT, "else": others[0]}}
