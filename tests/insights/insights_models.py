"""Output models that users might write, and an answer to the widest of them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AnyUrl, BaseModel, Field


class Mood(StrEnum):
    CALM = "calm"
    ANGRY = "angry"


class Stars(IntEnum):
    ONE = 1
    TWO = 2


class Product(BaseModel):
    """A thing that is sold."""

    name: str = Field(description="Its name.")
    price: Decimal | None = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = []


class Node(BaseModel):
    name: str
    children: list[Node] = Field(description="What is below it.")


class Wide(BaseModel):
    """Everything an output model may have."""

    text: str = Field(min_length=1, max_length=50, description="Any text.")
    code: str = Field(pattern="^[A-Z]{3}$")
    lookahead: str = Field(pattern="^a", json_schema_extra={"pattern": "^(?!b)"})
    whole: int = Field(ge=0)
    real: float = Field(gt=0, lt=10, multiple_of=0.5)
    yes: bool = True
    mood: Mood
    stars: Stars
    level: Literal["low", "high"] = "low"
    maybe: Literal["a", 1, None]
    always: Literal["x"]
    product: Product = Field(description="The product meant.")
    spare: Product | None = Field(None, description="Another one.")
    products: list[Product] = Field(max_length=3)
    tags: set[str] = Field(default_factory=set)
    numbers: tuple[int, ...]
    number_or_text: int | str
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    tree: Node
    day: date
    moment: datetime | None
    clock: time
    length: timedelta
    amount: Decimal
    price: Decimal = Field(max_digits=10, decimal_places=2, ge=0)
    id: UUID
    link: AnyUrl
    renamed: str = Field(alias="Other Name")


# As it comes: names that not every provider takes are others on the way.
WIDE_ANSWER: dict[str, Any] = {
    "text": "hello",
    "code": "ABC",
    "lookahead": "a",
    "whole": 2,
    "real": 1.5,
    "yes": False,
    "mood": "angry",
    "stars": 2,
    "level": "high",
    "maybe": None,
    "always": "x",
    "product": {"name": "kettle", "price": "39.90"},
    "spare": None,
    "products": [{"name": "cup", "price": None}],
    "tags": ["a"],
    "numbers": [1, 2],
    "number_or_text": "five",
    "pet": {"kind": "dog", "tricks": ["sit"]},
    "tree": {"name": "root", "children": [{"name": "leaf", "children": []}]},
    "day": "2026-03-02",
    "moment": "2026-03-02T10:00:00+02:00",
    "clock": "10:30:00",
    "length": "PT1H",
    "amount": "12.5",
    "price": "39.90",
    "id": "12345678-1234-5678-1234-567812345678",
    "link": "https://example.com/",
    "Other_Name": "there",
}
