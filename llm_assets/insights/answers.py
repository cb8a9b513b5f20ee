"""An answer's text as the output model's plain values, or the reason why it is none.

Nothing is put right here: a string is not read as a number, and a value that its column could not hold
makes the answer invalid, because storing it would change it. The reason is worded for the model that
has to answer again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import from_json, to_json

from llm_assets.insights.schema import ROOT, OutputForm
from llm_assets.insights.spoken import SpokenText
from llm_assets.insights.storable import unstorable
from llm_assets.insights.wire import WrongForm

_SHOWN_PROBLEMS = 10

# Servers without structured output put JSON into a fence; what is inside is the answer, as it is.
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(?P<inside>.*)\n\s*```\s*", re.DOTALL | re.IGNORECASE)


class InvalidAnswer(ValueError):
    """The answer is not JSON or not what the output model asks for."""


def parse_answer(text: str, form: OutputForm, spoken: SpokenText | None = None) -> dict[str, Any]:
    """The model's fields as plain JSON values. Raises InvalidAnswer, one problem a line.

    Validators of the output model find `spoken`, what was said, as `info.context["transcript"]`.
    """
    try:
        # JSON has no infinity, and what the columns hold has none either.
        answer = from_json(_inside(text), allow_inf_nan=False)
        own = to_json(form.restored(answer))
    except WrongForm as error:
        raise InvalidAnswer(str(error)) from error
    except ValueError as error:
        raise InvalidAnswer(f"Invalid JSON: {error}") from error
    context = {"transcript": spoken} if spoken is not None else None
    try:
        parsed = form.model.model_validate_json(own, strict=True, context=context)
    except ValidationError as error:
        raise InvalidAnswer(_listed(_told(error))) from error
    dumped: Any = _steady(parsed, parsed.model_dump(mode="json", by_alias=False))
    if problems := unstorable(form.stored, dumped):
        raise InvalidAnswer(_listed(problems))
    return {ROOT: dumped} if form.is_wrapped else dumped


def one_line(text: str) -> str:
    """A valid answer as one line of JSON, without a fence."""
    return to_json(from_json(_inside(text))).decode()


def _inside(text: str) -> str:
    fenced = _FENCE.fullmatch(text)
    return fenced["inside"] if fenced else text


def _told(error: ValidationError) -> list[str]:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return [f"{_path(problem['loc'])}{problem['msg']}" for problem in problems]


def _path(places: tuple[int | str, ...]) -> str:
    path = "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places)
    return f"{path.lstrip('.')}: " if path else ""


def _listed(problems: list[str]) -> str:
    more = len(problems) - _SHOWN_PROBLEMS
    return "\n".join([*problems[:_SHOWN_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])


def _of(value: BaseModel, name: str) -> Any:
    """A field as it is stored: reading a deprecated one by its name would warn of it."""
    return value.__dict__[name] if name in value.__dict__ else getattr(value, name, None)


def _steady(value: Any, dumped: Any) -> Any:
    """Sets in one order: theirs differs from process to process, and the same answer is the same row."""
    if isinstance(value, RootModel):
        return _steady(cast("RootModel[Any]", value).root, dumped)
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        fields = cast("dict[str, Any]", dumped)
        return {name: _steady(_of(value, name), item) for name, item in fields.items()}
    if isinstance(value, set | frozenset):
        return sorted(dumped, key=to_json)
    if isinstance(value, Mapping) and isinstance(dumped, dict):
        pairs = zip(
            cast("Mapping[Any, Any]", value).values(), cast("dict[str, Any]", dumped).items(), strict=False
        )
        return {name: _steady(item, written) for item, (name, written) in pairs}
    if isinstance(value, list | tuple) and isinstance(dumped, list):
        return [
            _steady(*pair) for pair in zip(cast("list[Any]", value), cast("list[Any]", dumped), strict=False)
        ]
    return dumped
