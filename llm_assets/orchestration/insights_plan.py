"""What a run of insights is going to ask, said before the first call: a log line, and an event with numbers.

Which rows are answered in the journal depends on prompt, schema and chain, so after a change of any of them
this says how much is asked anew. Calls that turn out to need repairs or parts come on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.insights.extract import first_request
from llm_assets.insights.prompts import Extractor
from llm_assets.llm.models import ClientConfig, Limits, ModelConfig
from llm_assets.llm.requests import ChatRequest
from llm_assets.planning import Plan, PlannedCalls, make_plan
from llm_assets.records import Transcript

if TYPE_CHECKING:
    from llm_assets.llm.client import LLMClient

_ROWS_AT_A_TIME = 200


class InsightsPlan:
    """Plans for the transcripts of a run. `plan` is None until the client has been asked."""

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
        self._extractor = extractor
        self._config = config

    @property
    def models(self) -> list[ModelConfig]:
        """The models of the chain, in the order in which they are tried."""
        return [entry for entry in self._config.chat if isinstance(entry, ModelConfig)]

    async def announce(self, client: LLMClient) -> None:
        """Count, and tell the log and Dagster's events."""
        if not self.models:
            return  # the first call says what is missing
        planned, without_model, answered = PlannedCalls(self.models[0], self._most_input_tokens()), 0, 0
        for transcripts in _batches(_distinct(self._transcripts)):
            requests = [first_request(transcript, self._extractor) for transcript in transcripts]
            needed = [request for request in requests if request is not None]
            known = await client.are_answered(needed)
            planned.add(_only(needed, known))
            without_model += len(requests) - len(needed)
            answered += sum(known)
        asset = self._context.asset_key
        self.plan = make_plan(
            asset.path[-1],
            planned,
            self._limits(self.models[0]),
            without_model=without_model,
            answered=answered,
        )
        self._context.log.info(str(self.plan))
        days = self._context.partition_keys
        self._context.log_event(
            dg.AssetObservation(
                asset,
                description=str(self.plan),
                metadata=self.plan.metadata(),
                partition=days[0] if len(days) == 1 else None,
            )
        )

    def _most_input_tokens(self) -> int | None:
        """What the roomiest model of the chain takes, where the context of each is known."""
        windows = [model.context_window for model in self.models if model.context_window is not None]
        return max(windows) if len(windows) == len(self.models) else None

    def _limits(self, model: ModelConfig) -> Limits | None:
        return model.limits or self._config.limits.get(model.pool or model.model)


def _only(requests: Iterable[ChatRequest], known: Iterable[bool]) -> Iterator[ChatRequest]:
    return (request for request, is_known in zip(requests, known, strict=True) if not is_known)


def _distinct(transcripts: Iterable[Transcript]) -> Iterator[Transcript]:
    """The same content on several days is asked once."""
    seen: set[str] = set()
    for transcript in transcripts:
        if transcript.recording_id not in seen:
            seen.add(transcript.recording_id)
            yield transcript


def _batches(transcripts: Iterable[Transcript]) -> Iterator[list[Transcript]]:
    waiting = iter(transcripts)
    while batch := list(islice(waiting, _ROWS_AT_A_TIME)):
        yield batch
