"""Quotes are what was said: validators of an output model see the transcript."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationInfo, field_validator

from llm_assets.insights.answers import InvalidAnswer, parse_answer
from llm_assets.insights.call_insights import Quote
from llm_assets.insights.schema import output_form
from llm_assets.insights.spoken import SpokenText, Verbatim, spoken_of
from llm_assets.records import RowStatus, Segment, Transcript

LINES = ["Good morning.", "I want a refund, please!", "I can't", "wait – it's broken.", "A REFUND I want."]
SPOKEN = SpokenText(
    Transcript(
        recording_id="r",
        status=RowStatus.OK,
        segments=tuple(
            Segment(segment_index=2 * at, start_seconds=at, end_seconds=at + 1, text=text)
            for at, text in enumerate(LINES)
        ),
    )
)


@pytest.mark.parametrize(
    ("quote", "lines"),
    [
        ("I want a refund, please!", [2]),
        ("i want a REFUND please", [2]),
        ("want  a\nrefund", [2]),
        ("I cant wait its broken", [4]),
        ("refund", [2, 8]),
        ("I would like a refund", []),
        ("I want … please", []),
        ("Good morning. I want", [0]),
        ("…", []),
        ("", []),
    ],
)
def test_a_quote_is_found_where_it_was_said(quote: str, lines: list[int]) -> None:
    """Case, blanks and punctuation do not count; words do, one after the other, also across lines."""
    assert SPOKEN.has(quote) is bool(lines)
    assert SPOKEN.segments_with(quote) == lines


def test_a_transcript_without_lines_is_searched_too() -> None:
    """Where nobody timed the speech, the text alone is compared, and no line is named."""
    spoken = SpokenText(Transcript(recording_id="r", status=RowStatus.OK, text="我想要退款。 Thank you"))
    assert spoken.has("想要退款")
    assert spoken.segments_with("thank you") == []
    assert not spoken.has("sorry")


class Evidence(BaseModel):
    quotes: list[Quote]


@pytest.mark.parametrize(
    ("quote", "said"),
    [
        ({"text": "I want my money", "segment_index": 2}, r"quotes\[0\]\.text: .*not in the transcript"),
        (
            {"text": "I want a refund", "segment_index": 0},
            r"quotes\[0\]: .*segment_index 0 .*it is in line 2",
        ),
    ],
)
def test_a_quote_that_was_not_said_is_invalid(quote: dict[str, Any], said: str) -> None:
    """It is neither dropped nor put right; the reason says where the words are, if they are anywhere."""
    with pytest.raises(InvalidAnswer, match=said):
        parse_answer(json.dumps({"quotes": [quote]}), output_form(Evidence), SPOKEN)


def test_a_true_quote_is_kept_as_it_was_given() -> None:
    """Comparing changes nothing; a line may be left open."""
    quotes = [{"text": "want a refund", "segment_index": 2}, {"text": "i CANT wait", "segment_index": None}]
    assert parse_answer(json.dumps({"quotes": quotes}), output_form(Evidence), SPOKEN) == {"quotes": quotes}


class Counted(BaseModel):
    words: list[Verbatim]
    mentions: int

    @field_validator("mentions")
    @classmethod
    def _at_most_what_was_said(cls, value: int, info: ValidationInfo) -> int:
        spoken = spoken_of(info)
        if spoken is not None and value > len(spoken.segments):
            raise ValueError("is more than there are lines")
        return value


def test_validators_of_any_model_see_the_transcript() -> None:
    """`Verbatim` and `info.context["transcript"]` work in every output model, and only in an extraction."""
    form = output_form(Counted)
    assert parse_answer('{"words": ["refund"], "mentions": 2}', form, SPOKEN)["mentions"] == 2
    with pytest.raises(InvalidAnswer, match=r"mentions: .*more than there are lines"):
        parse_answer('{"words": [], "mentions": 9}', form, SPOKEN)
    assert Counted(words=["anything"], mentions=9).mentions == 9
