"""The default model on every sample call: heard and read by the emulator, checked like any answer."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from llm_assets.emulator import Emulator, EmulatorConfig
from llm_assets.emulator.speech.recognizer import recognize
from llm_assets.insights.extract import extract
from llm_assets.insights.prompts import Extractor, call_insights_extractor
from llm_assets.insights.spoken import SpokenText
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig
from llm_assets.records import Insight, RowStatus, Segment, Transcript

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "data" / "recordings"
EXTRACTOR = call_insights_extractor()


@dataclass(frozen=True)
class Expected:
    """What a person would note down. `says` are words of the summary, `does` of what was promised (nothing
    else was), `names` of what was named."""

    label: str
    intent: str
    outcome: str
    says: str
    topic: str | None = None
    does: tuple[str, ...] = ()
    due: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    effort: range = range(1, 6)
    quoted: str | None = None


CALLS = {
    "2026-03-02/1040 refund request.ogg": Expected(
        "negative", "refund", "refunded", "asks for a refund", "refund", names=("computer",), quoted="refund"
    ),
    "2026-03-02/1041-internet-outage.ogg": Expected(
        "negative",
        "support",
        "follow_up",
        "does not work",
        "outage",
        does=("call",),
        due=("tomorrow morning",),
        names=("internet",),
        effort=range(2, 6),
        quoted="internet",
    ),
    "2026-03-02/1042-wrong-number.wav": Expected(
        "neutral",
        "other",
        "not_applicable",
        "wrong number",
        "wrong number",
        names=("hospital",),
        effort=range(1, 2),
    ),
    "2026-03-02/1043-praise.flac": Expected(
        "positive",
        "praise",
        "not_applicable",
        "praise",
        "customer service",
        does=("tell him",),
        names=("monday",),
        effort=range(1, 2),
        quoted="excellent",
    ),
    "2026-03-03/1050 customer's cancellation.ogg": Expected(
        "negative",
        "cancellation",
        "cancelled",
        "wants to cancel",
        "cancellation",
        does=("cancel your contract",),
        due=("end of the month",),
        names=("contract",),
        quoted="cancel",
    ),
    "2026-03-03/1051-delivery-complaint.mp3": Expected(
        "negative",
        "complaint",
        "follow_up",
        "complains",
        "delivery",
        does=("bring",),
        due=("friday morning",),
        names=("table",),
        effort=range(4, 6),
        quoted="complaint",
    ),
    "2026-03-03/1052-billing-question.opus": Expected(
        "neutral",
        "information",
        "follow_up",
        "asks a question",
        "billing",
        does=("send",),
        due=("today",),
        names=("ninety dollars", "canada"),
        effort=range(1, 3),
        quoted="bill",
    ),
    "2026-03-03/1053-hang-up.ogg": Expected(
        "neutral", "other", "not_applicable", "nothing to settle", effort=range(1, 2)
    ),
    "2026-03-04/1060-technical-support.ogg": Expected(
        "positive", "support", "resolved", "does not work", "login", names=("computer",), quoted="log in"
    ),
    "2026-03-04/1061 café appointment.ogg": Expected(
        "neutral",
        "purchase",
        "follow_up",
        "wants to buy",
        "appointment",
        names=("coffee machine", "friday"),
        quoted="coffee",
    ),
    "2026-03-04/1062-double-payment.ogg": Expected(
        "negative",
        "refund",
        "refunded",
        "asks for a refund",
        "refund",
        does=("forty dollars", "manager"),
        due=("today", "tuesday"),
        names=("forty dollars",),
        effort=range(3, 6),
        quoted="money",
    ),
}
BROKEN = "2026-03-04/1063-broken-upload.m4a"


def transcript_of(path: str) -> Transcript:
    speech = recognize((SAMPLES / path).read_bytes())
    segments = tuple(
        Segment(
            segment_index=at, start_seconds=part.start_seconds, end_seconds=part.end_seconds, text=part.text
        )
        for at, part in enumerate(speech.stretches)
    )
    return Transcript(recording_id=path, status=RowStatus.OK, text=speech.text, segments=segments)


@pytest.fixture(scope="module")
def heard() -> dict[str, Transcript]:
    """Every sample call as the emulator's speech recognition hears it."""
    pytest.importorskip("pocketsphinx")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return dict(zip(CALLS, pool.map(transcript_of, CALLS), strict=True))


async def insight_of(transcript: Transcript, extractor: Extractor = EXTRACTOR, **model: Any) -> Insight:
    """Through a client, over HTTP."""
    async with Emulator(EmulatorConfig()) as emulator:
        chain = [{"model": "gpt-6-luna", **model}]
        config = ClientConfig.model_validate({"chat": chain, "base_url": emulator.base_url})
        async with LLMClient(config) as client:
            insight, _ = await extract(transcript, extractor, client.call, ["gpt-6-luna"])
            return insight


