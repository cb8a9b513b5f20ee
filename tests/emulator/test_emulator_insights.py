"""What the rules see in a call. The transcripts come as people write them and as a recogniser hears them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from llm_assets.emulator.extraction.answer import json_answer
from llm_assets.emulator.extraction.transcript import find_transcript, parse_transcript

REFUND = [
    "Thank you for calling customer support. How can I help you today?",
    "Hello. I was charged twice for my order last week and I would like a refund.",
    "I am very sorry about that. Can you tell me your order number please?",
    "The order number is four seven two nine. I am really frustrated, it is the second time.",
    "I will refund the second charge today. You will see the money in your account within five days.",
]
OUTAGE = [
    "Good morning, technical support. What seems to be the problem?",
    "My internet connection has been down since yesterday evening. This is terrible service.",
    "I apologize for the trouble. There is an outage in your area and our engineers are working on it.",
    "When will it be fixed? I have lost a whole day.",
    "We expect it tomorrow at noon. I will call you back when it is done.",
]
PRAISE = [
    "Hello, this is the customer service desk.",
    "I just wanted to say thank you. The technician who came on Monday was wonderful and very friendly.",
    "Oh, that is so nice to hear. I will tell the team.",
    "He fixed everything in ten minutes. I am really happy with your service.",
]
CANCELLATION = [
    "Thank you for calling. How may I help you?",
    "I want to cancel my subscription. The price has gone up again.",
    "I am sorry to hear that. Could I offer you three months at half the price?",
    "No thank you. Please just cancel it.",
    "All right, your subscription is cancelled and ends on the last day of this month.",
]
WRONG_NUMBER = [
    "Good afternoon, customer support, how can I help you?",
    "Hello, is this the dentist? I would like to make an appointment.",
    "No, I am afraid you have the wrong number. This is a telephone company.",
    "Oh, I am sorry to bother you. Goodbye.",
]
COMPLAINT = [
    "Good morning. How can I help you?",
    "I have a complaint. I bought a table three weeks ago, and it is still not here.",
    "We are sorry about the delay. We will bring it to you on Friday morning.",
    "Nobody called me. I think that is a very bad service.",
]

INTENTS = ["information", "support", "complaint", "refund", "cancellation", "purchase", "praise", "other"]
OUTCOMES = ["resolved", "escalated", "follow_up", "refunded", "cancelled", "unresolved", "not_applicable"]
TEXT: dict[str, Any] = {"type": "string"}
MAYBE_TEXT: dict[str, Any] = {"anyOf": [TEXT, {"type": "null"}]}


def object_of(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def list_of(**properties: Any) -> dict[str, Any]:
    return {"type": "array", "items": object_of(**properties)}


INSIGHTS = object_of(
    summary=TEXT,
    sentiment=object_of(
        label={"type": "string", "enum": ["positive", "neutral", "negative", "mixed"]},
        score={"type": "number", "minimum": -1, "maximum": 1},
    ),
    topics={"type": "array", "items": TEXT},
    intent={"type": "string", "enum": INTENTS},
    outcome={"type": "string", "enum": OUTCOMES},
    action_items=list_of(owner=MAYBE_TEXT, what=TEXT, due=MAYBE_TEXT),
    entities=list_of(
        name=TEXT, kind={"type": "string", "enum": ["person", "product", "date", "amount", "other"]}
    ),
    customer_effort={"type": "integer", "minimum": 1, "maximum": 5},
    language=TEXT | {"pattern": "^[a-z]{2}$"},
    quotes=list_of(text=TEXT, segment_index={"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    confidence={"type": "number", "minimum": 0, "maximum": 1},
)


def written(turns: list[str]) -> str:
    return "\n".join(f"[{index} 00:{index * 5:02} ] {turn}" for index, turn in enumerate(turns))


def labelled(turns: list[str]) -> str:
    names = ("agent", "customer")
    return "\n".join(
        f"[{index} 00:{index * 5:02} {names[index % 2]}] {turn}" for index, turn in enumerate(turns)
    )


def heard(turns: list[str]) -> str:
    """As a recogniser writes it: lower case, one line, no punctuation."""
    return re.sub(r"[^a-z' ]", "", " ".join(turns).lower())


def insights(transcript: str, schema: dict[str, Any] = INSIGHTS) -> Any:
    turns = (("system", "Describe the call."), ("user", f"Transcript:\n{transcript}"))
    return json.loads(json_answer(turns, schema))


@pytest.mark.parametrize("form", [written, labelled, heard])
@pytest.mark.parametrize(
    ("turns", "label", "intent", "outcome", "topic"),
    [
        (REFUND, "negative", "refund", "refunded", "refund"),
        (OUTAGE, "negative", "support", "follow_up", "outage"),
        (PRAISE, "positive", "praise", "not_applicable", "customer service"),
        (CANCELLATION, "negative", "cancellation", "cancelled", "cancellation"),
        (WRONG_NUMBER, "neutral", "other", "not_applicable", "wrong number"),
        (COMPLAINT, "negative", "complaint", "follow_up", "delivery"),
    ],
)
def test_a_reader_would_agree(
    form: Any, turns: list[str], label: str, intent: str, outcome: str, topic: str
) -> None:
    """A complaint is negative, a refund request asks for a refund, however the transcript is written."""
    found = insights(form(turns))
    assert found["sentiment"]["label"] == label
    assert (found["sentiment"]["score"] < -0.2) == (label == "negative")
    assert (found["sentiment"]["score"] > 0.2) == (label == "positive")
    assert (found["intent"], found["outcome"]) == (intent, outcome)
    assert topic in found["topics"]


@pytest.mark.parametrize("turns", [REFUND, OUTAGE, PRAISE, CANCELLATION, WRONG_NUMBER, COMPLAINT])
def test_quotes_are_verbatim_and_name_their_line(turns: list[str]) -> None:
    """Every quote is found, letter for letter, in the line whose number it gives."""
    for quote in insights(written(turns))["quotes"]:
        assert quote["text"] in turns[quote["segment_index"]]


def test_quotes_from_a_transcript_without_lines_have_no_number() -> None:
    """A number is given where the transcript gives one, and never made up."""
    quotes = insights(heard(REFUND))["quotes"]
    assert quotes
    assert all(quote["text"] in heard(REFUND) and quote["segment_index"] is None for quote in quotes)


def test_action_items_say_who_does_what_by_when() -> None:
    """What the agent promised, with the time in the words of the call."""
    assert insights(labelled(COMPLAINT))["action_items"] == [
        {"owner": "agent", "what": "Bring it to you", "due": "on Friday morning"}
    ]


def test_entities_are_named_as_they_were_said() -> None:
    """Amounts, dates, products and numbers, each once."""
    said = ["I bought a computer on Monday for ninety dollars. The order number is four seven two nine."]
    assert insights(written(said))["entities"] == [
        {"name": "ninety dollars", "kind": "amount"},
        {"name": "Monday", "kind": "date"},
        {"name": "computer", "kind": "product"},
        {"name": "order number is four seven two nine", "kind": "other"},
    ]


def test_effort_grows_with_what_the_customer_went_through() -> None:
    """Praise is no effort; waiting three weeks for a delivery that nobody announces is."""
    assert insights(written(PRAISE))["customer_effort"] == 1
    assert insights(written(COMPLAINT))["customer_effort"] >= 4


def test_the_rules_are_never_very_sure() -> None:
    """They say so: confidence stays below 0.9, and a few words give less than a whole call."""
    few = insights("hello hello")["confidence"]
    assert few < insights(written(REFUND))["confidence"] < 0.9


def test_other_output_models_find_what_they_ask_for() -> None:
    """Other names, other scales, other enums: the rules go by the field's name and form."""
    schema = object_of(
        call_reason={"type": "string", "enum": ["billing", "refund_request", "technical"]},
        satisfaction={"type": "integer", "minimum": 1, "maximum": 10},
        is_resolved={"type": "boolean"},
        next_steps={"type": "array", "items": TEXT},
        sentiment={"type": "string", "enum": ["happy", "unhappy"]},
        priority={"type": "string", "enum": ["Low", "Medium", "High"]},
        payment_method={"type": "string", "enum": ["card", "account", "cash"]},
        topics={"type": "array", "items": {"type": "string", "enum": ["billing", "refund", "other"]}},
    )
    found = insights(written(REFUND), schema)
    assert found["call_reason"] == "refund_request"
    assert found["satisfaction"] <= 4
    assert found["is_resolved"] is False
    assert found["next_steps"] == ["Refund the second charge"]
    assert found["sentiment"] == "unhappy"
    assert found["payment_method"] == "account"
    assert "other" not in found["topics"]
    assert "refund" in found["topics"]


