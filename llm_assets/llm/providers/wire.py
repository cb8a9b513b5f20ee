"""JSON for the wire: written compactly, read with the distrust that answers from a network deserve.

Servers leave fields out, send null for a number, or send HTML; reading gives None or zero then, and the
caller decides whether that is still an answer.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from pydantic_core import from_json, to_json

# Known to hold anything: what narrows a type by a call costs a call.
_OBJECT: Any = dict
_LIST: Any = list
_MISSING: Any = None
# No count of tokens and no number of seconds of one answer comes near it.
_GREATEST_NUMBER = 10**9


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_DECODER = json.JSONDecoder()
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)


def encode_json(value: Any) -> bytes:
    """Compact UTF-8. Half a surrogate pair, which no UTF-8 can hold, becomes a question mark."""
    return _ENCODER.encode(value).encode("utf-8", "replace")


def encode_plain(value: Any) -> bytes:
    """The same for values without a Decimal in them, in a third of the time."""
    try:
        return to_json(value)
    except ValueError:  # half a surrogate pair
        return encode_json(value)


def decode_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body, None when it is anything else."""
    try:
        value = from_json(body)
    except ValueError:
        value = _decode_slowly(body)
    return value if isinstance(value, _OBJECT) else None


def _decode_slowly(body: bytes) -> Any:
    """What the quick one does not take: half a surrogate pair, and something around a whole object.

    The half becomes a question mark, for nobody could write it anywhere. What a proxy adds to an answer does
    not make it one that has to be asked for, and paid, again.
    """
    try:
        text = _text_of(body)
        value, _ = _DECODER.raw_decode(text, max(text.find("{"), 0))
        return from_json(encode_json(value))
    except (ValueError, RecursionError):
        return None


def _text_of(body: bytes) -> str:
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return body.decode("utf-8", "replace")


def object_in(container: dict[str, Any], name: str) -> dict[str, Any]:
    """The object called `name`, empty when it is missing or something else."""
    value = container.get(name, _MISSING)
    return value if isinstance(value, _OBJECT) else {}


def objects_in(container: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in the list called `name`; whatever else is in it is left out."""
    value = container.get(name, _MISSING)
    return [item for item in value if isinstance(item, _OBJECT)] if isinstance(value, _LIST) else []


def text_in(container: dict[str, Any], name: str) -> str | None:
    """The text called `name`, None when it is missing, empty or something else."""
    value = container.get(name)
    return value if isinstance(value, str) and value else None


def count_in(container: dict[str, Any], name: str) -> int:
    """The count called `name`, zero when it is missing or no count."""
    return (known_count_in(container, name) or 0) if container.get(name) else 0


def known_count_in(container: dict[str, Any], name: str) -> int | None:
    """The count called `name`, None when it is missing or no count that could be true."""
    value = container.get(name)
    if type(value) is int and 0 <= value <= _GREATEST_NUMBER:
        return value
    number = number_in(container, name)
    return None if number is None else int(number)


def number_in(container: dict[str, Any], name: str) -> float | None:
    """The number called `name`, None when it is missing, negative, beyond all reason or no number."""
    value = container.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= _GREATEST_NUMBER else None
