"""What stands in a component's YAML of models, limits and budget, and the resource it becomes.

A key is never written out: YAML names the variable that holds it, since Dagster stores and shows what
components hold.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import dagster as dg
from pydantic import ConfigDict, Field

from llm_assets.errors import ConfigurationError
from llm_assets.llm.models import Limits, ModelConfig, RetryConfig
from llm_assets.orchestration.component_errors import Misfit, refused, with_its_line
from llm_assets.orchestration.component_fields import described, located
from llm_assets.orchestration.component_schema import Entry, Text
from llm_assets.orchestration.component_templates import Templated
from llm_assets.orchestration.resource import OpenAIResource
from llm_assets.orchestration.settings import DEFAULT_CHAT_CHAIN, DEFAULT_TRANSCRIPTION_CHAIN


def as_in_the_resource(name: str, examples: list[Any]) -> Any:
    return described(OpenAIResource.model_fields[name].description or "", examples)


def a_chain_as_in_the_resource(name: str, examples: list[Any], *, least: int = 1) -> Any:
    return a_chain(OpenAIResource.model_fields[name].description or "", examples, least=least)


def a_chain(description: str, examples: list[Any], *, least: int = 1) -> Any:
    return dg.Resolver(
        partial(_chain, least),
        model_field_type=list[str | Entry],
        description=description,
        examples=examples,
    )


def _chain(least: int, context: dg.ResolutionContext, value: Any) -> list[Any]:
    """The entries as they are, each tried by itself, so that an error is that of its line."""
    entries: list[Any] = context.resolve_value(value)
    for index, entry in enumerate(entries):
        _entry(context.at_path(index), entry)
    if len(entries) < least:
        raise refused(context, Misfit("it names no model: give it at least one"))
    return entries


@with_its_line
def _entry(_: dg.ResolutionContext, entry: Any) -> None:
    if isinstance(entry, dict):
        # What a variable holds is of no interest while the project loads.
        fields = cast("dict[str, Any]", entry)
        ModelConfig.of({name: value for name, value in fields.items() if not _is_reference(value)})
    else:
        ModelConfig.of(entry)


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {"env"}


class EnvReference(dg.Model):
    """The environment variable that holds a value."""

    env: str = Field(description="Name of the variable.", examples=["OPENAI_API_KEY"], pattern=r"^\w+$")


@with_its_line
def _env_var(_: dg.ResolutionContext, value: Any) -> dg.EnvVar:
    if not isinstance(value, EnvReference):
        raise ConfigurationError("name the variable that holds it, as in {env: OPENAI_API_KEY}")
    return dg.EnvVar(value.env)


def _env_var_or_text(context: dg.ResolutionContext, value: Any) -> str:
    return _env_var(context, value) if isinstance(value, EnvReference) else context.resolve_value(value)


def _key(variable: str, description: str) -> Any:
    # A text comes as far as the resolver, which says what to write in its place.
    return dg.Resolver(
        _env_var, model_field_type=EnvReference | Text, description=description, examples=[{"env": variable}]
    )


class BudgetFields(Templated):
    """What may be spent."""

    usd_per_run: Annotated[int | float | str | None, described("US dollars a run may spend.", ["2.50"])] = (
        None
    )
    usd_per_day: Annotated[
        int | float | str | None, described("US dollars all runs of a day may spend.", ["20"])
    ] = None
    tokens_per_run: Annotated[
        int | None, Field(ge=0), described("Input and output tokens of a run.", [1000000])
    ] = None
    tokens_per_day: Annotated[
        int | None, Field(ge=0), described("Input and output tokens of a day.", [10000000])
    ] = None
    warn_at: Annotated[
        float, Field(gt=0, le=1), described("Share of a cap from which it is said.", [0.5])
    ] = 0.8
    when_exceeded: Annotated[
        Literal["downgrade", "stop"], described("Cheaper models first, or stop at once.", ["stop"])
    ] = "downgrade"
    allow_unknown_prices: Annotated[bool, described("Ask models whose price is not known.", [True])] = False

    def values(self) -> dict[str, Any]:
        """As the resource takes it. Dollars are text: a binary fraction is not the amount that was set."""
        given = self.model_dump(exclude_none=True)
        return {name: str(value) if name.startswith("usd") else value for name, value in given.items()}


class LimitFields(Limits, Templated):
    """What a provider allows for a model; what is not said is learned from its answers."""


class RetryFields(RetryConfig, Templated):
    """How often and how long a call is tried again."""


class OpenAIFields(Templated):
    """The models that are asked, within limits and budget; fields as of OpenAIResource."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    api_key: Annotated[
        dg.EnvVar,
        _key("OPENAI_API_KEY", "The variable with OpenAI's key. With a base URL: not needed."),
    ] = dg.EnvVar("OPENAI_API_KEY")
    base_url: Annotated[
        str,
        dg.Resolver(
            _env_var_or_text,
            model_field_type=EnvReference | Text,
            description="Any OpenAI-compatible server with its /v1, or the variable that names it.",
            examples=["http://localhost:8000/v1", {"env": "OPENAI_BASE_URL"}],
        ),
    ] = dg.EnvVar("OPENAI_BASE_URL")
    anthropic_api_key: Annotated[
        dg.EnvVar, _key("ANTHROPIC_API_KEY", "The variable with Anthropic's key, for models named claude-….")
    ] = dg.EnvVar("ANTHROPIC_API_KEY")
    transcription: Annotated[
        list[str | dict[str, Any]], a_chain_as_in_the_resource("transcription", [["gpt-transcribe"]])
    ] = list(DEFAULT_TRANSCRIPTION_CHAIN)
    chat: Annotated[
        list[str | dict[str, Any]], a_chain_as_in_the_resource("chat", [["gpt-6-luna", "cached"]], least=0)
    ] = list(DEFAULT_CHAT_CHAIN)
    limits: Annotated[
        dict[str, LimitFields], as_in_the_resource("limits", [{"gpt-6-luna": {"requests_per_minute": 5000}}])
    ] = {}
    budget: Annotated[
        BudgetFields, described("What may be spent.", [{"usd_per_day": "20", "when_exceeded": "stop"}])
    ] = BudgetFields()
    retry: Annotated[RetryFields, as_in_the_resource("retry", [{"max_attempts": 8}])] = RetryFields()
    max_concurrency: Annotated[int, Field(ge=1), as_in_the_resource("max_concurrency", [64])] = 256
    headroom: Annotated[float, Field(ge=0, lt=1), as_in_the_resource("headroom", [0.1])] = 0.0
    state: Annotated[
        str,
        dg.Resolver(
            _env_var_or_text,
            model_field_type=EnvReference | Text,
            description="Journal, budget and limits: a SQLite file below the project, or the variable with a "
            "database URL.",
            examples=["data/state.sqlite", {"env": "LLM_ASSETS_STATE"}],
        ),
    ] = "data/state.sqlite"
    quota: Annotated[
        dg.EnvVar | None,
        _key("LLM_ASSETS_QUOTA", "The variable with a Redis URL, for limits and budget of several machines."),
    ] = None

    def resource(self, project_root: Path, timezone: str) -> OpenAIResource:
        """The resource, paths taken from the project's root. Raises ConfigurationError."""
        given: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        given["limits"] = {name: limits.model_dump(exclude_none=True) for name, limits in self.limits.items()}
        given["budget"] = self.budget.values()
        given["retry"] = self.retry.model_dump(exclude_unset=True)
        if not isinstance(self.state, dg.EnvVar):
            given["state"] = located(project_root, self.state)
        return OpenAIResource(**given, timezone=timezone)
