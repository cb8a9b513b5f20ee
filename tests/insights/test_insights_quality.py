"""How good answers are can be told from outcomes, and from the tables alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import duckdb
import pandas as pd
from prepared_model import PreparedModel, Reply, answered
from pydantic import BaseModel

from llm_assets.insights.extract import extract
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.quality import AnswerQuality, quality_by_model
from llm_assets.llm.requests import ChatRequest, Outcome
from llm_assets.orchestration.metadata import call_metadata
from llm_assets.orchestration.rows import insight_row
from llm_assets.records import RowStatus, Transcript


class Mood(BaseModel):
    """How somebody felt."""

    score: int


EXTRACTOR = Extractor("moods", Mood, "Look.", repairs=1)
# What each of two models makes of five calls: texts one after the other, None for a refusal.
SCRIPT: dict[str, tuple[list[str | None], list[str | None]]] = {
    "good": (['{"score": 1}'], []),
    "repaired": (["what?", '{"score": 1}'], []),
    "fallback": (["what?", "what?"], ['{"score": 2}']),
    "refused": ([None], [None]),
    "hopeless": (["what?", "what?"], ["what?", "what?"]),
}


def reply_to(name: str) -> PreparedModel:
    strong, weak = (list(texts) for texts in SCRIPT[name])

    def reply(request: ChatRequest) -> Reply:
        model, texts = ("weak", weak) if request.after_model else ("strong", strong)
        text = texts.pop(0)
        facts: dict[str, Any] = {"model": model, "fallback_reason": request.after_reason}
        return answered("", refusal="No.", **facts) if text is None else answered(text, **facts)

    return PreparedModel(by=reply)


async def extracted() -> list[tuple[dict[str, Any], Sequence[Outcome]]]:
    """Rows and outcomes of the five calls."""
    found: list[tuple[dict[str, Any], Sequence[Outcome]]] = []
    for name in SCRIPT:
        transcript = Transcript(recording_id=name, status=RowStatus.OK, text="Hello.")
        insight, outcomes = await extract(transcript, EXTRACTOR, reply_to(name).call, ["strong", "weak"])
        found.append((insight_row(date(2026, 3, 2), insight, outcomes, "run"), outcomes))
    return found


STRONG = AnswerQuality(answers=8, valid=2, repaired=1, refused=1, invalid_output=5)
WEAK = AnswerQuality(answers=4, valid=1, refused=1, invalid_output=2, fallbacks=4)


async def test_each_model_is_counted_for_itself() -> None:
    """Valid at once, valid after a repair, refused, invalid, and given in the place of another model."""
    outcomes = [outcome for _, some in await extracted() for outcome in some]
    assert quality_by_model(outcomes) == {"openai.strong": STRONG, "openai.weak": WEAK}
    metadata = call_metadata(outcomes)
    assert (metadata["openai.strong.valid"], metadata["openai.strong.repaired"]) == (2, 1)
    assert (metadata["openai.weak.refused"], metadata["openai.weak.invalid_output"]) == (1, 2)


async def test_the_tables_tell_the_same() -> None:
    """`status`, `model` and `fallback_reason` of `llm_calls` carry all of it, for a view."""
    calls = pd.DataFrame(
        [
            call | {"recording_id": row["recording_id"]}
            for row, _ in await extracted()
            for call in json.loads(row["llm_calls"])
        ]
    )
    sql = """
        WITH rows AS (
            SELECT provider, model, recording_id,
                   count(*) FILTER (WHERE status <> 'failed') AS answers,
                   count(*) FILTER (WHERE status = 'answered') AS valid,
                   count(*) FILTER (WHERE status = 'refused') AS refused,
                   count(*) FILTER (WHERE status = 'invalid_output') AS invalid_output,
                   count(*) FILTER (WHERE fallback_reason IS NOT NULL) AS fallbacks
            FROM calls GROUP BY ALL)
        SELECT model, sum(answers), sum(valid), count(*) FILTER (WHERE valid > 0 AND invalid_output > 0),
               sum(refused), sum(invalid_output), sum(fallbacks)
        FROM rows GROUP BY ALL ORDER BY model
    """
    with duckdb.connect() as connection:
        connection.register("calls", calls)
        found = connection.execute(sql).fetchall()
    assert found == [("strong", 8, 2, 1, 1, 5, 0), ("weak", 4, 1, 0, 1, 2, 4)]