def said(parts: list[Any], field: str) -> str:
    return " | ".join(str(part[field]).lower() for part in parts)


def check(output: dict[str, Any], expected: Expected) -> None:
    assert output["sentiment"]["label"] == expected.label
    sign = {"positive": 1, "negative": -1}.get(expected.label, 0)
    assert output["sentiment"]["score"] * sign > 0.2 or (
        sign == 0 and abs(output["sentiment"]["score"]) < 0.2
    )
    assert (output["intent"], output["outcome"]) == (expected.intent, expected.outcome)
    assert expected.says in output["summary"]
    assert output["topics"] == [] if expected.topic is None else expected.topic in output["topics"]
    assert output["customer_effort"] in expected.effort
    assert bool(output["action_items"]) == bool(expected.does)
    assert all(words in said(output["action_items"], "what") for words in expected.does)
    assert all(words in said(output["action_items"], "due") for words in expected.due)
    assert all(words in said(output["entities"], "name") for words in expected.names)
    assert expected.quoted is None or expected.quoted in said(output["quotes"], "text")
    assert bool(output["quotes"]) == (expected.intent != "other")
    assert output["language"] == "en"
    assert 0.3 < output["confidence"] < 1 if expected.topic else output["confidence"] < 0.3


@pytest.mark.parametrize("path", CALLS)
async def test_what_is_heard_is_understood(heard: dict[str, Transcript], path: str) -> None:
    """A reader of the transcript would agree, and every quote is in the line it names."""
    insight = await insight_of(heard[path])
    assert (insight.status, insight.error) == (RowStatus.OK, None)
    assert insight.output is not None
    check(insight.output, CALLS[path])


WRONG = {
    "summary": "The customer calls.",
    "sentiment": {"label": "positive", "score": 0.8},
    "topics": ["weather"],
    "intent": "praise",
    "outcome": "resolved",
    "action_items": [],
    "entities": [],
    "customer_effort": 1,
    "language": "de",
    "quotes": [],
    "confidence": 1.0,
}


@pytest.mark.parametrize("field", WRONG)
async def test_what_is_misunderstood_is_noticed(heard: dict[str, Transcript], field: str) -> None:
    """The expectations are no formality: each field that is wrong fails them."""
    path = "2026-03-03/1051-delivery-complaint.mp3"
    insight = await insight_of(heard[path])
    assert insight.output is not None
    assert WRONG.keys() == insight.output.keys()
    with pytest.raises(AssertionError):
        check(insight.output | {field: WRONG[field]}, CALLS[path])


def test_every_sample_is_expected_to_say_something() -> None:
    """No sample call is left out; the broken upload never becomes a transcript."""
    found = {str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*") if path.is_file()}
    assert found == {*CALLS, BROKEN}


@pytest.mark.parametrize("path", CALLS)
async def test_what_was_said_is_understood(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same from the words as they were spoken, with the speakers known."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    samples = __import__("make_samples")
    (call,) = [call for call in samples.CALLS if call.path == path]
    segments = tuple(
        Segment(segment_index=at, start_seconds=at, end_seconds=at + 1, text=text, speaker=speaker)
        for at, (speaker, text) in enumerate(call.turns)
    )
    insight = await insight_of(Transcript(recording_id="r", status=RowStatus.OK, segments=segments))
    assert insight.output is not None
    check(insight.output, CALLS[path])


@pytest.mark.parametrize("structured_output", ["json_object", "none"])
async def test_servers_that_are_only_told_the_schema(
    heard: dict[str, Transcript], structured_output: str
) -> None:
    """The same output comes from a server that cannot be held to a schema, also where it writes a fence."""
    transcript = heard["2026-03-02/1040 refund request.ogg"]
    strict = await insight_of(transcript)
    told = await insight_of(transcript, structured_output=structured_output)
    assert told.output == strict.output


async def test_a_long_call_is_merged(heard: dict[str, Transcript]) -> None:
    """All sample calls as one, too long for the model: parts are read and merged, and quotes stay true."""
    texts = 3 * [segment.text for transcript in heard.values() for segment in transcript.segments]
    segments = tuple(
        Segment(segment_index=at, start_seconds=at, end_seconds=at + 1, text=text)
        for at, text in enumerate(texts)
    )
    whole = Transcript(recording_id="r", status=RowStatus.OK, segments=segments)
    brief = replace(EXTRACTOR, max_output_tokens=1_500)
    insight = await insight_of(whole, brief, context_window=5_000)
    assert (insight.status, insight.error) == (RowStatus.OK, None)
    assert insight.output is not None
    assert {"refund", "outage"} <= set(insight.output["topics"])
    quotes, spoken = insight.output["quotes"], SpokenText(whole)
    assert len(quotes) > 2
    assert all(quote["segment_index"] in spoken.segments_with(quote["text"]) for quote in quotes)
    assert insight.input_tokens > 5_000
