"""How values of an output model look in an answer, and the way back to what the model itself reads.

Strict mode knows no free keys and no tuples, so mappings travel as lists of entries and tuples as objects.
A value that is not of the expected form is left as it is for the model to refuse: nothing is put right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import to_json

from llm_assets.insights.json_schema import Schema

KEY, VALUE = "key", "value"

Fits = Callable[[Any], bool]
Restore = Callable[[Any, str], Any]


class WrongForm(ValueError):
    """A value that has no way back; the message starts with its path."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One node: its strict schema, whether a value is of its form, and the way back.

    `restore` is None where the model reads the value as it came. `is_mapping` tells entries from a list.
    """

    schema: Schema
    fits: Fits
    restore: Restore | None = None
    is_mapping: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    """A property of an object: its name in the answer, and the model's own name for it."""

    wire_name: str
    own_name: str
    wire: Wire
    is_omittable: bool = False


@dataclass(slots=True)
class Definitions:
    """Definitions that contain themselves: referred to before they are built."""

    built: dict[str, Wire] = field(default_factory=dict[str, Wire])

    def reference(self, name: str, schema: Schema, *, restores: bool) -> Wire:
        def fits(value: Any) -> bool:
            return self.built[name].fits(value)

        def restore(value: Any, path: str) -> Any:
            return _restored(self.built[name], value, path)

        return Wire(schema, fits, restore if restores else None)


def scalar(schema: Schema, kinds: Sequence[str]) -> Wire:
    types = {kind for name in kinds for kind in _TYPES[name]}
    return Wire(schema, lambda value: type(value) in types)


def enumeration(schema: Schema, values: list[Any]) -> Wire:
    known = {(type(value), value) for value in values}
    return Wire(schema, lambda value: type(value) in _SCALARS and (type(value), value) in known)


def array(schema: Schema, item: Wire) -> Wire:
    def restore(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            return value
        items = cast("list[Any]", value)
        return [_restored(item, each, f"{path}[{index}]") for index, each in enumerate(items)]

    return Wire(schema, lambda value: _each_fits(item, value), restore if item.restore else None)


def entries(schema: Schema, key: Wire, value: Wire) -> Wire:
    """A mapping as a list of objects with a key and a value. The same key twice is refused."""

    def fits(given: Any) -> bool:
        return isinstance(given, list) and all(
            _is_entry(each) and key.fits(each[KEY]) and value.fits(each[VALUE])
            for each in cast("list[Any]", given)
        )

    def restore(given: Any, path: str) -> Any:
        if not isinstance(given, list) or not all(map(_is_entry, cast("list[Any]", given))):
            raise WrongForm(f"{path}: must be a list of objects with `{KEY}` and `{VALUE}`")
        result: dict[str, Any] = {}
        for index, each in enumerate(cast("list[dict[str, Any]]", given)):
            name = _key_text(each[KEY])
            if name in result:
                raise WrongForm(f"{path}[{index}]: the key {name!r} is there already")
            result[name] = _restored(value, each[VALUE], f"{path}[{index}].{VALUE}")
        return result

    return Wire(schema, fits, restore, is_mapping=True)


def record(schema: Schema, properties: Sequence[Property]) -> Wire:
    """An object whose properties may have other names, or be null where the model leaves them out."""
    wires = {each.wire_name: each.wire for each in properties}

    def fits(value: Any) -> bool:
        return _has_fields(value, wires)

    if not any(
        each.wire.restore or each.is_omittable or each.wire_name != each.own_name for each in properties
    ):
        return Wire(schema, fits)

    by_name = {each.wire_name: each for each in properties}

    def restore(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            return value
        result: dict[str, Any] = {}
        for name, given in cast("dict[str, Any]", value).items():
            known = by_name.get(name)
            if known is None:
                result[name] = given
            elif not (known.is_omittable and given is None):
                result[known.own_name] = _restored(known.wire, given, f"{path}.{name}".lstrip("."))
        return result

    return Wire(schema, fits, restore)


def places(schema: Schema, properties: Sequence[Property]) -> Wire:
    """A tuple as an object with a property for each place."""
    wires = {each.wire_name: each.wire for each in properties}

    def restore(value: Any, path: str) -> Any:
        if not isinstance(value, dict) or value.keys() != wires.keys():
            raise WrongForm(f"{path}: must be an object with {', '.join(f'`{name}`' for name in wires)}")
        given = cast("dict[str, Any]", value)
        return [_restored(wire, given[name], f"{path}.{name}") for name, wire in wires.items()]

    return Wire(schema, lambda value: _has_fields(value, wires), restore)


def tagged(inner: Wire, name: str, tag: str) -> Wire:
    """An object that says in a property of its own, the first, which alternative it is."""
    told = {name: {"type": "string", "enum": [tag]}}
    schema = inner.schema | {
        "properties": told | inner.schema["properties"],
        "required": [name, *inner.schema["required"]],
    }

    def fits(value: Any) -> bool:
        return isinstance(value, dict) and value.get(name) == tag and inner.fits(without_tag(value))

    def without_tag(value: Any) -> Any:
        return {key: item for key, item in cast("dict[str, Any]", value).items() if key != name}

    def restore(value: Any, path: str) -> Any:
        return _restored(inner, without_tag(value), path) if isinstance(value, dict) else value

    return Wire(schema, fits, restore)


def union(schema: Schema, options: Sequence[Wire]) -> Wire:
    """The first alternative of whose form a value is says how it goes back."""

    def restore(value: Any, path: str) -> Any:
        fitting = next((option for option in options if option.fits(value)), None)
        return value if fitting is None else _restored(fitting, value, path)

    restores = any(option.restore for option in options)
    return Wire(
        schema, lambda value: any(option.fits(value) for option in options), restore if restores else None
    )


def _restored(wire: Wire, value: Any, path: str) -> Any:
    return value if wire.restore is None else wire.restore(value, path)


def _each_fits(item: Wire, value: Any) -> bool:
    return isinstance(value, list) and all(map(item.fits, cast("list[Any]", value)))


def _has_fields(value: Any, wires: Mapping[str, Wire]) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == wires.keys()
        and all(wire.fits(value[name]) for name, wire in wires.items())
    )


def _is_entry(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {KEY, VALUE}


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else to_json(key).decode()


_SCALARS = {str, int, float, bool, type(None)}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float), "null": (type(None),),
}  # fmt: skip
