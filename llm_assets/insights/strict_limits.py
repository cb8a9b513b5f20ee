"""How large a strict schema may be: a larger one would be refused with every call, so it is said before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llm_assets.errors import OutputModelError

MAX_PROPERTIES, MAX_LEVELS, MAX_ENUM_VALUES = 5_000, 10, 1_000
MAX_CHARACTERS = 120_000  # of all names and enum values together
MAX_ENUM_CHARACTERS, LARGE_ENUM_VALUES = 15_000, 250  # of one enum with more values than this


class StrictLimits:
    """Counts while a schema is built."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._properties = self._enum_values = self._characters = 0
        self._largest_enum = (0, "")

    def require_level(self, level: int, path: str) -> None:
        if level > MAX_LEVELS:
            raise OutputModelError(
                f"{path} is nested {level} levels deep, and strict mode takes {MAX_LEVELS}: flatten the model"
            )

    def add_properties(self, names: Iterable[str], path: str) -> None:
        listed = list(names)
        self._properties += len(listed)
        self._characters += sum(map(len, listed))
        if self._properties > MAX_PROPERTIES:
            raise OutputModelError(
                f"{self._model} has more than {MAX_PROPERTIES:,} properties in all, reached at {path}: "
                "strict mode takes no more; split it into several extractors"
            )

    def add_names(self, definitions: Iterable[str]) -> None:
        self._characters += sum(map(len, definitions))

    def add_enum(self, values: list[Any], path: str) -> None:
        size = sum(len(value) for value in values if isinstance(value, str))
        self._enum_values += len(values)
        self._characters += size
        self._largest_enum = max(self._largest_enum, (len(values), path))
        if len(values) > LARGE_ENUM_VALUES and size > MAX_ENUM_CHARACTERS:
            raise OutputModelError(
                f"{path} has {len(values)} members of {size:,} characters in all, and strict mode takes "
                f"{MAX_ENUM_CHARACTERS:,}: make it a text and check it with a validator"
            )

    def check(self) -> None:
        """What can only be said of the whole."""
        most, path = self._largest_enum
        if self._enum_values > MAX_ENUM_VALUES:
            raise OutputModelError(
                f"{self._model} has {self._enum_values:,} enum values in all, most of them ({most:,}) at "
                f"{path}, and strict mode takes {MAX_ENUM_VALUES:,}: make it a text and check it with a "
                "validator"
            )
        if self._characters > MAX_CHARACTERS:
            raise OutputModelError(
                f"{self._model} has names and enum values of {self._characters:,} characters in all, and "
                f"strict mode takes {MAX_CHARACTERS:,}: split it into several extractors"
            )
