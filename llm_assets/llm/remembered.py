"""What is the same for every call is made once: an encoded schema, the prices of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST_REMEMBERED = 64


class Remembered(Generic[T]):
    """What was made of some objects, kept under their identity: a schema is encoded once, not per call.

    The objects are kept alive with it, so that an identity is never reused for another object.
    """

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self._made: dict[int | tuple[int, int], tuple[tuple[object, ...], T]] = {}

    def of(self, one: object, *other: object) -> T:
        """What `make` gave the first time: for one object, or for two."""
        known = self._made.get((id(one), id(other[0])) if other else id(one))
        return self._make_it(one, *other) if known is None else known[1]

    def _make_it(self, *objects: object) -> T:
        if len(self._made) >= _MOST_REMEMBERED:
            self._made.clear()
        key = id(objects[0]) if len(objects) == 1 else (id(objects[0]), id(objects[1]))
        self._made[key] = made = (objects, self._make(*objects))
        return made[1]
