"""The output model that comes with the package: what a team wants to know of a customer call.

The descriptions are the prompt: the model that reads a transcript sees them as part of the schema, and
the people who query the table see them as comments on its columns.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationInfo, model_validator

from llm_assets.insights.spoken import Verbatim, spoken_of

Intent = Literal[
    "information", "support", "complaint", "refund", "cancellation", "purchase", "praise", "other"
]
Outcome = Literal[
    "resolved", "escalated", "follow_up", "refunded", "cancelled", "unresolved", "not_applicable"
]


class Sentiment(BaseModel):
    """The customer's attitude over the whole call, not the agent's, and not only how the call ended."""

    label: Literal["positive", "neutral", "negative", "mixed"] = Field(
        description=(
            "positive: pleased, thankful or praising. negative: annoyed, disappointed or complaining, also "
            "when it is said politely. neutral: matter-of-fact. mixed: clearly both, such as praise for the "
            "agent and anger about the product."
        )
    )
    score: float = Field(
        ge=-1,
        le=1,
        description=(
            "Strength of the attitude, from -1 (furious) through 0 (matter-of-fact) to 1 (delighted). Its "
            "sign agrees with the label; mixed lies near 0."
        ),
    )


class ActionItem(BaseModel):
    """Something that somebody said they would do, or was asked to do, after the call."""

    owner: str | None = Field(
        description='Who has to do it, as named in the call or by role ("agent", "customer"). '
        "Null when that was left open."
    )
    what: str = Field(
        description='The action in a short imperative phrase, such as "Send the invoice again".'
    )
    due: str | None = Field(
        description='When it is due, in the words of the call, such as "by Friday" or "within 24 hours". '
        "Null when no time was said; never a date you worked out."
    )


class Entity(BaseModel):
    """A name, product, place, date or amount that matters to the call."""

    name: str = Field(description='As it was said, such as "order 4711", "Lisbon" or "39 dollars".')
    kind: Literal["person", "organization", "product", "place", "date", "amount", "other"] = Field(
        description="person, organization, product (also a plan or a service), place, date (also a time of "
        "day), amount (money or a quantity), or other, such as an order number."
    )


class Quote(BaseModel):
    """A passage that shows a reader why the other fields say what they say."""

    text: Verbatim = Field(
        description="Copied word for word from one line of the transcript, without what stands in brackets. "
        "Do not correct, shorten or translate it."
    )
    segment_index: int | None = Field(
        description="The first number in the brackets of the line it was copied from. Null when the "
        "transcript has no numbered lines."
    )

    @model_validator(mode="after")
    def _comes_from_its_line(self, info: ValidationInfo) -> Self:
        spoken = spoken_of(info)
        if spoken is None or self.segment_index is None:
            return self
        lines = spoken.segments_with(self.text)
        if self.segment_index not in lines:
            at = f"it is in line {', '.join(map(str, lines))}" if lines else "the lines have no numbers"
            raise ValueError(f"segment_index {self.segment_index} is not where the text comes from; {at}")
        return self


class CallInsights(BaseModel):
    """What a customer call was about, how it went and what has to happen next."""

    summary: str = Field(
        description="Two or three plain sentences: what the customer wanted, what was done about it and how "
        "the call ended. Only what was said, in the language of the call."
    )
    sentiment: Sentiment = Field(description="The customer's attitude over the whole call.")
    topics: list[str] = Field(
        description="One to five subjects of the call, the most important first, as short lower-case noun "
        'phrases such as "late delivery" or "billing error". Empty when nothing was discussed.'
    )
    intent: Intent = Field(
        description=(
            "The main reason for the call. information: asks a question. support: something does not work "
            "and should. complaint: is dissatisfied and says so. refund: wants money back. cancellation: "
            "wants to end a contract, an order or a subscription. purchase: wants to buy or upgrade. praise: "
            "calls to say thanks. other: anything else, also a wrong number. With several, take the one the "
            "customer pursues to the end."
        )
    )
    outcome: Outcome = Field(
        description=(
            "Where things stand when the call ends. resolved: settled. escalated: handed to somebody else. "
            "follow_up: somebody will come back to it. refunded: a refund was granted. cancelled: a "
            "contract, order or subscription was ended. unresolved: neither settled nor taken further. "
            "not_applicable: there was nothing to settle, as with praise or a wrong number."
        )
    )
    action_items: list[ActionItem] = Field(
        description="What was promised or asked for in the call. Empty when nothing was."
    )
    entities: list[Entity] = Field(
        description="Names, products, places, dates and amounts that were mentioned and matter, each once. "
        "Empty when there are none."
    )
    customer_effort: int = Field(
        ge=1,
        le=5,
        description=(
            "How hard it was for the customer to get this done, judged by what is said. 1: done at once. "
            "2: a few questions. 3: some explaining or waiting. 4: had to repeat things, was passed on or "
            "has called before. 5: several contacts and still not done."
        ),
    )
    language: str = Field(
        pattern="^[a-z]{2}$",
        description='The language spoken for most of the call, as an ISO 639-1 code such as "en" or "de".',
    )
    quotes: list[Quote] = Field(
        description="One to three passages that show best why the customer called and how they felt. Empty "
        "when nothing telling was said."
    )
    confidence: float = Field(
        ge=0,
        le=1,
        description="How sure you are of intent, outcome and sentiment together, from 0 (guessing: garbled, "
        "cut off or too short) to 1 (explicitly said).",
    )
