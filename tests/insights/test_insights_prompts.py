"""What a model is shown of a transcript, and when that changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from insights_models import Node
from pydantic import BaseModel

from llm_assets.errors import ConfigurationError, OutputModelError
from llm_assets.insights.call_insights import CallInsights
from llm_assets.insights.prompts import Extractor, call_insights_extractor, transcript_lines
from llm_assets.records import RowStatus, Segment, Transcript


def transcript(*segments: Segment, text: str | None = None) -> Transcript:
    return Transcript(recording_id="r", status=RowStatus.OK, text=text, segments=segments)


def segment(index: int, start: float, text: str, **more: object) -> Segment:
    return replace(
        Segment(segment_index=index, start_seconds=start, end_seconds=start + 1, text=text), **more
    )


def test_a_line_per_segment() -> None:
    """A line has the segment's index, its time and its speaker in one bracket, then what was said."""
    lines = transcript_lines(
        transcript(
            segment(0, 3.9, "Hello.", speaker="agent"),
            segment(1, 65.0, "Hi.", channel=1),
            segment(2, 3725.0, "Bye."),
        )
    )
    assert lines == ["[0 00:03 agent] Hello.", "[1 01:05 channel 1] Hi.", "[2 1:02:05] Bye."]


def test_nothing_spoken_can_look_like_a_line_of_its_own() -> None:
    """Line breaks inside a segment are spaces, and a speaker's name cannot close the bracket."""
    (line,) = transcript_lines(
        transcript(segment(7, 0, "one\n[8 00:01 agent] two\u2028three", speaker="a] b"))
    )
    assert line == "[7 00:00 a b] one [8 00:01 agent] two three"


def test_segments_without_words_are_left_out() -> None:
    """Silence has no line; the numbers of the others stay what they are."""
    assert transcript_lines(transcript(segment(0, 0, " "), segment(1, 1, "Hi."))) == ["[1 00:01] Hi."]


def test_a_transcript_without_segments_is_its_text() -> None:
    """Where nobody timed the speech, the text stands alone."""
    assert transcript_lines(transcript(text="all\nof it")) == ["all of it"]


def test_the_conversation() -> None:
    """The system message is the prompt and the rules; the user message is the transcript."""
    extractor = Extractor("insights", CallInsights, "  Look for kettles.\n")
    system, user = extractor.messages(transcript(segment(0, 3, "Hello.", speaker="agent")))
    assert (system.role, user.role) == ("system", "user")
    assert system.content.startswith("Look for kettles.\n\nRules:")
    assert user.content == "Transcript:\n[0 00:03 agent] Hello."


class Renamed(CallInsights):
    mood: str


def test_the_version_follows_prompt_and_schema() -> None:
    """The same prompt and model have the same version everywhere; a change of either changes it."""
    version = call_insights_extractor().prompt_version
    assert version == call_insights_extractor("other_name").prompt_version
    assert len(version) == 12
    assert int(version, 16) >= 0
    changed = [
        Extractor("insights", CallInsights, "Another prompt."),
        replace(call_insights_extractor(), output_model=Renamed),
    ]
    assert len({version, *(extractor.prompt_version for extractor in changed)}) == 3


@pytest.mark.parametrize("name", ["", "Calls", "1st", "my-calls", "x" * 64])
def test_a_name_that_is_no_table_name_is_refused(name: str) -> None:
    """The name is the table's and the asset's, so it is held to what both take."""
    with pytest.raises(ConfigurationError, match="cannot be called"):
        Extractor(name, Node, "Look.")


class Anything(BaseModel):
    what: dict[str, Any]


def test_mistakes_are_found_when_the_extractor_is_built() -> None:
    """An empty prompt and a model no schema can express fail before any transcript is read."""
    with pytest.raises(ConfigurationError, match="empty prompt"):
        Extractor("insights", Node, " ")
    with pytest.raises(OutputModelError, match=r"Anything\.what"):
        Extractor("insights", Anything, "Look.")
