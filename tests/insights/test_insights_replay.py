"""Repairs, fallbacks and parts are in the journal like everything else: a second run asks nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_assets.emulator import Emulator, EmulatorConfig, Faults, Latency
from llm_assets.errors import BudgetExceeded
from llm_assets.insights.extract import extract, first_request
from llm_assets.insights.prompts import call_insights_extractor
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig
from llm_assets.llm.requests import Outcome, Request
from llm_assets.records import RowStatus, Segment, Transcript

EXTRACTOR = replace(call_insights_extractor(), max_output_tokens=1_500)
CHAIN = ["gpt-6.1-sol", "gpt-6-luna"]


def call(lines: int) -> Transcript:
    said = ["How can I help you?", "I want a refund, the phone is broken.", "We will pay you back today."]
    segments = tuple(
        Segment(segment_index=at, start_seconds=at, end_seconds=at + 1, text=said[at % 3])
        for at in range(lines)
    )
    return Transcript(recording_id="r", status=RowStatus.OK, segments=segments)


@pytest.mark.parametrize(
    ("fault", "lines", "window", "reason", "calls"),
    [
        ({"invalid_output": 1.0}, 3, None, "invalid_output", 4),
        ({"refusal": 1.0}, 3, None, "refused", 2),
        ({}, 180, 5_000, None, 3),
    ],
    ids=["invalid", "refused", "parts"],
)
async def test_a_second_run_asks_nothing(
    tmp_path: Path, fault: dict[str, float], lines: int, window: int | None, reason: str | None, calls: int
) -> None:
    """The same row comes out, from the journal alone, and what was to be asked is known beforehand."""
    faults = {CHAIN[0]: Faults(**fault)}
    chain: list[Any] = [{"model": name} | ({"context_window": window} if window else {}) for name in CHAIN]
    async with Emulator(EmulatorConfig(faults_by_model=faults)) as emulator:
        config = ClientConfig.model_validate(
            {"chat": chain, "base_url": emulator.base_url, "state": str(tmp_path / "state.sqlite")}
        )
        rows = []
        for _ in range(2):
            async with LLMClient(config) as client:
                insight, outcomes = await extract(call(lines), EXTRACTOR, client.call, CHAIN)
            rows.append(insight)
            assert insight.status is RowStatus.OK
            assert len(outcomes) >= calls
        assert emulator.audit.served == len(outcomes)
    first, second = rows
    assert (first.from_journal, second.from_journal) == (False, True)
    assert (first.output, first.model, first.cost_usd) == (second.output, second.model, second.cost_usd)
    assert first.fallback_reason == second.fallback_reason == reason
    assert first_request(call(lines), EXTRACTOR) is not None


async def test_a_call_in_parts_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """What was on the wire when the run was cancelled is kept as well; no part is paid for twice."""
    chain = [{"model": CHAIN[1], "context_window": 5_000}]
    config = EmulatorConfig(latency=Latency(kind="exponential", mean_seconds=0.05))
    async with Emulator(config) as emulator:
        chosen = ClientConfig.model_validate(
            {"chat": chain, "base_url": emulator.base_url, "state": str(tmp_path / "state.sqlite")}
        )
        async with LLMClient(chosen) as client:
            asked = 0

            async def stop_after_a_few(request: Request) -> Outcome:
                nonlocal asked
                asked += 1
                if asked > 7:
                    raise BudgetExceeded("spent")
                return await client.call(request)

            with pytest.raises(BudgetExceeded):
                await extract(call(1_500), EXTRACTOR, stop_after_a_few, CHAIN[1:])
        before = emulator.audit.served
        async with LLMClient(chosen) as client:
            insight, outcomes = await extract(call(1_500), EXTRACTOR, client.call, CHAIN[1:])
        assert insight.status is RowStatus.OK
        assert 0 < before < emulator.audit.served == len(outcomes)
        assert sum(outcome.from_journal for outcome in outcomes) == before
        assert emulator.audit.served_twice == 0
