"""What an asset of insights does: have the output model's fields extracted from each transcript."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.insights.extract import extract
from llm_assets.insights.prompts import Extractor
from llm_assets.llm.requests import Outcome
from llm_assets.orchestration.calls import Call, ask_all
from llm_assets.orchestration.gathered import Gathered
from llm_assets.orchestration.insights_plan import InsightsPlan
from llm_assets.orchestration.rows import insight_row, transcripts_of
from llm_assets.orchestration.stage_result import StageResult
from llm_assets.records import Insight, Transcript
from llm_assets.warehouse.plain import Rows
from llm_assets.warehouse.tables import Table

if TYPE_CHECKING:
    from llm_assets.orchestration.resource import OpenAIResource


def make_insights(
    context: dg.AssetExecutionContext,
    openai: OpenAIResource,
    transcripts: Rows,
    extractor: Extractor,
    table: Table,
) -> StageResult:
    """Extract the output model's fields from the transcripts of the run's days."""
    items = transcripts_of(transcripts)
    config = openai.client_config(extractor.chain)
    planned = InsightsPlan(context, items, extractor, config)

    async def ask(transcript: Transcript, call: Call) -> tuple[Insight, tuple[Outcome, ...]]:
        return await extract(transcript, extractor, call, planned.models)

    gathered = Gathered(table, len(items), partial(insight_row, run_id=context.run.run_id))
    asked = ask_all(
        context,
        openai,
        items,
        ask,
        gathered,
        concurrency=openai.max_concurrency,
        chat=extractor.chain,
        before=planned.announce,
    )
    gathered.raise_if_mendable(extractor.name)
    # As all that is of the run: where it made several days, each of them shows it.
    known = planned.plan.metadata() if planned.plan else {}
    plan = {f"run.{name}": value for name, value in known.items()}
    return StageResult(table=table, rows=gathered.rows(), asked=asked, more=plan)
