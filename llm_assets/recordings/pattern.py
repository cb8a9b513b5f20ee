"""Read the text of a pattern: names between slashes, each of plain text, wildcards and parts of a date.

Says what is wrong with a pattern by a ValueError. What the parts mean is told in `layout`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

_TOKEN = re.compile(
    r"\{date:(?P<date>[^{}]*)\}|(?P<wildcard>\*+|\?)|(?P<text>[^{}*?]+)|(?P<odd>.)", re.DOTALL
)
_DATE_PART = re.compile(r"%(?P<letter>.?)|(?P<text>[^%]+)", re.DOTALL)
_WILDCARDS = ("*", "**", "?")


@dataclass(frozen=True, slots=True)
class Token:
    """Plain text, a wildcard, or the letter of a part of a date."""

    kind: Literal["text", "wildcard", "date"]
    value: str

    @property
    def is_text(self) -> bool:
        return self.kind == "text"

    @property
    def is_date(self) -> bool:
        return self.kind == "date"


Segment = tuple[Token, ...]
"""One name of a path."""


def parsed(pattern: str, letters: frozenset[str]) -> tuple[Segment, ...]:
    """The names of a pattern, in whose dates these letters are known. Raises ValueError."""
    segments = tuple(_segments(_tokens(pattern, letters)))
    for segment in segments:
        _require_a_name(segment)
    return segments


def _tokens(pattern: str, letters: frozenset[str]) -> Iterator[Token]:
    for found in _TOKEN.finditer(pattern):
        value = found.group()
        if found["odd"]:
            raise ValueError(f"{value} has to be part of a date such as {{date:%Y-%m-%d}}")
        if found["text"]:
            yield Token("text", value)
        elif found["wildcard"] in _WILDCARDS:
            yield Token("wildcard", value)
        elif found["wildcard"]:
            raise ValueError(f"{value} is no wildcard; there are *, ** and ?")
        else:
            yield from _date_tokens(found["date"], letters)


def _date_tokens(form: str, letters: frozenset[str]) -> Iterator[Token]:
    for found in _DATE_PART.finditer(form):
        if found["text"]:
            yield Token("text", found["text"])
        elif found["letter"] in letters:
            yield Token("date", found["letter"])
        else:
            known = ", ".join(f"%{letter}" for letter in sorted(letters))
            raise ValueError(f"a date is made of {known}; {found.group()} is none of them")


def _segments(tokens: Iterable[Token]) -> Iterator[Segment]:
    segment: list[Token] = []
    for token in tokens:
        first, *others = token.value.split("/") if token.is_text else [token.value]
        if first:
            segment.append(Token(token.kind, first))
        for other in others:
            yield tuple(segment)
            segment = [Token("text", other)] if other else []
    yield tuple(segment)


def _require_a_name(segment: Segment) -> None:
    if not segment:
        raise ValueError("it has to be names with a slash between each two, and begins below the root")
    text = "".join(token.value for token in segment)
    if text.startswith("."):
        raise ValueError(f"{text} begins with a dot: it is hidden, or leads out of the root")
    if "\\" in text or "\0" in text:
        raise ValueError("names have slashes between them, and no backslash in them")
    if "[" in text:
        raise ValueError("[ is no wildcard; there are *, ** and ?")
    if len(segment) > 1 and any(token.value == "**" for token in segment):
        raise ValueError("** stands alone between two slashes; within a name it is *")
