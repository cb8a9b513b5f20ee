"""What passes by itself is tried again within the step; what a person has to mend fails at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from fake_openai import write_wav
from pydantic import BaseModel, Field

from llm_assets import DuckDBFrameIOManager, Extractor, OpenAIResource, build_audio_insights
from llm_assets.errors import CredentialsRefused, StateUnavailable
from llm_assets.orchestration.outages import AFTER_AN_OUTAGE, through_outages
from llm_assets.testing import FakeProvider

DAY = "2026-03-02"


class Complaint(BaseModel):
    """What somebody complains of."""

    about: str = Field(description="The thing complained of.")


def run(root: Path, provider: FakeProvider, retry_policy: dg.RetryPolicy | None) -> dg.ExecuteInProcessResult:
    write_wav(root / DAY / "call.wav", 6)
    openai = OpenAIResource(
        base_url=provider.base_url, transcription=["gpt-transcribe"], retry={"max_attempts": 1}
    )
    kept = DuckDBFrameIOManager(path=str(root / "calls.duckdb"))
    defs = dg.Definitions.merge(
        build_audio_insights(
            root,
            dg.DailyPartitionsDefinition(start_date=DAY),
            extractors=[Extractor("complaints", Complaint, "Say what the caller complains of.")],
            retry_policy=retry_policy,
        ),
        dg.Definitions(resources={"openai": openai, "io_manager": kept}),
    )
    job = defs.resolve_job_def("audio_insights_daily")
    return job.execute_in_process(partition_key=DAY, raise_on_error=False)


@pytest.mark.parametrize(
    ("status", "code", "times", "retries", "asked"),
    [
        (500, "server_error", 1, 2, 2),
        (500, "server_error", 2, 2, 3),
        (500, "server_error", 9, 2, 3),
        (500, "server_error", 9, None, 1),
        (429, "insufficient_quota", 9, 2, 1),
        (401, "invalid_api_key", 9, 2, 1),
    ],
)
def test_only_what_passes_by_itself_is_tried_again(
    tmp_path: Path, status: int, code: str, times: int, retries: int | None, asked: int
) -> None:
    """An outage as often as the policy says, in one step; no credit and a wrong key not at all."""
    policy = dg.RetryPolicy(max_retries=retries) if retries else None
    with FakeProvider(chat={"about": "the bill"}) as provider:
        provider.fail_with(status, code, times)
        result = run(tmp_path, provider, policy)
        assert result.success is (times < asked)
        assert provider.transcriptions == asked
    kinds = [event.event_type for event in result.all_events if event.step_key == "transcripts"]
    assert kinds.count(dg.DagsterEventType.STEP_START) == 1
    assert dg.DagsterEventType.STEP_UP_FOR_RETRY not in kinds


def attempts(policy: dg.RetryPolicy | None, *errors: Exception) -> tuple[int, Any]:
    """How often it was tried, and how it ended."""
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "made"

    try:
        made = through_outages(dg.build_asset_context(), policy, attempt)  # type: ignore[arg-type]
    except dg.Failure as failure:
        return len(errors) - len(left), failure
    return len(errors) - len(left) + 1, made


def test_after_the_last_attempt_dagster_does_not_begin_anew() -> None:
    """Whatever policy a team puts on the asset as well: retries are not to multiply."""
    down = [StateUnavailable("gone")] * 5
    tried, failure = attempts(dg.RetryPolicy(max_retries=2), *down)
    assert (tried, failure.allow_retries) == (3, False)
    tried, failure = attempts(None, *down)
    assert (tried, failure.allow_retries) == (1, True)
    assert attempts(dg.RetryPolicy(max_retries=2), *down[:2]) == (3, "made")


def test_what_a_person_has_to_mend_and_a_bug_are_tried_once() -> None:
    """A bug says what it is, with its cause."""
    tried, failure = attempts(AFTER_AN_OUTAGE, CredentialsRefused("Wrong key", 401))
    assert (tried, failure.allow_retries) == (1, False)
    tried, failure = attempts(AFTER_AN_OUTAGE, ZeroDivisionError("division by zero"))
    assert (tried, failure.allow_retries) == (1, False)
    assert "ZeroDivisionError: division by zero" in failure.description
    assert isinstance(failure.__cause__, ZeroDivisionError)


def test_the_default_waits_for_minutes_and_not_for_long() -> None:
    """A server that restarts is back by then; the schedule asks for what is not."""
    waits = [AFTER_AN_OUTAGE.calculate_delay(number) for number in (1, 2)]
    assert AFTER_AN_OUTAGE.max_retries == 2
    assert all(wait <= 300 for wait in waits)
