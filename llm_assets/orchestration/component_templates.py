"""Templates in a component's YAML: every field may be one (`"{{ env.CALLS_A_DAY }}"`), bounded numbers too.

Dagster holds a bound against the text of a template, before there is a number. Here bounds are for
numbers alone, and what a template gives is held against them afterwards, with the field and its line.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Union, get_args

import dagster as dg
from dagster.components.resolved.errors import ResolutionException
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from llm_assets.orchestration.component_errors import refused

_NUMBERS = (int, float)


class Templated(dg.Model, dg.Resolvable):
    """Fields of which each may be a template in YAML."""

    # A variable that holds digits is a number to Dagster, also where a name is wanted.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    @classmethod
    def model(cls) -> type[BaseModel]:
        return _with_bounds_for_numbers(super().model())

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Any:
        try:
            return super().resolve_from_model(context, model)
        except ValidationError as error:
            raise refused(context, error) from None
        except ResolutionException as error:
            # Dagster prints the frames below it, and where we looked at a field says nothing to a reader.
            raise error.with_traceback(None) from None


@cache
def _with_bounds_for_numbers(model: type[BaseModel]) -> type[BaseModel]:
    bounded = {name: info for name, info in model.model_fields.items() if _bounds(info)}
    if not bounded:
        return model
    fields: dict[str, Any] = {name: _field(info) for name, info in model.model_fields.items()}
    rebuilt = create_model(model.__name__, __base__=dg.Model, __module__=model.__module__, **fields)
    rebuilt.__doc__ = model.__doc__
    rebuilt.model_config |= model.model_config
    return rebuilt


def _field(info: FieldInfo) -> tuple[Any, Any]:
    bounds = _bounds(info)
    options = get_args(info.annotation) if bounds else ()
    if not options:
        return (info.annotation, info)
    bounded = [Annotated[each, *bounds] if each in _NUMBERS else each for each in options]
    rest = FieldInfo(
        default=info.default, description=info.description, examples=info.examples, title=info.title
    )
    return (Union[tuple(bounded)], rest)  # noqa: UP007  (as many options as there are)


def _bounds(info: FieldInfo) -> list[Any]:
    return [each for each in info.metadata if not isinstance(each, dg.Resolver)]
