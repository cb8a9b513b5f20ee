"""What is going to be asked about transcripts, counted: for a run before its first call, and without a run.

Which rows are answered in the journal depends on prompt, schema and chain, so after a change of any of them
this says how much is asked anew. Calls that turn out to need repairs come on top. A call that was read in
parts has answers for its parts alone, so those are looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from llm_assets.insights.extract import first_request
from llm_assets.insights.prompts import Extractor
from llm_assets.insights.replay import Replay, replay
from llm_assets.llm.kept import KeptAnswers
from llm_assets.llm.models import ClientConfig, Limits, ModelConfig
from llm_assets.llm.requests import ChatRequest
from llm_assets.planning.calls import PlannedCalls
from llm_assets.planning.plan import Plan, make_plan
from llm_assets.records import RowStatus, Transcript

_ROWS_AT_A_TIME = 200
# What is said in a second of a recording in which somebody speaks all the time.
_LETTERS_PER_SECOND = 15
_WORDS = "and this is what they say here "


class InsightsCount:
    """Counts the rows of an extractor's asset, whatever days they are of."""

    def __init__(self, extractor: Extractor, config: ClientConfig) -> None:
        self.models = [entry for entry in config.chat if isinstance(entry, ModelConfig)]
        self._extractor = extractor
        self._config = config
        self._planned = PlannedCalls(self.models[0], self._most_input_tokens()) if self.models else None
        self._rows = dict.fromkeys(("without_model", "answered", "repeated", "estimated"), 0)
        self._seen: set[str] = set()

    async def add(self, transcripts: Iterable[Transcript], kept: KeptAnswers) -> None:
        """Count these. Raises StateUnavailable."""
        for batch in _batches(self._to_read(transcripts)):
            known = await kept.are_answered([request for _, request in batch])
            for (transcript, request), is_known in zip(batch, known, strict=True):
                if is_known:
                    self._rows["answered"] += 1
                else:
                    await self._add_unknown(transcript, request, kept)

    def add_unheard(self, recording_id: str, seconds: float) -> None:
        """Count a recording of so many seconds that is not transcribed yet: perhaps nothing is said in it."""
        words = (_WORDS * (int(seconds * _LETTERS_PER_SECOND) // len(_WORDS) + 1)).strip()
        stand_in = Transcript(recording_id=recording_id, status=RowStatus.OK, text=words)
        for _, request in self._to_read([stand_in]):
            self._rows["estimated"] += 1
            self._add_to_ask(request, is_doubtful=True)

    def add_without_model(self, rows: int) -> None:
        """Count rows that are known to need none."""
        self._rows["without_model"] += rows

    def plan(self, asset: str) -> Plan | None:
        """What has been counted; None without a model, as the first call says what is missing."""
        if self._planned is None:
            return None
        return make_plan(asset, self._planned, self._limits(self._planned.model), **self._rows)

    def _to_read(self, transcripts: Iterable[Transcript]) -> Iterator[tuple[Transcript, ChatRequest]]:
        """Those a model has to read; the same content on several days, or twice a day, is asked once."""
        for transcript in transcripts:
            request = first_request(transcript, self._extractor)
            if request is None:
                self._rows["without_model"] += 1
            elif transcript.recording_id in self._seen:
                self._rows["repeated"] += 1
            else:
                self._seen.add(transcript.recording_id)
                yield transcript, request

    async def _add_unknown(self, transcript: Transcript, request: ChatRequest, kept: KeptAnswers) -> None:
        """A call without an answer of its own: asked anew, unless it was too long and its parts are there."""
        found = Replay()
        if await kept.too_long(request) is not None:
            names = [model.model for model in self.models]
            found = await replay(transcript, self._extractor, kept.outcome, names)
        if found.kept and not found.missing:
            self._rows["answered"] += 1
        else:
            self._add_to_ask(request, found.kept)

    def _add_to_ask(self, request: ChatRequest, kept_calls: int = 0, *, is_doubtful: bool = False) -> None:
        if self._planned is not None:
            self._planned.add(request, kept_calls=kept_calls, is_doubtful=is_doubtful)

    def _most_input_tokens(self) -> int | None:
        """What the roomiest model of the chain takes, where the context of each is known."""
        windows = [model.context_window for model in self.models if model.context_window is not None]
        return max(windows) if len(windows) == len(self.models) else None

    def _limits(self, model: ModelConfig) -> Limits | None:
        return model.limits or self._config.limits.get(model.pool or model.model)


def _batches(
    items: Iterator[tuple[Transcript, ChatRequest]],
) -> Iterator[list[tuple[Transcript, ChatRequest]]]:
    while batch := list(islice(items, _ROWS_AT_A_TIME)):
        yield batch
