"""Any output model a user may write: strict mode takes its schema, and answers come back exactly."""

from __future__ import annotations

import json
import tempfile
from datetime import date
from decimal import Decimal
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
from llm_assets.orchestration.rows import rows_of
from llm_assets.warehouse.frames import rows
from llm_assets.warehouse.read import read_partition
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import Column, insights_table
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
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_value_comes_back_from_its_table(drawn: Drawn) -> None:
    """Value to answer to table to value, for a table made from any model; written again it stays the same."""
    model, _, answer = drawn
    output = parse_answer(json.dumps(answer), form_of(model))
    columns = [Column(column.name, column.sql_type, "") for column in output_columns(model)]
    table = insights_table("found", columns)
    day = date(2026, 3, 2)
    keys = {"partition_date": day, "recording_id": "a", "status": "ok"}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/found.duckdb"
        replace_partition(path, table, [day], rows_of(table, [keys | output]))
        again = read_partition(path, table, [day])
        (row,) = rows(again)
        replace_partition(path, table, [day], again)
        assert read_partition(path, table, [day]).equals(again)
    for column in columns:
        assert is_same(row[column.name], output[column.name]), column


def is_same(stored: Any, written: Any) -> bool:
    """Whether what a table gives back is what the answer said. A key without a value is as good as none."""
    if isinstance(stored, dict) and isinstance(written, dict):
        return all(is_same(stored.get(key), written.get(key)) for key in stored.keys() | written.keys())
    if isinstance(stored, list) and isinstance(written, list):
        return len(stored) == len(written) and all(map(is_same, stored, written))
    if isinstance(stored, date):  # datetimes are dates too
        return stored == type(stored).fromisoformat(written)
    if isinstance(stored, Decimal):
        return stored == Decimal(str(written))
    return isinstance(stored, bool) == isinstance(written, bool) and stored == written


@given(models_with_values())
@MANY
def test_the_emulator_answers_every_model(drawn: Drawn) -> None:
    """The emulator's answer for a schema validates against it."""
    model, _, _ = drawn
    schema = form_of(model).schema.schema
    answer = json.loads(json_answer([("user", "Transcript:\nHello there.")], schema))
    jsonschema.Draft202012Validator(schema).validate(answer)
