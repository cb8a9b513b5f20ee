"""What the rules know about a field by its name, whatever output model it belongs to.

A field that no rule knows is looked for in the text: an enum takes the member that is mentioned most, a
boolean is true when its own words are said. Everything else stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from llm_assets.emulator.extraction.reading import Reading
from llm_assets.emulator.schema.check import Schema, types_of
from llm_assets.emulator.schema.enums import Synonyms, enum_values, plain
from llm_assets.emulator.schema.suggestion import UNKNOWN, Scaled, Suggestion

Rule = Callable[[Reading], Suggestion]

_LANGUAGE = "en"


def _sentiment(reading: Reading) -> dict[str, Any]:
    return {
        "label": reading.feelings.label,
        "score": _score(reading),
        "reason": reading.quotes[0].text if reading.quotes else None,
    }


def _score(reading: Reading) -> Scaled:
    return Scaled(reading.feelings.score, -1, 1)


def _quotes(reading: Reading) -> list[dict[str, Any]]:
    return [
        {"text": quote.text, "segment_index": quote.segment_index, "speaker": quote.role or quote.speaker}
        for quote in reading.quotes
    ]


def _quote_texts(reading: Reading) -> list[str]:
    return [quote.text for quote in reading.quotes]


def _reason(reading: Reading) -> str | None:
    return reading.quotes[0].text if reading.quotes else None


def _named(kind: str) -> Rule:
    return lambda reading: [entity["name"] for entity in reading.entities if entity["kind"] == kind]


def _urgency(reading: Reading) -> Scaled | str:
    return "high" if reading.feelings.score <= -0.6 else "medium" if reading.feelings.score < -0.2 else "low"


def _headline(reading: Reading) -> str:
    return ", ".join([reading.intent, *reading.topics[:2]])


_RULES: Mapping[str, Rule] = {
    "summary overview synopsis abstract description notes": lambda reading: reading.summary,
    "title headline subject": _headline,
    "sentiment customer_sentiment overall_sentiment mood emotion tone attitude": _sentiment,
    "sentiment_label": lambda reading: reading.feelings.label,
    "sentiment_score satisfaction customer_satisfaction csat rating nps polarity": _score,
    "topics topic themes keywords tags subjects labels": lambda reading: reading.topics,
    "intent call_reason reason_for_call purpose call_type category": lambda reading: reading.intent,
    "reason problem issue complaint main_issue concern": _reason,
    "outcome resolution result resolution_status disposition": lambda reading: reading.outcome,
    "action_items actions next_steps tasks todos follow_ups": lambda reading: reading.action_items,
    "entities named_entities": lambda reading: reading.entities,
    "people persons names customer_name": _named("person"),
    "products product": _named("product"),
    "places locations place": _named("place"),
    "dates": _named("date"),
    "amounts amount": _named("amount"),
    "customer_effort effort effort_score": lambda reading: Scaled(reading.effort, 1, 5),
    "language lang language_code": lambda reading: _LANGUAGE,
    "quotes quotations highlights evidence": _quotes,
    "quote key_phrases key_quotes": _quote_texts,
    "confidence certainty confidence_score": lambda reading: Scaled(reading.confidence, 0, 1),
    "urgency priority severity": _urgency,
    "resolved is_resolved issue_resolved": lambda reading: reading.outcome == "resolved",
    "escalated is_escalated escalation": lambda reading: reading.outcome == "escalated",
    "refund_requested asks_for_refund refund": lambda reading: reading.intent == "refund",
    "is_complaint complaint_made": lambda reading: reading.intent == "complaint",
    "follow_up_required needs_follow_up follow_up_needed": lambda reading: bool(reading.action_items),
    "word_count words": lambda reading: reading.transcript.word_count,
}

_BY_NAME = {name: rule for names, rule in _RULES.items() for name in names.split()}


def _table(text: str) -> Synonyms:
    """`name: other, another` by line."""
    lines = (line.partition(":") for line in text.strip().splitlines())
    return {name.strip(): tuple(others.split()) for name, _, others in lines}


# Other names of the keys of suggested objects: what a model calls `task` is our `what`.
ALIASES = _table("""
    task: what
    action: what
    item: what
    title: what name
    description: what text reason
    assignee: owner
    responsible: owner
    who: owner
    deadline: due
    due_date: due
    when: due
    type: kind label
    category: kind
    entity: name
    value: label name
    quote: text
    content: text
    segment: segment_index
    index: segment_index
    sentiment: label
    polarity: score
    rating: score
    explanation: reason
    rationale: reason
""")

# Other names of enum members, in the order they are tried.
SYNONYMS = _table("""
    positive: satisfied happy good pos
    negative: dissatisfied angry unhappy bad neg
    neutral: matter_of_fact indifferent
    mixed: neutral
    refund: refund_request return billing payment complaint
    cancellation: cancel cancel_subscription churn termination
    complaint: issue problem dissatisfaction
    support: technical_support technical tech_support issue problem help
    purchase: buy sales order upgrade
    praise: compliment feedback thanks
    information: question inquiry enquiry info general billing
    refunded: refund resolved solved
    cancelled: canceled closed resolved
    escalated: transferred handed_over pending open
    follow_up: followup callback pending in_progress open unresolved
    resolved: solved closed done success
    unresolved: open failed not_resolved pending
    not_applicable: n_a na none other
    person: people name
    organization: organisation company org
    product: service item
    place: location city address
    date: time datetime date_time
    amount: money price number quantity
    high: urgent critical severe
    medium: normal moderate
    low: minor normal
    en: eng english en_us en_gb
    true: yes
    false: no
""")

_LITTLE_WORDS = {
    "is",
    "has",
    "was",
    "the",
    "a",
    "an",
    "of",
    "to",
    "or",
    "and",
    "any",
    "customer",
    "call",
    "flag",
}


def suggestions(reading: Reading) -> Callable[[str, Schema], Suggestion]:
    """What is known about any field of any output model for this call."""

    def suggest(name: str, schema: Schema) -> Suggestion:
        rule = _BY_NAME.get(plain(name))
        if rule is not None:
            return rule(reading)
        if "enum" in schema:
            return _most_mentioned(enum_values(schema), reading)
        if types_of(schema) == ["boolean"]:
            return _is_said(name, reading)
        return UNKNOWN

    return suggest


def _most_mentioned(values: list[Any], reading: Reading) -> Suggestion:
    said = reading.transcript.plain
    names = [value for value in values if isinstance(value, str) and plain(value)]
    counts = {
        name: len(re.findall(rf"\b{re.escape(plain(name).replace('_', ' '))}\b", said)) for name in names
    }
    best = max(names, key=lambda name: counts[name], default=None)
    return best if best is not None and counts[best] else UNKNOWN


def _is_said(name: str, reading: Reading) -> bool:
    words = [word for word in plain(name).split("_") if word and word not in _LITTLE_WORDS]
    said = reading.transcript.plain
    return bool(words) and all(re.search(rf"\b{re.escape(word[:5])}", said) for word in words)
