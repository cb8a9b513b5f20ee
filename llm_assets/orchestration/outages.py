"""An outage is waited out inside the asset's step, where a termination still gets through at once.

Dagster waits for a retry between steps. Its executor of one process, which the daily job uses, sleeps there
and hears of a termination when it wakes up. And to Dagster a termination is one more reason to try again: a
step with a policy begins anew. So the policy is not given to Dagster, and our own work is tried again here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import dagster as dg

from llm_assets.orchestration.errors import as_failures
from llm_assets.orchestration.progress import duration_text

# The client itself tries for some seconds, and the next morning asks for the day again: this is for what
# lies between, a server that restarts or a provider's bad minutes.
AFTER_AN_OUTAGE = dg.RetryPolicy(
    max_retries=2, delay=60, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)

V = TypeVar("V")


def through_outages(
    context: dg.AssetExecutionContext, policy: dg.RetryPolicy | None, attempt: Callable[[], V]
) -> V:
    """The result of the attempt, which is made again after an outage and after nothing else.

    Raises dg.Failure. Answers that came are in the journal, so an attempt asks only for what is missing.
    """
    for number in count(1):
        try:
            with as_failures():
                return attempt()
        except dg.Failure as failure:
            if not failure.allow_retries or policy is None:
                raise
            if number > policy.max_retries:
                # All its retries are used up: Dagster is not to begin with them anew.
                failure.allow_retries = False
                raise
            seconds = policy.calculate_delay(number)
            context.log.warning(
                f"{failure.description} Trying again in {duration_text(seconds)} "
                f"({number} of {policy.max_retries})."
            )
        except Exception as error:
            raise _of_no_known_kind(error) from error
        time.sleep(seconds)
    raise AssertionError("counting does not end")


def _of_no_known_kind(error: Exception) -> dg.Failure:
    """A bug, or what some library met with: nobody knows that another attempt would do better."""
    return dg.Failure(
        description=f"{type(error).__name__}: {error} (unforeseen, so not tried again; see its cause).",
        metadata={"error": type(error).__name__},
        allow_retries=False,
    )
