"""Hypothesis strategies for output models, each with a value of it and that value as an answer writes it.

The answers are written here from the types alone, by other code than the one under test.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, Self, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    Field,
    NaiveDatetime,
    RootModel,
    computed_field,
    create_model,
    model_validator,
)
from typing_extensions import TypeAliasType, TypedDict


class Colour(StrEnum):
    RED = "red"
    BLUE = "dark blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 3


class Mixed(Enum):
    TEXT = "1"
    NUMBER = 1


class Step(Enum):
    HALF = 0.5
    WHOLE = 1.5


class Switch(Enum):
    ON = True
    OFF = False


class Leaf(BaseModel):
    kind: Literal["leaf"]
    size: int


class Nothing(BaseModel):
    """A model without fields."""


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """The same for any type of item."""

    item: T | None
    more: list[T] = Field(description="All others.")


class Named(BaseModel):
    """What others begin with."""

    name: str


class Person(Named):
    kind: Literal["person", "people"]
    age: int


class Place(Named):
    kind: Literal["place"] = "place"
    inside: Place | None = None


class Alike(BaseModel):
    text: str
    one: int


class Like(BaseModel):
    text: str
    other: bool


@dataclasses.dataclass
class Plain:
    x: int
    label: str = "none"


class Ordered(BaseModel):
    """Checks itself, and says more than it is asked."""

    low: Annotated[int, Field(ge=-5, le=5, examples=[1, 2])]
    high: int = Field(alias="at most")
    note: str | None = Field(None, deprecated=True)

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is more than high")
        return self

    @computed_field(description="How far they are apart.")
    @property
    def distance(self) -> int:
        return self.high - self.low


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


def _place(drawn: list[str]) -> tuple[Any, Any]:
    value: Any = None
    written: Any = None
    for name in drawn:
        value = Place(name=name, kind="place", inside=value)
        written = {"kind": "place", "name": name, "inside": written}
    return value, written


def _like(drawn: tuple[str, int | bool]) -> tuple[Any, Any]:
    """Both begin with the same field, so a property before it says which of the two it is."""
    text, more = drawn
    if isinstance(more, bool):
        return Like(text=text, other=more), {"variant": "Like", "text": text, "other": more}
    return Alike(text=text, one=more), {"variant": "Alike", "text": text, "one": more}


def _ordered(drawn: tuple[int, int]) -> tuple[Any, Any]:
    low, apart = drawn
    value = Ordered.model_validate({"low": low, "at most": low + apart})
    return value, {"low": low, "at_most": low + apart, "note": None}


SMALL = st.integers(-5, 5)
PEOPLE = st.tuples(TEXT, st.sampled_from(["person", "people"]), SMALL).map(
    lambda p: (
        Person.model_validate({"name": p[0], "kind": p[1], "age": p[2]}),
        {"kind": p[1], "name": p[0], "age": p[2]},
    )
)
PLACES = st.lists(TEXT, min_size=1, max_size=3).map(_place)
PAGES = st.tuples(st.none() | AMOUNTS, st.lists(AMOUNTS, max_size=2)).map(
    lambda p: (
        Page[Decimal](item=p[0], more=p[1]),
        {"item": None if p[0] is None else f"{p[0]:f}", "more": [f"{each:f}" for each in p[1]]},
    )
)
TREES = st.recursive(
    SMALL.map(lambda number: (number, number)),
    lambda inner: st.dictionaries(TEXT, inner, max_size=2).map(
        lambda branch: (
            {name: pair[0] for name, pair in branch.items()},
            [{"key": name, "value": pair[1]} for name, pair in branch.items()],
        )
    ),
    max_leaves=4,
)
Tree = TypeAliasType("Tree", "dict[str, Tree] | int")

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
    _same(Literal[1, 2, True, None], st.sampled_from([1, 2, True, None])),
    _same(Literal[7], st.just(7)),
    _same(int | str | bool, st.one_of(SMALL, TEXT, st.booleans())),
    _written(Step, st.sampled_from(Step), lambda value: value.value, False),
    _written(Switch, st.sampled_from(Switch), lambda value: value.value, False),
    _written(Annotated[Decimal, Field(ge=0, decimal_places=2)], AMOUNTS.map(lambda a: abs(round(a, 2))),
             lambda value: f"{value:f}", False),
    _same(Annotated[float, Field(gt=0, allow_inf_nan=False)], st.floats(0.001, 1e6)),
    _same(Annotated[str, Field(examples=["x"], min_length=1)], st.text("xyz", min_size=1, max_size=5)),
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
    Kind(Nothing, st.just((Nothing(), {}))),
    Kind(Page[Decimal], PAGES),
    Kind(Annotated[Person | Place, Field(discriminator="kind")], PEOPLE | PLACES),
    Kind(Person | Place | None, PEOPLE | PLACES | st.just((None, None))),
    Kind(Alike | Like, st.tuples(TEXT, SMALL | st.booleans()).map(_like)),
    Kind(Ordered, st.tuples(SMALL, st.integers(0, 9)).map(_ordered)),
    Kind(
        Plain,
        st.tuples(SMALL, TEXT).map(lambda p: (Plain(*p), {"x": p[0], "label": p[1]})),
    ),
    Kind(Tree, TREES),
    Kind(
        list[int | list[Alike] | str],
        st.lists(SMALL | TEXT, max_size=3).map(lambda items: (items, items)),
    ),
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
