"""One chunk to the answers that stand for it: asked, judged, asked again in halves where it was cut short.

A text that stops at the model's output limit comes with status 200 and looks like any other. Where the
provider's figures tell, the chunk is halved until its parts are answered whole. Where a text is merely far
too short, the halves are asked once: if they say no more than the whole did, that was all there is (music
in a waiting line is no speech, and no error).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from llm_assets.errors import RecordingUnreadable
from llm_assets.llm.requests import Answer, Outcome, TranscriptionRequest
from llm_assets.records import AudioChunk, RowStatus
from llm_assets.transcription.judge import Fault, fault_of, is_cut_off, says_more, says_too_little
from llm_assets.transcription.options import TranscriptionOptions
from llm_assets.transcription.stitch import AnsweredChunk
from llm_assets.transcription.wording import joined

Call = Callable[[TranscriptionRequest], Awaitable[Outcome]]
Halve = Callable[[AudioChunk], Awaitable[tuple[AudioChunk, AudioChunk]]]
Part = tuple[int, ...]  # the chunk's number, then which half of which half

SHORTEST_HALVED_SECONDS = 20.0
_TAIL_LETTERS = 200
# Below this a hash is made faster than a thread is asked for it.
_HASHED_AT_ONCE_BYTES = 256 * 1024


@dataclass(slots=True)
class Asking:
    """The calls for the chunks of one recording: every outcome, and the faults, by part."""

    recording_id: str
    call: Call
    halve: Halve | None
    options: TranscriptionOptions
    outcomes: dict[Part, Outcome] = field(default_factory=dict[Part, Outcome])
    faults: dict[tuple[float, Part], Fault] = field(default_factory=dict[tuple[float, Part], Fault])

    async def answers(self, chunk: AudioChunk, part: Part, said_before: str = "") -> list[AnsweredChunk]:
        """What stands for a chunk: one answer, or those of its halves; none when there is a fault."""
        outcome = await self._ask(chunk, part, said_before)
        return await self._settled(chunk, part, outcome, said_before)

    async def _settled(
        self, chunk: AudioChunk, part: Part, outcome: Outcome, said_before: str
    ) -> list[AnsweredChunk]:
        answer, fault = outcome.answer, fault_of(outcome)
        if fault is not None or answer is None:
            return self._failed(chunk, part, fault)
        whole = _answered(chunk, answer)
        cut_off = is_cut_off(answer)
        if not cut_off and not says_too_little(whole.text, chunk):
            return [whole]
        if self.halve is None or chunk.audio_seconds < 2 * SHORTEST_HALVED_SECONDS:
            return self._failed(chunk, part, _cut_off_at(outcome)) if cut_off else [whole]
        return await self._halved(chunk, part, whole, said_before, certain=cut_off)

    async def _halved(
        self, chunk: AudioChunk, part: Part, whole: AnsweredChunk, said_before: str, *, certain: bool
    ) -> list[AnsweredChunk]:
        assert self.halve is not None
        try:
            halves = await self.halve(chunk)
        except RecordingUnreadable as error:
            return self._failed(chunk, part, (RowStatus.UNREADABLE, str(error)))
        parts = [(half, (*part, number)) for number, half in enumerate(halves)]
        outcomes = await self._ask_in_order(parts, said_before)
        texts = [outcome.answer.text for outcome in outcomes if outcome.answer is not None]
        if not certain and len(texts) == len(parts) and not says_more(joined(texts), whole.text):
            return [whole]
        settled: list[AnsweredChunk] = []
        for (half, name), outcome in zip(parts, outcomes, strict=True):
            settled += await self._settled(half, name, outcome, said_before)
            said_before = settled[-1].text if settled else ""
        return settled

    async def _ask_in_order(self, parts: list[tuple[AudioChunk, Part]], said_before: str) -> list[Outcome]:
        """One after the other: this is rare, and the second one may continue the first one's text."""
        outcomes: list[Outcome] = []
        for half, part in parts:
            outcomes.append(await self._ask(half, part, said_before))
            answer = outcomes[-1].answer
            said_before = answer.text if answer is not None else ""
        return outcomes

    async def _ask(self, chunk: AudioChunk, part: Part, said_before: str) -> Outcome:
        outcome = await self.call(await self._request(chunk, part, said_before))
        self.outcomes[part] = outcome
        return outcome

    async def _request(self, chunk: AudioChunk, part: Part, said_before: str) -> TranscriptionRequest:
        name = f"{self.recording_id}:{'.'.join(map(str, part))}"
        return TranscriptionRequest(
            audio=chunk.audio,
            file_name=chunk.file_name,
            sha256=await _sha256(chunk.audio),
            duration_seconds=chunk.audio_seconds,
            key=name,
            subject=name,
            language=self.options.language,
            prompt=self._prompt(said_before),
            keywords=self.options.keywords,
        )

    def _prompt(self, said_before: str) -> str | None:
        if not self.options.continue_prompt:
            return self.options.prompt
        return " ".join(filter(None, (self.options.prompt, _tail(said_before)))) or None

    def _failed(self, chunk: AudioChunk, part: Part, fault: Fault | None) -> list[AnsweredChunk]:
        status, reason = fault or (RowStatus.FAILED, "no answer")
        stretch = f"{chunk.start_seconds:.0f} s to {chunk.end_seconds:.0f} s"
        self.faults[chunk.start_seconds, part] = status, f"{stretch}: {reason}"
        return []


def _answered(chunk: AudioChunk, answer: Answer) -> AnsweredChunk:
    return AnsweredChunk(
        start_seconds=chunk.start_seconds,
        end_seconds=chunk.end_seconds,
        channel=chunk.channel,
        spans=chunk.spans,
        answer=answer,
    )


def _cut_off_at(outcome: Outcome) -> Fault:
    return RowStatus.FAILED, (
        f"cut off at the output limit of {outcome.model} however short the audio; "
        "take it out of the transcription chain or correct its max_output_tokens"
    )


def _tail(text: str) -> str:
    """The last words, beginning with a whole one."""
    if len(text) <= _TAIL_LETTERS:
        return text
    tail = text[-_TAIL_LETTERS:]
    return tail.partition(" ")[2] or tail


async def _sha256(audio: bytes) -> str:
    if len(audio) <= _HASHED_AT_ONCE_BYTES:
        return hashlib.sha256(audio).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(audio).hexdigest())
