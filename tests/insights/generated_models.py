"""Hypothesis strategies for output models, each with a value of it and that value as an answer writes it.

The answers are written here from the types alone, by other code than the one under test.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

from hypothesis import strategies as st
from pydantic import BaseModel, Field, NaiveDatetime, RootModel, create_model
from typing_extensions import TypedDict


class Colour(StrEnum):
    RED = "red"
    BLUE = "dark blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 3


class Mixed(Enum):
    TEXT = "1"
    NUMBER = 1


class Leaf(BaseModel):
    kind: Literal["leaf"]
    size: int


class Branch(BaseModel):
    """Contains itself, by a name that travels under another one."""

    kind: Literal["branch"]
    inner: dict[str, Branch] = Field(validation_alias="what is inside", description="What grows here.")
    leaf: Leaf | None = None


class Point(NamedTuple):
    x: int
    label: str


class Loose(TypedDict):
    always: str
    sometimes: NotRequired[int]


class Wrapped(RootModel[list[Decimal]]):
    pass


@dataclass(frozen=True)
class Kind:
    """A type and pairs of a value and the same value in an answer."""

    annotation: Any
    pairs: st.SearchStrategy[tuple[Any, Any]]
    is_key: bool = False


def _same(annotation: Any, values: st.SearchStrategy[Any], *, is_key: bool = False) -> Kind:
    return Kind(annotation, values.map(lambda value: (value, value)), is_key)


def _written(
    annotation: Any, values: st.SearchStrategy[Any], write: Callable[[Any], Any], is_key: bool
) -> Kind:
    return Kind(annotation, values.map(lambda value: (value, write(value))), is_key)


TEXT = st.text(string.printable + "äß€中🙂", max_size=8)
WHOLE = st.integers(-(2**63), 2**63 - 1)
REAL = st.floats(allow_nan=False, allow_infinity=False)
OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(timezones=st.just(UTC) | OFFSETS).filter(lambda moment: 1900 < moment.year < 2100)
AMOUNTS = st.decimals(-(10**12), 10**12, places=3)
LENGTHS = st.integers(0, 10**6).map(lambda seconds: timedelta(seconds=seconds))
Fine = Annotated[Decimal, Field(max_digits=20, decimal_places=12)]
Recent = Annotated[date, Field(gt=date(2000, 1, 1))]
LEAVES = st.integers(0, 9).map(lambda size: (Leaf(kind="leaf", size=size), {"kind": "leaf", "size": size}))


def _branches(depth: int) -> st.SearchStrategy[tuple[Any, Any]]:
    if depth == 0:
        none = {"kind": "branch", "what_is_inside": [], "leaf": None}
        return st.just((Branch.model_validate({"kind": "branch", "what is inside": {}}), none))
    inner = st.dictionaries(TEXT, _branches(depth - 1), max_size=2)
    return st.tuples(inner, st.none() | LEAVES).map(_branch)


def _branch(drawn: tuple[dict[str, Any], Any]) -> tuple[Any, Any]:
    inner, leaf = drawn
    value = Branch.model_validate(
        {
            "kind": "branch",
            "what is inside": {name: pair[0] for name, pair in inner.items()},
            "leaf": leaf and leaf[0],
        }
    )
    entries = [{"key": name, "value": pair[1]} for name, pair in inner.items()]
    return value, {"kind": "branch", "what_is_inside": entries, "leaf": leaf and leaf[1]}


def _loose(drawn: tuple[str, int | None]) -> tuple[Any, Any]:
    always, sometimes = drawn
    value = {"always": always} | ({} if sometimes is None else {"sometimes": sometimes})
    return value, {"always": always, "sometimes": sometimes}


SCALARS = [
    _same(str, TEXT, is_key=True),
    _same(int, WHOLE),
    _same(float, REAL),
    _same(bool, st.booleans()),
    _same(Literal["a", "b c", 3], st.sampled_from(["a", "b c", 3])),
    _same(Annotated[str, Field(min_length=2, max_length=4)], st.text("abc", min_size=2, max_size=4)),
    _same(Annotated[int, Field(ge=0, lt=10, multiple_of=3)], st.sampled_from([0, 3, 6, 9])),
    _same(Annotated[str, Field(pattern=r"^[A-Z]{2}\b")], st.text("ABC", min_size=2, max_size=2)),
    _written(Colour, st.sampled_from(Colour), lambda value: value.value, True),
    _written(Level, st.sampled_from(Level), lambda value: value.value, True),
    _written(Mixed, st.sampled_from(Mixed), lambda value: value.value, False),
    _written(date, st.dates(), lambda value: value.isoformat(), True),
    _written(datetime, MOMENTS, lambda value: value.isoformat(), False),
    _written(NaiveDatetime, st.datetimes(), lambda value: value.isoformat(), False),
    _written(time, st.times(), lambda value: value.isoformat(), False),
    _written(timedelta, LENGTHS, lambda value: f"PT{value.total_seconds():.0f}S", False),
    _written(UUID, st.uuids(), str, True),
    _written(Decimal, AMOUNTS, lambda value: f"{value:f}", False),
    _written(Fine, AMOUNTS.map(lambda value: value / 10**7), lambda value: f"{value:f}", False),
    _written(Recent, st.dates(date(2000, 1, 2)), lambda value: value.isoformat(), False),
]  # fmt: skip
RECORDS = [
    Kind(Leaf, LEAVES),
    Kind(Branch, _branches(2)),
    Kind(Point, st.tuples(st.integers(0, 9), TEXT).map(lambda p: (Point(*p), {"x": p[0], "label": p[1]}))),
    Kind(Loose, st.tuples(TEXT, st.none() | st.integers(0, 9)).map(_loose)),
    Kind(Annotated[Leaf | Branch, Field(discriminator="kind")], LEAVES | _branches(1)),
    Kind(Wrapped, st.lists(AMOUNTS, max_size=2).map(lambda a: (Wrapped(a), [f"{each:f}" for each in a]))),
]


def _list_of(item: Kind) -> Kind:
    pairs = st.lists(item.pairs, max_size=3)
    return Kind(
        list[item.annotation], pairs.map(lambda drawn: ([v for v, _ in drawn], [w for _, w in drawn]))
    )


def _mapping_of(drawn: tuple[Kind, Kind]) -> Kind:
    key, value = drawn
    pairs = st.lists(st.tuples(key.pairs, value.pairs), max_size=3, unique_by=lambda pair: repr(pair[0][1]))
    return Kind(
        dict[key.annotation, value.annotation],
        pairs.map(
            lambda items: (
                {k[0]: v[0] for k, v in items},
                [{"key": k[1], "value": v[1]} for k, v in items],
            )
        ),
    )


def _optional(item: Kind) -> Kind:
    return Kind(
        item.annotation | None if isinstance(item.annotation, type) else _or_none(item.annotation),
        st.just((None, None)) | item.pairs,
    )


def _or_none(annotation: Any) -> Any:
    from typing import Optional

    return Optional[annotation]  # noqa: UP045 - Annotated types know no `|` here


def _tuple_of(items: list[Kind]) -> Kind:
    annotation = tuple.__class_getitem__(tuple(item.annotation for item in items))
    return Kind(
        annotation,
        st.tuples(*(item.pairs for item in items)).map(
            lambda drawn: (
                tuple(v for v, _ in drawn),
                {f"item_{number}": w for number, (_, w) in enumerate(drawn, 1)},
            )
        ),
    )


def _model_of(items: list[Kind]) -> Kind:
    model = model_of(items)
    return Kind(model, values_of(model, items))


def model_of(items: list[Kind]) -> type[BaseModel]:
    """A model with a field for each kind; every other field has an alias."""
    fields: dict[str, Any] = {
        f"field_{number}": (
            item.annotation,
            Field(validation_alias=f"Größe {number}") if number % 2 else Field(description="A field."),
        )
        for number, item in enumerate(items)
    }
    return create_model("Generated", **fields)


def values_of(model: type[BaseModel], items: list[Kind]) -> st.SearchStrategy[tuple[Any, Any]]:
    """Instances of the model, each with the answer that stands for it."""

    def made(drawn: tuple[tuple[Any, Any], ...]) -> tuple[Any, Any]:
        names = [(f"Größe {n}", f"Gr__e_{n}") if n % 2 else (f"field_{n}",) * 2 for n in range(len(items))]
        value = model.model_validate({own: pair[0] for (own, _), pair in zip(names, drawn, strict=True)})
        return value, {wire: pair[1] for (_, wire), pair in zip(names, drawn, strict=True)}

    return st.tuples(*(item.pairs for item in items)).map(made)


def _extended(inner: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    keys = st.sampled_from([kind for kind in SCALARS if kind.is_key])
    return st.one_of(
        inner.map(_list_of),
        inner.map(_optional),
        st.tuples(keys, inner).map(_mapping_of),
        st.lists(inner, min_size=1, max_size=3).map(_tuple_of),
        st.lists(inner, min_size=1, max_size=2).map(_model_of),
    )


KINDS = st.recursive(st.sampled_from(SCALARS + RECORDS), _extended, max_leaves=4)


@st.composite
def models_with_values(draw: st.DrawFn) -> tuple[type[BaseModel], Any, Any]:
    """An output model, an instance of it, and the answer that stands for it."""
    items = draw(st.lists(KINDS, min_size=1, max_size=4))
    model = model_of(items)
    value, answer = draw(values_of(model, items))
    return model, value, answer
