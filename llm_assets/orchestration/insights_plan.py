"""What a run of insights will ask, said before the first call: a log line, and an event with numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.insights.prompts import Extractor
from llm_assets.llm.models import ClientConfig
from llm_assets.orchestration.insights_count import InsightsCount
from llm_assets.planning.plan import Plan
from llm_assets.records import Transcript

if TYPE_CHECKING:
    from llm_assets.llm.client import LLMClient


class InsightsPlan:
    """Plans for the transcripts of a run. `plan` is None until the client has been asked.

    `models` are the names of the chain's, in the order in which they are tried.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        transcripts: Iterable[Transcript],
        extractor: Extractor,
        config: ClientConfig,
    ) -> None:
        self.plan: Plan | None = None
        self._context = context
        self._transcripts = transcripts
        self._count = InsightsCount(extractor, config)
        self.models = [model.model for model in self._count.models]

    async def announce(self, client: LLMClient) -> None:
        """Count, and tell the log and Dagster's events."""
        if not self.models:
            return  # the first call says what is missing
        await self._count.add(self._transcripts, client.kept)
        asset = self._context.asset_key
        self.plan = plan = self._count.plan(asset.path[-1])
        assert plan is not None
        self._context.log.info(str(plan))
        days = self._context.partition_keys
        self._context.log_event(
            dg.AssetObservation(
                asset,
                description=str(plan),
                metadata=plan.metadata(),
                partition=days[0] if len(days) == 1 else None,
            )
        )
