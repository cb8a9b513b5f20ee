"""What is wrong in a component's YAML: each error names its field and shows its line, without a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

import dagster as dg
from dagster.components.resolved.errors import ResolutionException
from pydantic import ValidationError

from llm_assets.errors import ConfigurationError

Value = TypeVar("Value")
Place = tuple[str | int, ...]


class Misfit(ValueError):
    """What is wrong, and with which field below the one that is looked at."""

    def __init__(self, said: str, field: Place = ()) -> None:
        super().__init__(said, field)
        self.said, self.field = said, field

    def __str__(self) -> str:
        return self.said


def with_its_line(
    resolve: Callable[[dg.ResolutionContext, Any], Value],
) -> Callable[[dg.ResolutionContext, Any], Value]:
    """The same resolver, whose errors are those of the line that is resolved, or of a field below it."""

    @wraps(resolve)
    def resolved(context: dg.ResolutionContext, value: Any) -> Value:
        try:
            return resolve(context, value)
        except (ConfigurationError, ValueError) as error:
            raise refused(context, error) from None

    return resolved


def refused(context: dg.ResolutionContext, error: Exception) -> ResolutionException:
    """The error with its lines, where the YAML is known."""
    return ResolutionException("\n".join(_shown(context, *each) for each in _problems(error)))


def place_of(context: dg.ResolutionContext) -> str:
    """File and line of what is resolved, as an editor opens it; its name where the YAML is not known."""
    if context.source_position_tree is None:
        return _name([*context.path])
    found = context.source_position_tree.source_error([*context.path], "", value_error=False)
    return f"{found.file_name}:{found.start_line_no}"


def _problems(error: BaseException) -> Iterator[tuple[Place, str]]:
    if isinstance(error, ConfigurationError) and isinstance(error.__context__, ValidationError):
        error = error.__context__
    if not isinstance(error, ValidationError):
        yield getattr(error, "field", ()), str(error)
        return
    for each in error.errors(include_url=False):
        cause = each.get("ctx", {}).get("error")
        yield (*each["loc"], *getattr(cause, "field", ())), _said(each)


def _said(problem: Any) -> str:
    """What is wrong, without the value: a template may have read a key."""
    if problem["type"] != "value_error" and problem["input"] is None:
        return "it became nothing: is a variable that its template reads not set?"
    if problem["type"] == "extra_forbidden":
        return "there is no such field"
    return problem["msg"].removeprefix("Value error, ")


def _shown(context: dg.ResolutionContext, field: Place, said: str) -> str:
    path = [*context.path, *field]
    text = f"{_name(path)}: {said}"
    if context.source_position_tree is None:
        return text
    found = context.source_position_tree.source_error(path, text, value_error=True)
    return f"{found.file_name}:{found.start_line_no} - {found.location}\n{found.snippet or text}\n"


def _name(path: list[str | int]) -> str:
    parts = path[1:] if path[:1] == ["attributes"] else path
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return name.removeprefix(".") or "attributes"