def test_the_transcript_is_found_behind_a_request_to_repair() -> None:
    """The last user message can be about the answer; the transcript is in the one before."""
    messages = [f"Transcript:\n{written(REFUND)}", "Your answer does not fit the schema. Answer again."]
    assert len(find_transcript(messages).sentences) == len(find_transcript(messages[:1]).sentences)


@pytest.mark.parametrize(
    ("line", "index", "speaker", "text"),
    [
        ("[7 01:02 agent] Hello there.", 7, "agent", "Hello there."),
        ("[00:03 agent] Hello there.", 0, "agent", "Hello there."),
        ("[12 1:00:03] Hello there.", 12, None, "Hello there."),
        ("[3 00:12 channel 0] Hello there.", 3, "channel", "Hello there."),
        ("Agent: Hello there.", None, "Agent", "Hello there."),
        ("hello there", None, None, "hello there"),
    ],
)
def test_lines_are_read_in_many_forms(line: str, index: int | None, speaker: str | None, text: str) -> None:
    """Index, speaker and words, whatever of them a transcript has."""
    (sentence,) = parse_transcript(f"Transcript:\n{line}").sentences
    assert (sentence.segment_index, sentence.speaker, sentence.text) == (index, speaker, text)


def test_nothing_to_read_still_gives_an_answer() -> None:
    """An empty transcript is neutral, other, and without quotes."""
    found = insights("")
    assert found["sentiment"]["label"] == "neutral"
    assert found["intent"] == "other"
    assert found["quotes"] == []
