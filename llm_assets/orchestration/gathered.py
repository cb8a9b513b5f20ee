"""What a stage's results leave behind as they come: their rows, and sums over their calls.

Ten thousand transcripts with all that is known of their calls are hundreds of megabytes; their rows and the
sums are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Generic, TypeVar

from llm_assets.errors import LLMAssetsError, RequestTooDear
from llm_assets.llm.requests import Outcome
from llm_assets.llm.retry import is_mendable
from llm_assets.orchestration.chart import CallsChart
from llm_assets.orchestration.errors import Outages, unmended_failure
from llm_assets.orchestration.metadata import CallSums
from llm_assets.orchestration.row_builder import RowBuilder
from llm_assets.records import Insight, RowStatus, Transcript
from llm_assets.warehouse.plain import Row, Rows
from llm_assets.warehouse.tables import Table

Result = TypeVar("Result", Transcript, Insight)


@dataclass(frozen=True, slots=True)
class CallsSeen:
    """What calls add up to, day by day, and the picture of all of them."""

    by_day: defaultdict[date, CallSums] = field(default_factory=lambda: defaultdict(CallSums))
    chart: CallsChart = field(default_factory=CallsChart)

    def add(self, day: date, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.by_day[day].add(outcome)
            self.chart.add(outcome)


@dataclass(slots=True)
class BeyondBudget:
    """Calls that were dearer than a whole budget: a few are rows, all of them a budget that is too small."""

    first: RequestTooDear | None = None
    is_all: bool = True

    def add(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if not isinstance(outcome.error, RequestTooDear):
                self.is_all = False
            elif self.first is None:
                self.first = outcome.error

    def raise_if_all(self, stage: str) -> None:
        """Raise RequestTooDear when there was no other call."""
        if self.is_all and self.first is not None:
            raise RequestTooDear(f"none of the {stage} could be asked for: {self.first}")


class Gathered(Generic[Result]):
    """The rows of a table with room for `count` of them, in the order of their positions."""

    def __init__(
        self, table: Table, count: int, to_row: Callable[[date, Result, Sequence[Outcome]], Row]
    ) -> None:
        self.calls = CallsSeen()
        self._count = count
        self._rows = RowBuilder(table, count)
        self._to_row = to_row
        self._outages = Outages()
        self._beyond_budget = BeyondBudget()

    def add(self, day: date, result: Result, outcomes: Sequence[Outcome], position: int, *again: int) -> None:
        """A result and its calls. At the positions `again` stands the same content: one row got the calls and
        their cost, so that the sums over rows and over calls agree.
        """
        self._rows.put(position, self._to_row(day, result, outcomes))
        for other in again:
            self._rows.put(other, self._to_row(day, result.without_calls(), ()))
        self.calls.add(day, outcomes)
        self._beyond_budget.add(outcomes)
        if result.status is RowStatus.FAILED:
            self._outages.add(_outage(outcomes))

    def raise_if_mendable(self, stage: str) -> None:
        """Raise dg.Failure when rows failed for nothing but an outage, which a later run can mend.

        Raises RequestTooDear when nothing could be asked because all of it is dearer than the budget.
        """
        if self._outages.count:
            raise unmended_failure(stage, self._outages, self._count)
        self._beyond_budget.raise_if_all(stage)

    def rows(self) -> Rows:
        """The rows. Asked once."""
        return self._rows.rows()


def _outage(outcomes: Sequence[Outcome]) -> LLMAssetsError | None:
    return next((each.error for each in outcomes if each.error is not None and is_mendable(each.error)), None)
