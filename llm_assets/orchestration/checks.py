"""Checks beside the assets: what needs a person, with the numbers in their metadata.

They are computed where the rows are made, so they cost no second reading and hold for exactly the
partitions of the run. They never block: bad input is a row, not a reason to stop the good ones. How much
is still fine, and whether the rest is a warning or an error, is configuration.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import islice
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, field_validator

from llm_assets.llm.metrics import MetricsSnapshot
from llm_assets.llm.models import BudgetConfig
from llm_assets.records import RowStatus

if TYPE_CHECKING:
    from llm_assets.warehouse.plain import Rows

Judged = tuple[bool, str | None, dict[str, Any]]

_EXAMPLES = 10
_REASON_CHARACTERS = 240
_OF_ONE_REQUEST = re.compile(r"\brequest [\w-]*\d[\w-]*|\d+")

# From Dagster 1.13 on. Without, a check's tile is all there is of it: the latest run's days.
_CHECKS_HAVE_PARTITIONS = "partitions_def" in inspect.signature(dg.AssetCheckSpec).parameters


class CheckLimits(BaseModel):
    """What is still fine. Shares are of 1; `errors` names the checks whose failure is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fallback_share: float = Field(default=0.1, ge=0, le=1)
    turned_down_share: float = Field(default=0.02, ge=0, le=1)
    budget_share: float = Field(default=0.8, gt=0, le=1)
    quota_share: float = Field(default=0.9, gt=0, le=1)
    errors: frozenset[str] = frozenset()

    @field_validator("errors")
    @classmethod
    def _are_checks(cls, names: frozenset[str]) -> frozenset[str]:
        if unknown := sorted(names - CHECK_NAMES):
            raise ValueError(f"{unknown[0]!r} is no check: they are {', '.join(sorted(CHECK_NAMES))}")
        return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a stage made and from what; counters and budget where it called models.

    `days` are the run's days.
    """

    rows: Rows
    days: Sequence[date] = ()
    upstream: Rows | None = None
    metrics: MetricsSnapshot | None = None
    budget: BudgetConfig | None = None
    spent: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])

    def of(self, day: date) -> Facts:
        """What there is of one day alone."""
        from llm_assets.orchestration.rows import of_day

        upstream = None if self.upstream is None else of_day(self.upstream, day)
        return Facts(rows=of_day(self.rows, day), upstream=upstream, days=(day,))


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, what it promises, and how it is judged (passed, a sentence, numbers).

    It holds for each of a run's days, unless it is `of_the_run`, whose budget and limits are one.
    """

    name: str
    description: str
    judge: Callable[[Facts, CheckLimits], Judged]
    of_the_run: bool = False

    def spec(self, asset: dg.AssetKey, days: dg.PartitionsDefinition[Any] | None) -> dg.AssetCheckSpec:
        """By day where Dagster can and every run is of one: what a run says stays with its day.

        Of a run of several days Dagster keeps no result with partitions: the tile would show none as passed
        or failed, so without `days` the latest run's result stands for all of its days.
        """
        by_day: dict[str, Any] = {"partitions_def": days} if days and _CHECKS_HAVE_PARTITIONS else {}
        return dg.AssetCheckSpec(self.name, asset=asset, description=self.description, **by_day)

    def result(self, facts: Facts, limits: CheckLimits) -> dg.AssetCheckResult:
        passed, said, numbers = self.judge(facts, limits)
        if len(facts.days) > 1:
            numbers |= {"days": f"{facts.days[0]}...{facts.days[-1]}"}
            # What is fine as a whole may not be on each day; where nothing is amiss, nothing is on any.
            if not self.of_the_run and (not passed or numbers.get("count")):
                judged = ((day, self.judge(facts.of(day), limits)) for day in facts.days)
                failing = [f"{day}: {why}" for day, (is_fine, why, _) in judged if not is_fine]
                passed, said = not failing, _of_days(failing, len(facts.days))
                numbers |= {"failing_days": _list(failing)} if failing else {}
        severe = dg.AssetCheckSeverity.ERROR if self.name in limits.errors else dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            check_name=self.name, passed=passed, severity=severe, description=said, metadata=numbers
        )


def _of_days(failing: Sequence[str], days: int) -> str | None:
    return f"Fails on {len(failing)} of {days} days. {failing[0]}" if failing else None


