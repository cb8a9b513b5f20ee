"""From what stands in a component's YAML to values: they are tried at once, so that what cannot work is
reported with its line.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from llm_assets.errors import ConfigurationError
from llm_assets.orchestration.component_errors import with_its_line
from llm_assets.orchestration.component_fields import CheckFields, RecordingFields
from llm_assets.orchestration.component_openai import OpenAIFields
from llm_assets.orchestration.settings import a_time_zone


@with_its_line
def the_recordings(context: dg.ResolutionContext, value: Any) -> RecordingFields:
    if isinstance(value, str):
        fields = RecordingFields(root=str(context.resolve_value(value)))
    else:
        fields = RecordingFields.resolve_from_model(context, value)
    fields.source(Path())
    return fields


@with_its_line
def a_day(context: dg.ResolutionContext, value: Any) -> date:
    resolved = context.resolve_value(value)
    try:
        return resolved if isinstance(resolved, date) else date.fromisoformat(str(resolved))
    except ValueError:
        raise ConfigurationError("it must be a day written as YYYY-MM-DD, such as 2026-03-02") from None


@with_its_line
def the_time_zone(context: dg.ResolutionContext, value: Any) -> str:
    return a_time_zone(context.resolve_value(value))


@with_its_line
def the_openai(context: dg.ResolutionContext, value: Any) -> OpenAIFields:
    fields = OpenAIFields.resolve_from_model(context, value)
    fields.resource(Path(), "UTC")
    return fields


@with_its_line
def a_name(context: dg.ResolutionContext, value: Any) -> str | None:
    resolved = context.resolve_value(value)
    if resolved is not None and not re.fullmatch(r"\w+", str(resolved), re.ASCII):
        raise ConfigurationError(f"{resolved!r} is no name for Dagster: use letters, digits and underscores")
    return None if resolved is None else str(resolved)


@with_its_line
def the_owners(context: dg.ResolutionContext, value: Any) -> list[str]:
    resolved: list[str] = context.resolve_value(value)
    for owner in resolved:
        try:
            dg.AssetSpec("any", owners=[owner])
        except dg.DagsterInvalidDefinitionError:
            raise ConfigurationError(
                f"{owner!r} is neither an address nor a team such as team:voice"
            ) from None
    return resolved


@with_its_line
def the_checks(context: dg.ResolutionContext, value: Any) -> CheckFields:
    fields = CheckFields.resolve_from_model(context, value)
    fields.limits()
    return fields
