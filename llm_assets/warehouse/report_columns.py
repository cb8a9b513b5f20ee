"""Which columns of an output model's table say how people feel, what they talk about, and what was chosen.

An output model is anybody's, so its columns are known by name and type: a `sentiment` may be a word, a
number or a struct of both, `topics` a list of texts or of structs with a name. What is not there is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from llm_assets.warehouse.names import identifier
from llm_assets.warehouse.tables import insights_table
from llm_assets.warehouse.values import is_json, type_of

_SENTIMENT = ("sentiment", "mood", "emotion", "attitude", "satisfaction")
_TOPICS = ("topic", "theme", "subject", "tag", "keyword", "categor")
_NAMES = ("name", "label", "topic", "title", "value", "category")
_SCORES = ("score", "value", "strength", "rating")

_NUMBERS = ("double", "float", "decimal", "tinyint", "smallint", "integer", "bigint")
_CHOSEN = ("varchar", "boolean", "tinyint", "smallint", "integer", "bigint")
_FIXED = frozenset(column.name for column in insights_table("any", ()).columns)


@dataclass(frozen=True, slots=True)
class TopicsColumn:
    """`elements` is a list in SQL, `name` what names one of its elements, called `element`."""

    elements: str
    name: str


@dataclass(frozen=True, slots=True)
class AnswerColumns:
    """SQL expressions over an insights table, and the columns that could hold a choice among few values."""

    label: str | None
    score: str | None
    topics: TopicsColumn | None
    choices: tuple[str, ...]


def answer_columns(types: Mapping[str, str]) -> AnswerColumns:
    """What the columns of a table are good for; `types` are their SQL types by name, in order."""
    own = {name: sql_type for name, sql_type in types.items() if name not in _FIXED}
    feelings = _named(own, _SENTIMENT)
    labels = [expression for name in feelings if (expression := _label(name, own[name]))]
    scores = [expression for name in feelings if (expression := _score(name, own[name]))]
    subjects = [name for name in _named(own, _TOPICS) if name not in feelings]
    topics = [found for name in subjects if (found := _topics(name, own[name]))]
    # A category beside a list of topics is a choice, not another list.
    used = {*feelings, *(name for name in subjects if topics and topics[0].elements.strip("[]") == _q(name))}
    choices = (name for name, kind in own.items() if name not in used and _kind(kind) in _CHOSEN)
    return AnswerColumns(
        label=next(iter(labels), None),
        score=next(iter(scores), None),
        topics=next(iter(topics), None),
        choices=tuple(choices),
    )


def _named(types: Mapping[str, str], words: Iterable[str]) -> list[str]:
    """Columns that one of the words is part of; lists first, since `topics` says more than `topic`."""
    found = [name for name in types if any(word in name for word in words)]
    return sorted(found, key=lambda name: _kind(types[name]) != "list")


def _label(name: str, sql_type: str) -> str | None:
    if _kind(sql_type) == "struct":
        field = _field(sql_type, ("varchar",), _NAMES)
        return f"{_q(name)}.{_q(field)}" if field else None
    return _q(name) if _kind(sql_type) == "varchar" else None


def _score(name: str, sql_type: str) -> str | None:
    if _kind(sql_type) == "struct":
        field = _field(sql_type, _NUMBERS, _SCORES)
        return f"{_q(name)}.{_q(field)}" if field else None
    return _q(name) if _kind(sql_type) in _NUMBERS else None


def _topics(name: str, sql_type: str) -> TopicsColumn | None:
    if _kind(sql_type) == "varchar":
        return TopicsColumn(f"[{_q(name)}]", "element")
    if _kind(sql_type) != "list":
        return None
    element = str(type_of(sql_type).children[0][1])
    if _kind(element) == "varchar":
        return TopicsColumn(_q(name), "element")
    field = _field(element, ("varchar",), _NAMES) if _kind(element) == "struct" else None
    return TopicsColumn(_q(name), f"element.{_q(field)}") if field else None


def _field(sql_type: str, kinds: Iterable[str], preferred: Iterable[str]) -> str | None:
    """The field of a struct that has one of these types, by a preferred name if there is one."""
    fields = cast("list[tuple[str, Any]]", type_of(sql_type).children)
    fitting = [name for name, kind in fields if _kind(str(kind)) in kinds]
    by_name = (name for wanted in preferred for name in fitting if name.lower() == wanted)
    return next(by_name, fitting[0] if fitting else None)


def _kind(sql_type: str) -> str:
    parsed = type_of(sql_type)
    return "json" if is_json(parsed) else str(parsed.id)


def _q(name: str) -> str:
    return identifier(name)
