"""Any output model a user may write: strict mode takes its schema, and answers come back exactly."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from generated_models import models_with_values
from hypothesis import HealthCheck, assume, given, settings
from pydantic import BaseModel

from llm_assets.emulator.extraction.answer import json_answer
from llm_assets.emulator.schema.check import strict_problem
from llm_assets.errors import OutputModelError
from llm_assets.insights.answers import parse_answer
from llm_assets.insights.columns import output_columns
from llm_assets.insights.schema import OutputForm, output_form
from llm_assets.warehouse.values import text_of

MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
Drawn = tuple[type[BaseModel], BaseModel, Any]


def form_of(model: type[BaseModel]) -> OutputForm:
    """The form of a model; one that is nested too deeply for strict mode is not looked at further."""
    try:
        return output_form(model)
    except OutputModelError as error:
        assume("levels deep" not in str(error))
        raise


@given(models_with_values())
@MANY
def test_strict_mode_takes_every_schema(drawn: Drawn) -> None:
    """The schema keeps the strict rules, is valid JSON schema, and accepts the answer."""
    model, _, answer = drawn
    schema = form_of(model).schema.schema
    assert strict_problem(schema) is None
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(answer)


@given(models_with_values())
@MANY
def test_an_answer_comes_back_exactly(drawn: Drawn) -> None:
    """Value to answer to value: what the model gets is what was meant, in every field."""
    model, value, answer = drawn
    form = form_of(model)
    own = json.dumps(form.restored(json.loads(json.dumps(answer))))
    assert model.model_validate_json(own, strict=True) == value
    assert parse_answer(json.dumps(answer), form) == value.model_dump(mode="json")


@given(models_with_values())
@MANY
def test_an_answer_fits_its_columns(drawn: Drawn) -> None:
    """Every value of a valid answer is taken by the column made from the same model."""
    model, _, answer = drawn
    output = parse_answer(json.dumps(answer), form_of(model))
    columns = output_columns(model)
    assert list(output) == [column.name for column in columns]
    for column in columns:
        if output[column.name] is not None:
            assert isinstance(text_of(column.sql_type)(output[column.name]), str)


@given(models_with_values())
@MANY
def test_the_emulator_answers_every_model(drawn: Drawn) -> None:
    """The emulator's answer for a schema validates against it."""
    model, _, _ = drawn
    schema = form_of(model).schema.schema
    answer = json.loads(json_answer([("user", "Transcript:\nHello there.")], schema))
    jsonschema.Draft202012Validator(schema).validate(answer)
