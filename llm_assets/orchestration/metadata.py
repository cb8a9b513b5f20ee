"""What a materialization reports: numbers that the UI plots over partitions, and a few rows to look at.

Everything is computed for one partition. `cost_usd` is what the rows cost when they were paid for,
`spent_usd` what this run added to the bill: the same partition again costs the same and spends nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from llm_assets.insights.quality import quality_by_model
from llm_assets.llm.metrics import MetricsSnapshot
from llm_assets.llm.requests import Outcome
from llm_assets.records import RowStatus

if TYPE_CHECKING:
    from pandas import DataFrame

DAY_FINGERPRINT = "recordings_fingerprint"

PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 100
WAITS = ("limit", "budget", "retry", "concurrency", "cool_down", "same_request")

# Shown nowhere in a preview: the same in all rows, long, or of no meaning to a person.
_NOT_PREVIEWED = frozenset({
    "partition_date", "recording_id", "sha256", "path", "segments", "llm_calls", "prompt_version",
    "from_journal", "fallback_reason", "transcribed_at", "extracted_at", "provider", "latency_seconds",
    "input_tokens", "output_tokens", "chunk_count", "size_bytes",
})  # fmt: skip


def row_metadata(frame: DataFrame) -> dict[str, Any]:
    """Counts by status, seconds of audio and a preview of the rows of one partition."""
    statuses = Counter(str(status) for status in frame["status"])
    counted = {f"rows_{status}": statuses[status] for status in RowStatus if statuses[status]}
    metadata: dict[str, Any] = {"dagster/partition_row_count": len(frame), "rows": len(frame), **counted}
    if "duration_seconds" in frame.columns:
        metadata["audio_seconds"] = round(float(frame["duration_seconds"].fillna(0.0).sum()), 3)
    return metadata | {"preview": dg.MetadataValue.md(preview(frame))}


def call_metadata(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Calls, attempts, tokens, seconds and US dollars of one partition, and calls and cost by model."""
    known = [outcome.cost_usd for outcome in outcomes if outcome.cost_usd is not None]
    answered = [outcome for outcome in outcomes if outcome.answer is not None]
    return {
        "calls": len(outcomes),
        "journal_hits": sum(outcome.from_journal for outcome in outcomes),
        "fallbacks": sum(outcome.fallback_reason is not None for outcome in answered),
        "attempts": sum(outcome.attempts for outcome in outcomes),
        "rate_limited": sum(outcome.rate_limited for outcome in outcomes),
        "wait_seconds": round(sum(outcome.wait_seconds for outcome in outcomes), 3),
        "input_tokens": sum(outcome.usage.input_tokens for outcome in outcomes),
        "output_tokens": sum(outcome.usage.output_tokens for outcome in outcomes),
        "billed_audio_seconds": round(sum(outcome.usage.audio_seconds for outcome in outcomes), 3),
        "cost_usd": float(sum(known, Decimal(0))),
        "spent_usd": float(sum((outcome.spent_usd for outcome in outcomes), Decimal(0))),
        "calls_of_unknown_price": sum(outcome.cost_usd is None for outcome in answered),
        **_by_model(answered),
        **_quality(answered),
    }


def _quality(answered: Sequence[Outcome]) -> dict[str, Any]:
    """How many of a chat model's answers were valid, repaired, refused and invalid."""
    chats = [outcome for outcome in answered if outcome.endpoint == "chat"]
    return {
        f"{name}.{kind}": getattr(quality, kind)
        for name, quality in quality_by_model(chats).items()
        for kind in ("valid", "repaired", "refused", "invalid_output")
    }


def run_metadata(metrics: MetricsSnapshot) -> dict[str, Any]:
    """What the whole run waited for, and how much of each limit it used. The same for all its partitions.

    `run.quota_share.…` counts what all who share the limit were charged while the run asked.
    """
    waits = {f"run.wait_seconds.{cause}": round(metrics.wait_seconds.get(cause, 0.0), 3) for cause in WAITS}
    shares = {
        f"run.quota_share.{limit.rpartition('/')[2].replace(' ', '.')}": round(use.share, 4)
        for limit, use in metrics.quota.items()
    }
    return {
        **waits,
        **shares,
        "run.rate_limited": metrics.rate_limited,
        "run.retried": metrics.retried,
        "run.latency_seconds_mean": round(metrics.latency_seconds.mean, 3),
    }


def _by_model(answered: Iterable[Outcome]) -> dict[str, Any]:
    calls: Counter[str] = Counter()
    costs: dict[str, Decimal] = {}
    for outcome in answered:
        name = f"{outcome.provider}.{outcome.model}"
        calls[name] += 1
        costs[name] = costs.get(name, Decimal(0)) + (outcome.cost_usd or Decimal(0))
    by_model = ({f"{name}.calls": calls[name], f"{name}.cost_usd": float(costs[name])} for name in calls)
    return {key: value for entry in by_model for key, value in entry.items()}


def preview(frame: DataFrame) -> str:
    """The first rows as a Markdown table, long texts cut."""
    if not len(frame):
        return "No recordings on this day."
    names = [str(name) for name in frame.columns if name not in _NOT_PREVIEWED]
    lines = [names, ["---"] * len(names)]
    for row in frame[names].head(PREVIEW_ROWS).itertuples(index=False):
        lines.append([_cell(value) for value in row])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: Any) -> str:
    text = " ".join(_text(value).split())
    if len(text) > PREVIEW_CHARACTERS:
        text = f"{text[:PREVIEW_CHARACTERS]}…"
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")


def _text(value: Any) -> str:
    from pandas import isna

    if isinstance(value, list):
        return "; ".join(_text(item) for item in cast("list[Any]", value))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(item)}" for name, item in cast("dict[str, Any]", value).items())
    return "" if isna(value) else str(value)
