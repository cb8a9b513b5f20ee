"""Of the errors about a component's attributes those that were meant.

To Dagster every field is a union of its type and a text, which may be a template. Pydantic tells of each
branch why it does not fit, and names the branches among the fields, so that no line is found. Here a
mapping that was given is held to the mapping's fields alone, and errors lead to the very field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails

Path = tuple[str | int, ...]


class _Problem(NamedTuple):
    path: Path
    branches: tuple[str, ...]
    details: ErrorDetails


def of_what_was_meant(model: type[BaseModel], value: Any, error: ValidationError) -> ValidationError:
    """The same error with less in it. What unknown fields hold is not told: it may be a key."""
    found = [_problem(value, each) for each in error.errors(include_url=False)]
    names = {name: list(each.get("properties", {})) for name, each in _parts(model).items()}
    told: dict[Path, InitErrorDetails] = {}
    instead: set[Path] = set()
    for each in _meant(found):
        told[each.path] = _told(each)
        if each.details["type"] == "extra_forbidden":
            unknown = str(each.path[-1])
            known = _known(each, names) or list(model.model_fields)
            close = get_close_matches(unknown, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            told[each.path] = _because(f"unknown field {unknown!r}: {hint}", each.path, unknown)
            instead |= {(*each.path[:-1], name) for name in close}
    missing = {each.path for each in found if each.details["type"] == "missing"} & instead
    return ValidationError.from_exception_data(
        error.title, [each for path, each in told.items() if path not in missing]
    )


def _problem(value: Any, details: ErrorDetails) -> _Problem:
    """Pydantic's location, told apart: fields of the value, and branches of unions."""
    path: list[str | int] = []
    branches: list[str] = []
    *_, last = enumerate(details["loc"])
    for place in enumerate(details["loc"]):
        part = place[1]
        if (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int)):
            value = cast("Any", value)[part]
            path.append(part)
        elif details["type"] == "missing" and place == last:
            path.append(part)
        else:
            branches.append(str(part))
    return _Problem(tuple(path), tuple(branches), details)


def _meant(found: list[_Problem]) -> Iterable[_Problem]:
    """Whose fields were looked at was meant, and a text was not where there is another branch."""
    by_path: dict[Path, list[_Problem]] = {}
    for each in found:
        by_path.setdefault(each.path, []).append(each)
    for path, group in by_path.items():
        deeper = any(len(other) > len(path) and other[: len(path)] == path for other in by_path)
        others = [each for each in group if each.details["type"] != "string_type"]
        if not (deeper and all(each.details["type"].endswith("_type") for each in group)):
            yield (others or group)[0]


def _told(problem: _Problem) -> InitErrorDetails:
    details = problem.details
    if details["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return _because("it is a mapping of fields", problem.path, details["input"])
    return InitErrorDetails(
        type=details["type"], loc=problem.path, input=details["input"], ctx=details.get("ctx", {})
    )


def _because(said: str, path: Path, shown: Any) -> InitErrorDetails:
    # Dagster makes the error once more, and knows no types but Pydantic's own.
    return InitErrorDetails(type="value_error", loc=path, input=shown, ctx={"error": ValueError(said)})


def _known(problem: _Problem, names: dict[str, list[str]]) -> list[str]:
    words = [word for branch in problem.branches for word in re.findall(r"\w+", branch)]
    return next((names[word] for word in reversed(words) if word in names), [])


def _parts(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema().get("$defs", {})
