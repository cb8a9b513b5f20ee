"""Every field of a component's YAML may be a template, and what it gives is held to the field's bounds."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from dagster.components.resolved.errors import ResolutionException

from llm_assets import AudioInsights
from llm_assets.orchestration import component_extractors, component_fields
from llm_assets.orchestration.component_templates import Templated

PARTS = [
    each
    for each in (vars(component_fields) | vars(component_extractors)).values()
    if isinstance(each, type) and issubclass(each, Templated) and each is not Templated
]
NEEDED: dict[str, Any] = {
    "root": "calls",
    "name": "complaints",
    "output_model": "llm_assets.CallInsights",
    "prompt": "Say it.",
    "recordings": "calls",
    "start_date": "2026-03-02",
}
# Without a default that could be read back.
VALUES: dict[str, Any] = {
    "usd_per_run": 2.5,
    "usd_per_day": 20,
    "tokens_per_run": 1000,
    "tokens_per_day": 1000,
    "requests_per_minute": 10,
    "requests_per_day": 10,
    "tokens_per_minute": 10,
    "fresh_within_hours": 30.0,
    "prefix": "sales",
    "group_name": "voice",
    "duckdb": "data/calls.duckdb",
}


def scalars(part: type[Templated]) -> dict[str, Any]:
    fields = {name: VALUES.get(name, info.default) for name, info in part.model_fields.items()}
    return {name: value for name, value in fields.items() if type(value) in (bool, int, float, str)}


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        pytest.param(part, name, value, id=f"{part.__name__}.{name}")
        for part in [AudioInsights, *PARTS]
        for name, value in scalars(part).items()
    ],
)
def test_a_scalar_may_be_a_template(part: type[Templated], name: str, value: Any) -> None:
    """It is what the template gives, in its own type, as if it had been written there."""
    needed = {field: NEEDED[field] for field, info in part.model_fields.items() if info.is_required()}
    written = "\n".join(f'{field}: "{text}"' for field, text in needed.items() if field != name)
    found = part.resolve_from_yaml(f'{written}\n{name}: "{{{{ it }}}}"', scope={"it": value})
    assert getattr(found, name) == value
    assert type(getattr(found, name)) is type(value)


@pytest.mark.parametrize(
    ("fields", "line", "field", "said"),
    [
        ("retries: '{{ env.FEW }}'", 2, "retries", "greater than or equal to 0"),
        ("retries: '{{ env.UNSET }}'", 2, "retries", "not set?"),
        ("timezone: '{{ env.UNSET }}'", 2, "timezone", "not set?"),
        ("report: '{{ env.WORD }}'", 2, "report", "valid boolean"),
        (
            "openai:\n  budget:\n    warn_at: '{{ env.MANY }}'",
            4,
            "openai.budget.warn_at",
            "less than or equal to 1",
        ),
        (
            "openai:\n  limits:\n    gpt-6-luna:\n      requests_per_minute: '{{ env.FEW }}'",
            5,
            "openai.limits.gpt-6-luna.requests_per_minute",
            "greater than 0",
        ),
        ("openai:\n  retry: {max_attempts: '{{ env.WORD }}'}", 3, "openai.retry.max_attempts", "integer"),
        ("schedule: {hour: '{{ env.MANY }}'}", 2, "schedule.hour", "less than or equal to 23"),
    ],
)
def test_what_a_template_gives_is_held_to_the_bounds(
    monkeypatch: pytest.MonkeyPatch, fields: str, line: int, field: str, said: str
) -> None:
    """With field and line, and without the value: it may be a key that was put in the wrong place."""
    for name, value in {"FEW": "-7", "MANY": "99", "WORD": "sk-secret"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ResolutionException) as caught:
        AudioInsights.resolve_from_yaml(f"recordings: calls\n{fields}\nstart_date: '2026-03-02'\n")
    text = str(caught.value)
    assert re.search(rf":{line} - .*\b{re.escape(field)}\n", text), text
    assert said in text
    assert "sk-secret" not in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("openai_key: openai\nopenai: {budget: {usd_per_day: 5}}", "openai has no effect beside openai_key"),
        ("io_manager_key: snowflake\nduckdb: data/a.duckdb", "duckdb has no effect beside io_manager_key"),
        ("io_manager_key: ours\nreport: true", "name with duckdb"),
    ],
)
def test_what_would_have_no_effect_is_refused(fields: str, said: str) -> None:
    """A budget that was written down and is not kept would be found out by the bill."""
    with pytest.raises(ResolutionException, match=said):
        AudioInsights.resolve_from_yaml(f"recordings: calls\nstart_date: '2026-03-02'\n{fields}\n")


def test_an_editor_sees_the_bounds_and_lets_templates_pass() -> None:
    """The schema holds numbers to their bounds and nothing else."""
    schema = AudioInsights.get_model_cls().model_json_schema()
    needed = {"recordings": "calls", "start_date": "2026-03-02"}
    for fits in (3, "{{ env.RETRIES }}"):
        jsonschema.validate(needed | {"retries": fits}, schema)
    for wrong in (-1, 1.5, "many"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(needed | {"retries": wrong}, schema)
