"""A string that matches a regular expression, the shortest and plainest that its structure suggests.

Walks the tree that Python's own `re` compiles from. Look-around, conditions and back references to
groups that were not passed give no string; the caller checks the result with `re` in any case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

# The parser behind `re` has no public name since Python 3.11 deprecated `sre_parse`.
_parse: Callable[[str], Any] = import_module("re._parser").parse

_PLAIN = "a0A _-.1b"
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_MAX_LENGTH = 10_000


def string_for(pattern: str) -> str | None:
    """A string in which `pattern` is found, None when none was made."""
    try:
        text = _Maker().sequence(_parse(pattern))
    except (re.error, KeyError, RecursionError, OverflowError, MemoryError):
        return None
    return text if len(text) <= _MAX_LENGTH and re.search(pattern, text) else None


class _Maker:
    """Remembers what groups became, for back references."""

    def __init__(self) -> None:
        self._groups: dict[int, str] = {}

    def sequence(self, parts: Iterable[tuple[Any, Any]]) -> str:
        return "".join(self._part(str(operation), argument) for operation, argument in parts)

    def _part(self, operation: str, argument: Any) -> str:
        if operation in ("AT",):
            return ""
        if operation == "LITERAL":
            return chr(argument)
        if operation == "ANY":
            return "a"
        if operation == "NOT_LITERAL":
            return _first(lambda character: ord(character) != argument)
        if operation == "IN":
            return _member(argument)
        if operation == "BRANCH":
            return self.sequence(argument[1][0])
        if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return self._repeated(*argument)
        if operation == "SUBPATTERN":
            return self._group(argument[0], argument[-1])
        if operation == "ATOMIC_GROUP":
            return self.sequence(argument)
        if operation == "GROUPREF":
            return self._groups[argument]
        raise KeyError(operation)

    def _repeated(self, least: int, most: int, part: Any) -> str:
        if least > _MAX_LENGTH:
            raise OverflowError
        return self.sequence(part) * least

    def _group(self, number: int | None, parts: Any) -> str:
        text = self.sequence(parts)
        if number is not None:
            self._groups[number] = text
        return text


def _member(members: list[tuple[Any, Any]]) -> str:
    """A character of a class such as `[a-z]`; of a negated one, the first plain character outside."""
    named = [(str(operation), argument) for operation, argument in members]
    if named[0][0] == "NEGATE":
        return _first(lambda character: not any(_holds(*member, character) for member in named[1:]))
    operation, argument = named[0]
    if operation == "LITERAL":
        return chr(argument)
    if operation == "RANGE":
        return chr(argument[0])
    return _first(lambda character: _holds(operation, argument, character))


def _holds(operation: str, argument: Any, character: str) -> bool:
    if operation == "LITERAL":
        return ord(character) == argument
    if operation == "RANGE":
        return argument[0] <= ord(character) <= argument[1]
    return re.match(_CATEGORIES[str(argument)], character) is not None


def _first(accepts: Callable[[str], bool]) -> str:
    """The first plain character that fits, else the first of Latin-1."""
    for character in [*_PLAIN, *map(chr, range(33, 256))]:
        if accepts(character):
            return character
    raise KeyError("no character fits")
