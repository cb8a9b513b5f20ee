"""Pydantic models as JSON schemas that strict structured output takes, and the way back from an answer.

What strict mode does not take is expressed in another way (mappings as lists of entries), or moved into the
description, for the model to read, and checked on our side when the answer comes, or refused when the
schema is built, naming the field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel

from llm_assets.insights.builder import ROOT, StrictBuilder
from llm_assets.insights.json_schema import VALUES, Schema, body_of, definitions_of, json_schema
from llm_assets.insights.wire import Wire
from llm_assets.llm.requests import OutputSchema


@dataclass(frozen=True)
class OutputForm:
    """How answers for an output model look: the schema that is asked for, and the way back."""

    model: type[BaseModel]
    schema: OutputSchema
    wire: Wire
    is_wrapped: bool

    def restored(self, answer: Any) -> Any:
        """The answer as the model reads it. Raises wire.WrongForm."""
        own = answer if self.wire.restore is None else self.wire.restore(answer, "")
        return cast("dict[str, Any]", own).get(ROOT) if self.is_wrapped and isinstance(own, dict) else own

    @cached_property
    def stored(self) -> Schema:
        """What the model gives, as JSON schema: what a row and its columns are made from."""
        return json_schema(self.model, "serialization")


def output_form(model: type[BaseModel]) -> OutputForm:
    """The strict schema of an output model and the way back from its answers.

    Raises OutputModelError that names the field strict mode cannot express, with what to do about it.
    """
    source = json_schema(model, "validation")
    builder = StrictBuilder(model.__name__, definitions_of(source))
    is_wrapped = not is_record(source)
    built = builder.wrapped(source) if is_wrapped else builder.root(source)
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", model.__name__)[:64]
    described_as = built.schema.get("description") or body_of(source).get("description")
    return OutputForm(model, OutputSchema(name, built.schema, described_as), built, is_wrapped)


def is_record(source: Schema) -> bool:
    """Whether a whole schema is an object with fields, which can stand at the root of a strict schema."""
    body = body_of(source)
    return body.get("type") == "object" and "properties" in body and VALUES not in body
