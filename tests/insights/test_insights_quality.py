"""How good answers are can be told from outcomes, and from the tables alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from prepared_model import PreparedModel, Reply, answered
from pydantic import BaseModel

from llm_assets.insights.extract import extract
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.quality import AnswerQuality, QualityCounts
from llm_assets.llm.requests import ChatRequest, Outcome
from llm_assets.orchestration.metadata import CallSums
from llm_assets.orchestration.rows import insight_row
from llm_assets.records import RowStatus, Transcript
from llm_assets.warehouse.query import query
from llm_assets.warehouse.replace import replace_partition
from llm_assets.warehouse.tables import Column, insights_table


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
    counts, sums = QualityCounts(), CallSums()
    for outcome in outcomes:
        counts.add(outcome)
        sums.add(outcome)
    assert counts.by_model() == {"openai.strong": STRONG, "openai.weak": WEAK}
    metadata = sums.metadata()
    assert (metadata["openai.strong.valid"], metadata["openai.strong.repaired"]) == (2, 1)
    assert (metadata["openai.weak.refused"], metadata["openai.weak.invalid_output"]) == (1, 2)


async def test_the_view_tells_the_same(tmp_path: Path) -> None:
    """`model_quality` says of how many recordings a model's answer was valid, repaired, refused …"""
    path = str(tmp_path / "moods.duckdb")
    rows = [row for row, _ in await extracted()]
    table = insights_table("moods", [Column("score", "BIGINT", "Score.")])
    replace_partition(path, table, [date(2026, 3, 2)], pd.DataFrame(rows))
    columns = "model, recordings, valid_at_once, repaired, refused, invalid_output, from_fallback"
    with query(path, f"select {columns}, answers, invalid_answers from model_quality order by 1") as found:
        assert list(found.rows) == [
            ("strong", 5, 1, 1, 1, 2, 0, STRONG.answers, STRONG.invalid_output),
            ("weak", 3, WEAK.valid, 0, WEAK.refused, 1, 3, WEAK.answers, WEAK.invalid_output),
        ]


async def test_what_was_wrong_with_an_answer_is_in_its_call(tmp_path: Path) -> None:
    """Repairs cost money, and the field that needs them is in `error`, also where the row came out well."""
    path = str(tmp_path / "moods.duckdb")
    rows = [row for row, _ in await extracted()]
    table = insights_table("moods", [Column("score", "BIGINT", "Score.")])
    replace_partition(path, table, [date(2026, 3, 2)], pd.DataFrame(rows))
    sql = "select status, count(*), count(error), any_value(error) from llm_calls group by all order by 1"
    with query(path, sql) as found:
        told = {status: (calls, errors, error) for status, calls, errors, error in found.rows}
    assert told["answered"][1] == 0
    assert told["invalid_output"][0] == told["invalid_output"][1] > 0
    assert "score" in told["invalid_output"][2] or "JSON" in told["invalid_output"][2]
    assert told["refused"][2].startswith("the model refused")
