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
        self._made: dict[int | tuple[int, ...], tuple[tuple[object, ...], T]] = {}

    def of(self, *objects: object) -> T:
        """What `make(*objects)` gave the first time."""
        key = id(objects[0]) if len(objects) == 1 else tuple(map(id, objects))
        known = self._made.get(key)
        if known is None:
            if len(self._made) >= _MOST_REMEMBERED:
                self._made.clear()
            known = self._made[key] = (objects, self._make(*objects))
        return known[1]