def _list(lines: Sequence[str]) -> dg.MarkdownMetadataValue:
    more = [f"{len(lines) - _EXAMPLES} more"] if len(lines) > _EXAMPLES else []
    return dg.MetadataValue.md("\n".join(f"- {line}" for line in [*lines[:_EXAMPLES], *more]))


def _usable_rows(facts: Facts, _: CheckLimits) -> Judged:
    return _rows_that_count(facts.rows, _with(facts.rows, {*RowStatus} - {RowStatus.OK}), "are not usable")


def _nothing_failed(facts: Facts, _: CheckLimits) -> Judged:
    failed = _with(facts.rows, {RowStatus.FAILED})
    passed, said, numbers = _rows_that_count(facts.rows, failed, "failed")
    return passed, said and f"{said} {_most_frequent_reason(failed)}", numbers


def _most_frequent_reason(failed: Rows) -> str:
    """In its own words, as far as they fit; numbers and names of requests make no other reason of it."""
    reasons = [str(error or "") for error in failed.columns["error"]]
    kinds = [_OF_ONE_REQUEST.sub("", reason) for reason in reasons]
    ((kind, count),) = Counter(kinds).most_common(1)
    reason = shorten(reasons[kinds.index(kind)], _REASON_CHARACTERS, placeholder=" …") or "no reason is known"
    return f"{'The reason' if count == len(reasons) else f'The most frequent reason ({count})'}: {reason}"


def _with(rows: Rows, statuses: Collection[RowStatus]) -> Rows:
    return rows.at([at for at, status in enumerate(rows.columns["status"]) if status in statuses])


def _rows_that_count(rows: Rows, bad: Rows, what: str) -> Judged:
    numbers: dict[str, Any] = {"rows": len(rows), "unusable": len(bad), **_by_status(rows)}
    if not len(bad):
        return True, None, numbers
    return False, f"{len(bad)} of {len(rows)} rows {what}.", numbers | _first_reasons(bad)


def _by_status(rows: Rows) -> dict[str, int]:
    statuses = _statuses(rows)
    return {f"rows_{status}": statuses[status] for status in RowStatus if statuses[status]}


def _statuses(rows: Rows) -> Counter[str]:
    return Counter(map(str, rows.columns["status"]))


def _first_reasons(rows: Rows) -> dict[str, Any]:
    reasons = [
        f"- `{row['recording_id']}` {row['status']}: {' '.join(str(row['error'] or '').split())}"
        for row in islice(rows, _EXAMPLES)
    ]
    return {"first_reasons": dg.MetadataValue.md("\n".join(reasons))}


def _row_per_recording(facts: Facts, _: CheckLimits) -> Judged:
    assert facts.upstream is not None
    wanted, found = _identities(facts.upstream), _identities(facts.rows)
    missing, surplus = (wanted - found).total(), (found - wanted).total()
    said = None if not missing + surplus else f"{missing} rows are missing, {surplus} came out of nothing."
    numbers = {"recordings": wanted.total(), "missing": missing, "surplus": surplus}
    return said is None, said, numbers


def _identities(rows: Rows) -> Counter[tuple[str, str]]:
    """Counted, not collected: the same content twice in a day is two rows."""
    days = (str(day)[:10] for day in rows.columns["partition_date"])
    return Counter(zip(days, map(str, rows.columns["recording_id"]), strict=True))


def _turned_down(facts: Facts, limits: CheckLimits) -> Judged:
    statuses = _statuses(facts.rows)
    refused, invalid = statuses[RowStatus.REFUSED], statuses[RowStatus.INVALID_OUTPUT]
    asked = refused + invalid + statuses[RowStatus.OK]
    numbers = {"refused": refused, "invalid_output": invalid}
    return _share(
        "answers were refused or of no use", refused + invalid, asked, limits.turned_down_share, numbers
    )


def _fallback_share(facts: Facts, limits: CheckLimits) -> Judged:
    answered = _with(facts.rows, {RowStatus.OK})
    reasons = Counter(str(reason) for reason in answered.columns["fallback_reason"] if reason is not None)
    by_reason = {f"because_{reason}": count for reason, count in reasons.most_common(_EXAMPLES)}
    return _share(
        "rows are from a fallback", reasons.total(), len(answered), limits.fallback_share, by_reason
    )


