"""Errors arrive in Dagster with a sentence of what to do, and are retried only where that helps."""

from __future__ import annotations

import dagster as dg
import pytest

from llm_assets.errors import (
    BudgetExceeded,
    ConfigurationError,
    ConnectionFailed,
    CredentialsRefused,
    LLMAssetsError,
    MissingExtra,
    NotServed,
    PriceUnknown,
    QuotaExhausted,
    RecordingsRefused,
    RecordingsUnavailable,
    RequestRejected,
    RequestTooDear,
    ServerFailed,
    StateUnavailable,
    WarehouseLocked,
    WarehouseMissing,
)
from llm_assets.orchestration.errors import Outages, as_failures, unmended_failure


@pytest.mark.parametrize(
    ("error", "retried", "advice"),
    [
        (BudgetExceeded("The cap of 5 USD is reached"), False, "raise the budget"),
        (QuotaExhausted("No credit", 429, "insufficient_quota"), False, "add credit"),
        (CredentialsRefused("Wrong key", 401), False, "is kept"),
        (NotServed("no model gpt-nope", 404), False, "is kept"),
        (RequestTooDear("none could be asked for"), False, "is kept"),
        (PriceUnknown("No price for qwen"), False, "Give the model a price"),
        (ConfigurationError("LLM_ASSETS_START_DATE"), False, ""),
        (MissingExtra("S3", "s3"), False, "pip install"),
        (WarehouseLocked("held by process 7"), True, ""),
        (StateUnavailable("gone"), True, "bring the shared state back"),
        (ServerFailed("down", 503), True, "materialize again"),
        (RecordingsUnavailable("a network that is silent"), True, ""),
        (RecordingsRefused("no such bucket"), False, ""),
        (RequestRejected("bad request", 400), False, ""),
        (WarehouseMissing("recordings was never materialized"), False, ""),
    ],
)
def test_only_what_waiting_mends_is_retried(error: LLMAssetsError, retried: bool, advice: str) -> None:
    """A person sees what happened and what to do; the cause stays attached."""
    with pytest.raises(dg.Failure) as caught, as_failures():
        raise error
    assert caught.value.allow_retries is retried
    assert str(error) in str(caught.value.description)
    assert advice in str(caught.value.description)
    assert caught.value.__cause__ is error


def test_facts_of_a_call_are_metadata() -> None:
    """Status and request id are there for a support ticket."""
    with pytest.raises(dg.Failure) as caught, as_failures():
        raise CredentialsRefused("Wrong key", 401, "invalid_api_key", "req_7")
    values = {name: value.value for name, value in caught.value.metadata.items()}
    assert values == {
        "error": "CredentialsRefused",
        "http_status": 401,
        "code": "invalid_api_key",
        "request_id": "req_7",
    }


def test_an_outage_counts_what_it_left_undone() -> None:
    """The failure says how many rows are missing and that nothing was replaced."""
    outages = Outages()
    for error in (ConnectionFailed("refused"), None, ConnectionFailed("reset")):
        outages.add(error)
    failure = unmended_failure("transcripts", outages, 10)
    assert "2 of 10 transcripts" in str(failure.description)
    assert "(ConnectionFailed); the first: refused." in str(failure.description)
    assert "left as it was" in str(failure.description)
    assert failure.allow_retries


def test_other_exceptions_pass() -> None:
    """A bug is not dressed up as a known failure."""
    with pytest.raises(ZeroDivisionError), as_failures():
        _ = 1 / 0
