"""What the calls for one recording add up to: cost, latency, models, where the answers came from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from llm_assets.llm.requests import Outcome
from llm_assets.records import RowStatus, Transcript
from llm_assets.transcription.stitch import AnsweredChunk, stitch


def summarized(
    row: Transcript,
    outcomes: Sequence[Outcome],
    answered: Sequence[AnsweredChunk] | None = None,
    speakers: Sequence[str] = (),
) -> Transcript:
    """`row` with the sums over its calls, and with text and segments when the answers are given.

    Cost counts what was answered, also where the transcript failed as a whole, or where an answer was cut
    short and asked for again. Latency is the sum over the calls, which ran side by side.
    """
    if answered is not None:
        text, segments = stitch(answered, duration_seconds=row.duration_seconds, speakers=speakers)
        row = replace(row, text=text, segments=segments)
    answers = [outcome for outcome in outcomes if outcome.answer is not None]
    return replace(
        row,
        language=_first(outcome.answer.language for outcome in outcomes if outcome.answer),
        chunk_count=len(outcomes if answered is None else answered),
        model=_joined(outcome.model for outcome in answers),
        provider=_joined(outcome.provider for outcome in answers),
        fallback_reason=_first(outcome.fallback_reason for outcome in answers),
        from_journal=bool(answers) and all(outcome.from_journal for outcome in answers),
        cost_usd=_total([outcome.cost_usd for outcome in answers]),
        latency_seconds=sum(outcome.latency_seconds for outcome in outcomes) if outcomes else None,
        transcribed_at=max((outcome.finished_at for outcome in answers), default=None),
    )


def without_speech(row: Transcript) -> Transcript:
    """`row`, which is `too_short` where every answer came and nobody says a word."""
    if row.status is not RowStatus.OK or (row.text or "").strip():
        return row
    return replace(row, status=RowStatus.TOO_SHORT, error="no speech: the model heard not a word in it")


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)


def _joined(names: Iterable[str | None]) -> str | None:
    """Each name once, in the order of first use."""
    return ",".join(dict.fromkeys(name for name in names if name)) or None


def _total(costs: Sequence[Decimal | None]) -> Decimal | None:
    """A sum with an unknown part is unknown, and so is the cost of nothing answered."""
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(costs) else None