def _transcript_length(facts: Facts, _: CheckLimits) -> Judged:
    from llm_assets.transcription.judge import is_suspiciously_short

    ok = _with(facts.rows, {RowStatus.OK})
    judged = zip(*(ok.columns[name] for name in ("recording_id", "text", "duration_seconds")), strict=True)
    short = [str(each) for each, text, seconds in judged if is_suspiciously_short(text or "", seconds or 0.0)]
    numbers: dict[str, Any] = {"transcripts": len(ok), "suspiciously_short": len(short)}
    if not short:
        return True, None, numbers
    shown = dg.MetadataValue.md("\n".join(f"- `{each}`" for each in short[:_EXAMPLES]))
    said = f"{len(short)} of {len(ok)} transcripts say hardly anything for their length: listen to one."
    return False, said, numbers | {"recordings": shown}


def _budget_use(facts: Facts, limits: CheckLimits) -> Judged:
    """Of all that counts under a cap: the run's other assets, the day's other runs."""
    spent = facts.metrics.spent_usd if facts.metrics else Decimal(0)
    numbers: dict[str, Any] = {"spent_usd": float(spent)}
    budget = facts.budget
    caps = {"run": budget.usd_per_run, "day": budget.usd_per_day} if budget else {}
    used = {name: facts.spent.get(name, spent) for name in caps}
    shares = {name: float(used[name] / cap) for name, cap in caps.items() if cap}
    numbers |= {f"spent_of_{name}_usd": float(used[name]) for name in shares}
    numbers |= {f"share_of_{name}": round(share, 4) for name, share in shares.items()}
    if all(share <= limits.budget_share for share in shares.values()):
        return True, None if shares else "There is no budget in USD.", numbers
    name, share = max(shares.items(), key=lambda each: each[1])
    return False, f"{share:.0%} of the budget of the {name} ({caps[name]} USD) is spent.", numbers


def _quota_use(facts: Facts, limits: CheckLimits) -> Judged:
    """Of limits per day only: one per minute is there to be used, one per day ends the day's work."""
    quota = facts.metrics.quota if facts.metrics else {}
    shares = {name.rpartition("/")[2]: use.share for name, use in quota.items() if "day" in name}
    numbers: dict[str, Any] = {name.replace(" ", "."): round(share, 4) for name, share in shares.items()}
    tight = [name for name, share in shares.items() if share > limits.quota_share]
    said = None if shares else "No limit per day is known of the models that were asked."
    if tight:
        said = f"Little is left of today's {', '.join(sorted(tight))}."
    return not tight, said, numbers


def _share(what: str, count: int, total: int, allowed: float, numbers: Mapping[str, Any]) -> Judged:
    share = count / total if total else 0.0
    all_numbers = {"count": count, "of": total, "share": round(share, 4), "allowed": allowed, **numbers}
    if share <= allowed:
        return True, None, all_numbers
    return False, f"{count} of {total} {what} ({share:.0%}, allowed {allowed:.0%}).", all_numbers


USABLE_ROWS = Check(
    "usable_rows", "Every recording can be used: none is too short or unreadable.", _usable_rows
)
ROW_PER_RECORDING = Check(
    "row_per_recording", "Every row upstream came out as exactly one row here.", _row_per_recording
)
NOTHING_FAILED = Check("nothing_failed", "No row failed for a request that cannot work.", _nothing_failed)
TURNED_DOWN = Check(
    "turned_down", "Few answers were refused by the model or did not fit what was asked.", _turned_down
)
FALLBACK_SHARE = Check(
    "fallback_share", "Few rows were answered by another than the first model.", _fallback_share
)
TRANSCRIPT_LENGTH = Check(
    "transcript_length", "No transcript says hardly anything for its length.", _transcript_length
)
BUDGET_USE = Check(
    "budget_use", "Enough is left of the budgets of the run and the day.", _budget_use, of_the_run=True
)
QUOTA_USE = Check(
    "quota_use", "Enough is left of the provider's limits per day.", _quota_use, of_the_run=True
)

OF_RECORDINGS: Sequence[Check] = (USABLE_ROWS,)
OF_ANSWERS: Sequence[Check] = (
    ROW_PER_RECORDING,
    NOTHING_FAILED,
    TURNED_DOWN,
    FALLBACK_SHARE,
    BUDGET_USE,
    QUOTA_USE,
)
OF_TRANSCRIPTS: Sequence[Check] = (*OF_ANSWERS, TRANSCRIPT_LENGTH)
CHECK_NAMES = frozenset(check.name for check in (*OF_RECORDINGS, *OF_TRANSCRIPTS))

USUAL_LIMITS = CheckLimits()
