"""Our errors as Dagster failures: what happened, the facts as metadata, and one sentence of what to do.

Only what another attempt can mend may be retried by Dagster; a missing key or a spent budget may not.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import dagster as dg

from llm_assets.errors import (
    BudgetExceeded,
    CallFailed,
    CredentialsRefused,
    LLMAssetsError,
    NotServed,
    PriceUnknown,
    QuotaExhausted,
    RecordingsRefused,
    RecordingsUnavailable,
    RequestTooDear,
    RunStopped,
    StateMissing,
    StateUnavailable,
    TableMismatch,
    WarehouseError,
    WarehouseMissing,
    WorkersUnavailable,
)
from llm_assets.llm.retry import is_mendable

V = TypeVar("V")

# What passes by itself. A failed call is asked whether it does.
_PASSES = (RecordingsUnavailable, StateUnavailable, WarehouseError, WorkersUnavailable)
# Among these, what a person has to change first.
_STAYS = (RecordingsRefused, StateMissing, TableMismatch, WarehouseMissing)

_KEPT = "Everything paid for is kept"

# What to do, where the error's own message does not say it.
_ADVICE: Mapping[type[LLMAssetsError], str] = {
    BudgetExceeded: f"{_KEPT}: raise the budget, then materialize again.",
    QuotaExhausted: f"{_KEPT}: add credit at the provider, then materialize again.",
    CredentialsRefused: f"{_KEPT}: materialize again after that.",
    NotServed: f"{_KEPT}: materialize again after that.",
    RequestTooDear: f"{_KEPT}: materialize again after that.",
    PriceUnknown: "Give the model a price in its chain entry, or allow unknown prices in the budget.",
    StateUnavailable: f"{_KEPT}: bring the shared state back, then materialize again.",
    RunStopped: f"{_KEPT}: a later run goes on from here.",
    CallFailed: f"{_KEPT}: materialize again; answers that came are not asked for twice.",
}


@contextmanager
def as_failures() -> Generator[None]:
    """Turn every error of this package into a `dg.Failure`; other exceptions pass as they are."""
    try:
        yield
    except LLMAssetsError as error:
        raise failure(error) from error


def failure(error: LLMAssetsError) -> dg.Failure:
    """The Dagster failure for an error: one sentence of what happened, one of what to do."""
    advice = _nearest(_ADVICE, type(error))
    description = " ".join(part for part in (_sentence(str(error)), advice) if part)
    return dg.Failure(
        description=description,
        metadata=_facts(error),
        allow_retries=_passes(error),
    )


def _passes(error: LLMAssetsError) -> bool:
    return is_mendable(error) or (isinstance(error, _PASSES) and not isinstance(error, _STAYS))


@dataclass(slots=True)
class Outages:
    """Errors of rows that a later run can mend: how many, of which kinds, and the first of them."""

    count: int = 0
    kinds: set[str] = field(default_factory=set[str])
    first: LLMAssetsError | None = None

    def add(self, error: LLMAssetsError | None) -> None:
        """None is no outage."""
        if error is not None:
            self.count += 1
            self.kinds.add(type(error).__name__)
            self.first = self.first or error


def unmended_failure(stage: str, outages: Outages, row_count: int) -> dg.Failure:
    """The failure of a run in which calls failed for reasons that pass, after everything else was done."""
    assert outages.first is not None
    return dg.Failure(
        description=(
            f"{outages.count} of {row_count} {stage} could not be made because of an outage "
            f"({', '.join(sorted(outages.kinds))}); the first: {_sentence(str(outages.first))} The partition "
            f"was left as it was. {_ADVICE[CallFailed]}"
        ),
        metadata={"failed_rows": outages.count, "rows": row_count, **_facts(outages.first)},
    )


def _facts(error: LLMAssetsError) -> dict[str, str | int]:
    facts: dict[str, str | int | None] = {"error": type(error).__name__}
    if isinstance(error, CallFailed):
        facts |= {"http_status": error.http_status, "code": error.code, "request_id": error.request_id}
    return {name: value for name, value in facts.items() if value is not None}


def _nearest(table: Mapping[type[LLMAssetsError], V], kind: type[LLMAssetsError]) -> V | None:
    """The entry of the class or of the nearest of its bases that has one."""
    return next((table[base] for base in kind.__mro__ if base in table), None)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
