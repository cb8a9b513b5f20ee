"""The extractors of a component's YAML; what is wrong with one is told of its very field."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from pydantic import BaseModel, Field

from llm_assets.errors import ConfigurationError
from llm_assets.insights.call_insights import CallInsights
from llm_assets.insights.prompts import (
    CALL_PROMPT,
    DEFAULT_MAX_OUTPUT_TOKENS,
    DEFAULT_REPAIRS,
    MOST_REPAIRS,
    Extractor,
)
from llm_assets.orchestration.assets import output_table
from llm_assets.orchestration.component_errors import Misfit, refused, with_its_line
from llm_assets.orchestration.component_fields import described
from llm_assets.orchestration.component_openai import a_chain
from llm_assets.orchestration.component_templates import Templated

# Beside what is looked at, so that an error is about that alone.
_ANY_PROMPT = "Anything."


class _AnyModel(BaseModel):
    anything: str


@with_its_line
def _extractor_name(context: dg.ResolutionContext, value: Any) -> str:
    name = str(context.resolve_value(value))
    output_table(Extractor(name, _AnyModel, _ANY_PROMPT))
    return name


@with_its_line
def _output_model(context: dg.ResolutionContext, value: Any) -> type[BaseModel]:
    model = _imported_model(str(context.resolve_value(value)))
    output_table(Extractor("any", model, _ANY_PROMPT))
    return model


@with_its_line
def _prompt(context: dg.ResolutionContext, value: Any) -> str:
    text = str(context.resolve_value(value))
    if "\n" not in text and text.endswith((".md", ".txt")):
        text = _prompt_file(dg.ComponentLoadContext.from_resolution_context(context).path, text)
    if not text.strip():
        raise ConfigurationError("the prompt is empty: say what to look for")
    return text


class ExtractorFields(Templated):
    """One way of reading transcripts: an asset and a table of its own."""

    name: Annotated[
        str,
        dg.Resolver(
            _extractor_name,
            model_field_type=str,
            description="Of the asset and the table.",
            examples=["complaints"],
        ),
    ]
    output_model: Annotated[
        type[BaseModel] | None,
        dg.Resolver(
            _output_model,
            model_field_type=str,
            description="The Pydantic model to fill, by its import path. Default, without a prompt: "
            "llm_assets.CallInsights, general facts about calls.",
            examples=["my_project.models.Complaint"],
        ),
    ] = None
    prompt: Annotated[
        str | None,
        dg.Resolver(
            _prompt,
            model_field_type=str,
            description="What to look for, or the name of a text file beside this YAML (….md or ….txt). "
            "Default, without an output_model: the prompt of llm_assets.CallInsights.",
            examples=["List what the caller complains of.", "complaints.md"],
        ),
    ] = None
    max_output_tokens: Annotated[
        int | None, Field(ge=1), described("The most tokens of an answer.", [800])
    ] = DEFAULT_MAX_OUTPUT_TOKENS
    chain: Annotated[
        list[str | dict[str, Any]] | None,
        a_chain("The models for this extractor alone, instead of the resource's chat.", [["gpt-6-luna"]]),
    ] = None
    repairs: Annotated[
        int,
        Field(ge=0, le=MOST_REPAIRS),
        described("How often a model is asked again with what was wrong with its answer.", [1]),
    ] = DEFAULT_REPAIRS

    def extractor(self) -> Extractor:
        """Raises ConfigurationError, for a chain that cannot work as a whole, and Misfit for a prompt without
        its output model or the other way round: one that is forgotten would be paid for with every call.
        """
        if (self.output_model is None) != (self.prompt is None):
            given, lacking = ("prompt", "output_model") if self.prompt else ("output_model", "prompt")
            raise Misfit(
                f"it is missing beside {given}: they belong together. Give both, or neither for the "
                "general facts about calls that come with the package",
                (lacking,),
            )
        return Extractor(
            name=self.name,
            output_model=self.output_model or CallInsights,
            prompt=self.prompt or CALL_PROMPT,
            max_output_tokens=self.max_output_tokens,
            chain=self.chain,
            repairs=self.repairs,
        )


def resolved_extractors(context: dg.ResolutionContext, value: Any) -> list[Extractor]:
    """All of a component. Those of one name are refused, with the line of the second."""
    found: list[Extractor] = []
    for index, each in enumerate(value):
        place = context.at_path(index)
        fields = ExtractorFields.resolve_from_model(place, each)
        try:
            extractor = fields.extractor()
        except Misfit as error:
            raise refused(place, error) from None
        except ConfigurationError as error:
            raise refused(place, Misfit(str(error), ("chain",))) from None
        if extractor.name in {other.name for other in found}:
            raise refused(place, Misfit(f"two extractors are called {extractor.name!r}", ("name",)))
        found.append(extractor)
    return found


def _imported_model(path: str) -> type[BaseModel]:
    module, _, name = path.replace(":", ".").rpartition(".")
    try:
        found: Any = getattr(import_module(module), name)
    except (ImportError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"{path!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise ConfigurationError(f"{path!r} is not a Pydantic model")
    return found


def _prompt_file(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"prompt file {name!r} cannot be read: {error.strerror}") from error
