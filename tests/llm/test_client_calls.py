"""The client against a real server: outcomes, fallbacks, journal, duplicates, budget, stopping."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from scripted_server import answer, error, scripted_server

from llm_assets.errors import (
    BudgetExceeded,
    ClientClosed,
    ConfigurationError,
    ContextTooLong,
    CredentialsRefused,
    NotServed,
    Overloaded,
    QuotaExhausted,
    RequestRejected,
    RequestTooDear,
    ServerFailed,
)
from llm_assets.llm.client import LLMClient
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.requests import ChatRequest, Message, OutputSchema
from llm_assets.llm.sizes import worst_case

FAST = {"max_attempts": 3, "first_wait_seconds": 0.001, "max_wait_seconds": 0.002, "cool_down_seconds": 0.01}


def ask(text: str = "hi", **more: Any) -> ChatRequest:
    return ChatRequest(messages=(Message("user", text),), max_output_tokens=50, **more)


def config(base_url: str, *chain: Any, **more: Any) -> ClientConfig:
    return ClientConfig.model_validate(
        {"chat": list(chain) or ["gpt-6-luna"], "base_url": base_url, "retry": FAST, **more}
    )


async def test_a_call_comes_back_with_its_usage_and_price() -> None:
    """One call: the answer, what it used, what it cost by the price list, and which request it was."""
    async with scripted_server() as server, LLMClient(config(server.base_url)) as client:
        outcome = await client.call(ask(key="r1"))
    assert outcome.answer is not None
    assert outcome.answer.text == "hello"
    assert (outcome.key, outcome.model, outcome.attempts, outcome.request_id) == (
        "r1",
        "gpt-6-luna",
        1,
        "req_1",
    )
    assert outcome.cost_usd == (100 * Decimal("0.10") + 10 * Decimal("0.50")) / 1_000_000
    assert client.metrics.snapshot().spent_usd == outcome.cost_usd


async def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    """A second client with the same state file asks the server nothing."""
    state = str(tmp_path / "state.sqlite")
    async with scripted_server() as server:
        async with LLMClient(config(server.base_url, state=state)) as client:
            first = await client.call(ask(key="a"))
        async with LLMClient(config(server.base_url, state=state)) as client:
            second = await client.call(ask(key="b"))
            third = await client.call(ask("something else"))
    assert len(server.requests) == 2
    assert (first.from_journal, second.from_journal, third.from_journal) == (False, True, False)
    assert second.key == "b"
    assert second.answer == first.answer
    assert second.cost_usd == first.cost_usd
    assert second.spent_usd == 0


async def test_identical_requests_at_the_same_time_make_one_call() -> None:
    """Whoever asks what is already being asked waits for that answer."""
    async with scripted_server() as server:
        server.gate = asyncio.Event()
        async with LLMClient(config(server.base_url)) as client:
            calls = [asyncio.create_task(client.call(ask())) for _ in range(5)]
            await server.asked(1)
            server.gate.set()
            outcomes = await asyncio.gather(*calls)
    assert len(server.requests) == 1
    assert sorted(outcome.from_journal for outcome in outcomes) == [False, True, True, True, True]


async def test_waiting_mends_what_it_can() -> None:
    """Server errors are retried until an answer comes, and the outcome counts the attempts."""

    def script(request: dict[str, Any], number: int) -> Any:
        return error(500, "server_error") if number < 3 else answer()

    async with scripted_server(script) as server, LLMClient(config(server.base_url)) as client:
        outcome = await client.call(ask())
    assert outcome.answer is not None
    assert outcome.attempts == 3


async def test_a_refusal_for_quota_is_not_an_attempt_lost() -> None:
    """However often the server says 429, the row is not given up; the limiter waits as it was told."""

    def script(request: dict[str, Any], number: int) -> Any:
        return error(429, "rate_limit_exceeded", kind="requests") if number < 8 else answer()

    async with scripted_server(script) as server, LLMClient(config(server.base_url)) as client:
        server.headers = {"retry-after-ms": "1"}
        outcome = await client.call(ask())
    assert outcome.answer is not None
    assert outcome.rate_limited == 7


async def test_the_next_model_takes_over_and_the_row_says_so() -> None:
    """When the first model fails for good the second answers, with the reason."""

    def script(request: dict[str, Any], number: int) -> Any:
        return error(500, "server_error") if request["model"] == "gpt-6.1-sol" else answer()

    async with scripted_server(script) as server:
        async with LLMClient(config(server.base_url, "gpt-6.1-sol", "gpt-6-luna")) as client:
            outcome = await client.call(ask())
    assert outcome.model == "gpt-6-luna"
    assert outcome.fallback_reason == "server_failed"
    assert [request["model"] for request in server.requests] == ["gpt-6.1-sol"] * 3 + ["gpt-6-luna"]


async def test_a_fallback_answer_counts_on_the_next_run(tmp_path: Path) -> None:
    """An answer of the second model is taken from the journal before the first model is asked again."""
    state = str(tmp_path / "state.sqlite")

    def script(request: dict[str, Any], number: int) -> Any:
        return error(500, "server_error") if request["model"] == "gpt-6.1-sol" else answer()

    async with scripted_server(script) as server:
        chain = config(server.base_url, "gpt-6.1-sol", "gpt-6-luna", state=state)
        async with LLMClient(chain) as client:
            await client.call(ask())
        asked = len(server.requests)
        async with LLMClient(chain) as client:
            outcome = await client.call(ask())
    assert len(server.requests) == asked
    assert (outcome.model, outcome.fallback_reason) == ("gpt-6-luna", "server_failed")


async def test_a_bad_request_is_an_outcome_at_once() -> None:
    """What the provider rejects is not tried again, on no model, and the others go on."""

    def script(request: dict[str, Any], number: int) -> Any:
        bad = "bad" in request["messages"][0]["content"]
        return error(400, "invalid_value", "messages is wrong") if bad else answer()

    async with scripted_server(script) as server:
        async with LLMClient(config(server.base_url, "gpt-6.1-sol", "gpt-6-luna")) as client:
            outcomes = {
                outcome.key: outcome
                async for outcome in client.run([ask("bad", key="1"), ask("good", key="2")])
            }
    assert isinstance(outcomes["1"].error, RequestRejected)
    assert outcomes["1"].attempts == 1
    assert outcomes["2"].answer is not None


async def test_a_long_request_goes_to_a_model_it_fits() -> None:
    """A request too long for the first model's context is not sent to it."""
    small = ModelConfig(model="gpt-4o-mini", context_window=200)
    async with scripted_server() as server:
        async with LLMClient(config(server.base_url, small, "gpt-6-luna")) as client:
            outcome = await client.call(ask("word " * 500))
    assert [request["model"] for request in server.requests] == ["gpt-6-luna"]
    assert outcome.fallback_reason == "context_too_long"


async def test_a_schema_takes_its_place_in_the_context() -> None:
    """A model reads the schema with every request: a text that fits alone may not fit beside it."""
    named = {f"field_{number}": {"type": "string"} for number in range(300)}
    wide = OutputSchema("Wide", {"type": "object", "properties": named})
    small = ModelConfig(model="gpt-4o-mini", context_window=2_000)
    async with scripted_server() as server:
        async with LLMClient(config(server.base_url, small, "gpt-6-luna")) as client:
            for schema in (None, wide):
                await client.call(replace(ask("word " * 300), output_schema=schema, max_output_tokens=100))
    assert [request["model"] for request in server.requests] == ["gpt-4o-mini", "gpt-6-luna"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error(429, "insufficient_quota", kind="insufficient_quota"), QuotaExhausted),
        (error(401, "invalid_api_key"), CredentialsRefused),
    ],
)
async def test_an_empty_account_or_a_refused_key_stops_the_run(reply: Any, expected: type[Exception]) -> None:
    """One clear error for the run, not one for every row, and no further requests."""
    async with scripted_server(lambda request, number: reply) as server:
        server.gate = asyncio.Event()
        server.gate.set()
        async with LLMClient(config(server.base_url, max_concurrency=4)) as client:
            with pytest.raises(expected):
                async for _ in client.run(ask(str(number)) for number in range(1000)):
                    pass
    assert len(server.requests) <= 8


async def test_the_budget_is_never_passed_and_what_was_paid_is_kept() -> None:
    """With a cap worth seven calls, at most seven are paid, and the run stops with the figures."""
    one_call = (100 * Decimal("0.10") + 10 * Decimal("0.50")) / 1_000_000
    async with scripted_server() as server:
        # The worst case of a call is some 3.4 times what it turns out to cost.
        budget = {"usd_per_run": one_call * 7, "when_exceeded": "stop"}
        async with LLMClient(config(server.base_url, budget=budget)) as client:
            with pytest.raises(BudgetExceeded, match="usd_per_run"):
                async for _ in client.run(ask(str(number)) for number in range(100)):
                    pass
    assert 4 <= len(server.requests) <= 7
    assert client.metrics.snapshot().spent_usd <= one_call * 7


async def test_past_the_budget_the_cheaper_model_answers() -> None:
    """`downgrade`: what the first model may no longer spend, a cheaper one may."""
    budget = {"usd_per_run": "0.0003"}
    async with scripted_server(lambda request, number: answer(model=request["model"])) as server:
        async with LLMClient(config(server.base_url, "gpt-6.1-sol", "gpt-6-luna", budget=budget)) as client:
            outcomes = [outcome async for outcome in client.run(ask(str(number)) for number in range(3))]
    assert {outcome.model for outcome in outcomes} == {"gpt-6-luna"}
    assert {outcome.fallback_reason for outcome in outcomes} == {"budget"}


async def test_the_last_resort_is_the_last_answer_kept(tmp_path: Path) -> None:
    """`cached`: when nothing else answers, the last answer for the same subject does, and says so."""
    state = str(tmp_path / "state.sqlite")
    async with scripted_server() as server:
        chain = config(server.base_url, "gpt-6-luna", "cached", state=state)
        async with LLMClient(chain) as client:
            await client.call(ask("old prompt", subject="call 7"))
        server.script = lambda request, number: error(500, "server_error")
        async with LLMClient(chain) as client:
            known = await client.call(ask("new prompt", subject="call 7"))
            unknown = await client.call(ask("new prompt", subject="call 8"))
        async with scripted_server(lambda request, number: error(500, "server_error")) as other:
            elsewhere = config(other.base_url, "gpt-6-luna", "cached", state=state)
            async with LLMClient(elsewhere) as client:
                foreign = await client.call(ask("new prompt", subject="call 7"))
    assert isinstance(foreign.error, ServerFailed), "another server's answer is none of this one's"
    assert known.answer is not None
    assert known.from_journal
    assert known.fallback_reason == "cached: server_failed"
    assert isinstance(unknown.error, ServerFailed)


async def test_an_unknown_price_is_refused_while_a_budget_holds() -> None:
    """A budget cannot be kept on a model without a price, so it is not asked, unless that is allowed."""
    async with scripted_server(lambda request, number: answer(model=request["model"])) as server:
        strict = config(server.base_url, "my-own-model", budget={"usd_per_run": 1})
        async with LLMClient(strict) as client:
            refused = await client.call(ask())
        loose = config(
            server.base_url, "my-own-model", budget={"usd_per_run": 1, "allow_unknown_prices": True}
        )
        async with LLMClient(loose) as client:
            allowed = await client.call(ask())
    assert "price of my-own-model is unknown" in str(refused.error)
    assert allowed.answer is not None
    assert allowed.cost_usd is None
    assert len(server.requests) == 1


async def test_leaving_a_stream_early_keeps_what_was_sent(tmp_path: Path) -> None:
    """Whoever stops reading cancels what waits; answers on their way still reach the journal."""
    state = str(tmp_path / "state.sqlite")
    async with scripted_server() as server:
        async with LLMClient(config(server.base_url, state=state, max_concurrency=4)) as client:
            await client.call(ask("the first one, which finds out about limits"))
            server.requests.clear()
            server.gate = asyncio.Event()
            reading = asyncio.create_task(anext(aiter(client.run(ask(str(n)) for n in range(50)))))
            await server.asked(4)
            reading.cancel()
            await asyncio.wait([reading])
            server.gate.set()
        sent = len(server.requests)
        server.requests.clear()
        async with LLMClient(config(server.base_url, state=state)) as client:
            outcomes = [outcome async for outcome in client.run(ask(str(n)) for n in range(sent))]
    assert sent == 4
    assert all(outcome.from_journal for outcome in outcomes)
    assert server.requests == []


async def test_memory_stays_bounded_by_reading_input_only_as_needed() -> None:
    """The input is read at most `max_concurrency` ahead of what was handed out."""
    read = 0

    def requests() -> Any:
        nonlocal read
        for number in range(500):
            read += 1
            yield ask(str(number))

    async with scripted_server() as server, LLMClient(config(server.base_url, max_concurrency=8)) as client:
        async with aclosing(client.run(requests())) as outcomes:
            handed_out = 0
            async for _ in outcomes:
                handed_out += 1
                assert read - handed_out <= 8 + 1
    assert handed_out == 500


async def test_a_server_that_never_answered_is_not_waited_for() -> None:
    """Where nothing has answered yet, calls fail soon instead of waiting for one cool-down after another."""
    retry = FAST | {"cool_down_seconds": 600}
    async with scripted_server(lambda request, number: error(500, "server_error")) as server:
        few_at_a_time = config(server.base_url, retry=retry, max_concurrency=4)
        async with asyncio.timeout(120), LLMClient(few_at_a_time) as client:
            outcomes = [outcome async for outcome in client.run(ask(str(number)) for number in range(30))]
    assert len(outcomes) == 30
    assert all(isinstance(outcome.error, ServerFailed | Overloaded) for outcome in outcomes)
    assert len(server.requests) <= 30, "once the model cools down, nobody asks it"


async def test_an_outage_in_the_middle_of_work_is_waited_out() -> None:
    """A model that has answered before is asked again after its cool-down, so later rows are answered.

    Nineteen refusals use up the three attempts of six calls at most.
    """

    def script(request: dict[str, Any], number: int) -> Any:
        return error(500, "server_error") if 2 <= number <= 20 else answer()

    async with scripted_server(script) as server, LLMClient(config(server.base_url)) as client:
        first = await client.call(ask("first"))
        outcomes = [outcome async for outcome in client.run(ask(str(number)) for number in range(10))]
    assert first.answer is not None
    assert sum(outcome.answer is not None for outcome in outcomes) >= 4


async def test_a_missing_key_is_one_clear_error() -> None:
    """Without a key for OpenAI itself the client does not even open."""
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        async with LLMClient(ClientConfig(chat=("gpt-6-luna",))):  # type: ignore[arg-type]
            pass


async def test_the_snapshot_counts_what_happened() -> None:
    """Started, refused, retried, fallbacks by reason, waits by cause, latency and the share of each limit."""

    def script(request: dict[str, Any], number: int) -> Any:
        if request["model"] == "gpt-6.1-sol":
            return error(429, "rate_limit_exceeded", kind="requests") if number == 1 else error(500, "broken")
        return answer(model=request["model"])

    limits = {"gpt-6-luna": {"requests_per_minute": 6000}}
    async with scripted_server(script) as server:
        server.headers = {"retry-after-ms": "20"}
        chain = config(server.base_url, "gpt-6.1-sol", "gpt-6-luna", limits=limits)
        async with LLMClient(chain) as client:
            await client.call(ask())
            await client.call(ask())
    snapshot = client.metrics.snapshot()
    assert (snapshot.started, snapshot.calls, snapshot.in_flight) == (2, 2, 0)
    assert (snapshot.rate_limited, snapshot.retried, snapshot.journal_hits) == (1, 4, 1)
    assert snapshot.fallbacks_by_reason == {"server_failed": 2}
    assert snapshot.wait_seconds["limit"] >= 0.02
    assert snapshot.wait_seconds["retry"] > 0
    assert snapshot.latency_seconds.count == 1
    assert snapshot.call_wait_seconds.count == 2
    (use,) = [use for limit, use in snapshot.quota.items() if limit.endswith("luna requests_per_minute")]
    assert use.charged == 1
    assert 0 < use.share <= 1


async def test_a_closed_client_says_so() -> None:
    """Calling outside its block is an error at once, and one client is not opened twice."""
    async with scripted_server() as server:
        client = LLMClient(config(server.base_url))
        async with client:
            assert (await client.call(ask())).answer is not None
            with pytest.raises(RuntimeError, match="open already"):
                await client.__aenter__()
        with pytest.raises(ClientClosed, match="closed"):
            await client.call(ask("later"))


async def test_refusals_without_a_word_on_when_to_come_back_are_backed_off_from() -> None:
    """A 429 that names no wait and no limits is not hammered, and in the end the next model answers."""

    def script(request: dict[str, Any], number: int) -> Any:
        return error(429, "slow") if request["model"] == "gpt-6.1-sol" else answer(model=request["model"])

    async with scripted_server(script) as server:
        async with LLMClient(config(server.base_url, "gpt-6.1-sol", "gpt-6-luna")) as client:
            outcome = await client.call(ask())
    assert (outcome.model, outcome.fallback_reason) == ("gpt-6-luna", "rate_limited")
    assert outcome.rate_limited <= 8


async def test_an_answer_at_an_unknown_price_counts_at_its_worst() -> None:
    """A service tier whose price nobody knows is not free: a budget holds all the same."""
    async with scripted_server(lambda request, number: answer(service_tier="unheard-of")) as server:
        limited = config(server.base_url, budget={"usd_per_run": "0.0005", "when_exceeded": "stop"})
        async with LLMClient(limited) as client:
            with pytest.raises(BudgetExceeded):
                async for _ in client.run(ask(str(number)) for number in range(200)):
                    pass
    assert client.metrics.snapshot().unpriced_calls == len(server.requests) < 50


async def test_a_cancelled_caller_that_asks_again_does_not_pay_again() -> None:
    """The first request is still on the wire and being paid for; its answer serves the second call."""
    async with scripted_server() as server:
        async with LLMClient(config(server.base_url)) as client:
            await client.call(ask("the first one, which finds out about limits"))
            server.gate = asyncio.Event()
            impatient = asyncio.create_task(client.call(ask("same")))
            await server.asked(2)
            impatient.cancel()
            await asyncio.wait([impatient])
            again = asyncio.create_task(client.call(ask("same")))
            await asyncio.sleep(0)
            server.gate.set()
            outcome = await again
    assert outcome.from_journal
    assert len(server.requests) == 2


async def test_a_bad_row_is_an_outcome_and_the_others_go_on() -> None:
    """What no provider could be asked is said of its own row, before anything is sent for it."""
    bad: list[Any] = [
        ChatRequest(key="dicts", messages=({"role": "user", "content": "hi"},)),  # type: ignore[arg-type]
        ChatRequest(key="none", messages=()),
        ChatRequest(key="less", messages=(Message("user", "x"),), max_output_tokens=-1),
    ]
    async with scripted_server() as server:
        budgeted = config(server.base_url, budget={"usd_per_run": 1})
        async with LLMClient(budgeted) as client:
            rows = [ask("good", key="good"), *bad, ask("half a pair \ud800", key="half")]
            outcomes = {outcome.key: outcome async for outcome in client.run(rows)}
    assert {key for key, outcome in outcomes.items() if outcome.answer} == {"good", "half"}
    assert all(isinstance(outcomes[key].error, RequestRejected) for key in ("dicts", "none", "less"))
    assert len(server.requests) == 2


async def test_what_is_no_request_is_named() -> None:
    """It is a mistake in the program that asks, not in a row."""
    async with scripted_server() as server, LLMClient(config(server.base_url)) as client:
        for given in (None, "hi"):
            rows: list[Any] = [given]
            with pytest.raises(
                TypeError, match=f"a ChatRequest or .* is expected, not {type(given).__name__}"
            ):
                await anext(client.run(rows))


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("how", ["is left", "is forgotten", "outlives the client"])
async def test_a_run_that_is_not_read_to_its_end_cleans_up(how: str, is_async: bool) -> None:
    """No task stays behind, the input is closed, and reading on is an error rather than an early end."""
    closed: list[bool] = []

    def requests() -> Iterator[ChatRequest]:
        try:
            yield from (ask(str(number)) for number in range(500))
        finally:
            closed.append(True)

    async def slow_requests() -> AsyncIterator[ChatRequest]:
        try:
            for number in range(500):
                yield ask(str(number))
        finally:
            closed.append(True)

    surprises: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, surprise: surprises.append(surprise))
    async with scripted_server() as server:
        async with LLMClient(config(server.base_url, max_concurrency=8)) as client:
            outcomes = client.run(slow_requests() if is_async else requests())
            await anext(outcomes)
            if how == "is forgotten":
                await asyncio.sleep(0.2)  # until nothing is under way
                del outcomes
            elif how == "is left":
                await outcomes.aclose()
                assert closed
        assert closed
        assert not [task for task in asyncio.all_tasks() if "_Work" in repr(task)]
        if how == "outlives the client":
            with pytest.raises(ClientClosed):
                await anext(outcomes)
    gc.collect()
    assert not surprises


@pytest.mark.parametrize("when_exceeded", ["stop", "downgrade"])
async def test_a_row_dearer_than_the_whole_budget_is_its_own_outcome(when_exceeded: str) -> None:
    """No run of this budget could ever ask it, so nobody waits for it and the others go on."""
    budget = {"tokens_per_run": 2000, "when_exceeded": when_exceeded}
    rows = [ask("1", key="1"), ask("word " * 1000, key="dear"), ask("2", key="2")]
    async with scripted_server() as server:
        async with LLMClient(config(server.base_url, budget=budget)) as client:
            outcomes = {outcome.key: outcome async for outcome in client.run(rows)}
    assert isinstance(outcomes["dear"].error, RequestTooDear)
    assert "whole budget tokens_per_run is 2,000 tokens" in str(outcomes["dear"].error)
    assert outcomes["1"].answer is not None
    assert outcomes["2"].answer is not None
    assert len(server.requests) == 2


async def test_a_row_dearer_than_the_budget_goes_to_a_cheaper_model() -> None:
    """`downgrade` holds for a single row as well."""
    budget = {"usd_per_run": "0.004"}
    async with scripted_server(lambda request, number: answer(model=request["model"])) as server:
        async with LLMClient(config(server.base_url, "gpt-6.1-sol", "gpt-6-luna", budget=budget)) as client:
            outcome = await client.call(ask("word " * 1000))
    assert (outcome.model, outcome.fallback_reason) == ("gpt-6-luna", "budget")


FORBIDDEN = {
    "policy": error(403, "content_policy_violation", "Blocked: it speaks of an api key."),
    "region": error(403, "unsupported_country_region_territory", "Not in your country."),
    "a proxy": (403, {"message": "Request blocked"}),
    "a quotation": error(400, "invalid_value", "'Your credit balance is too low' is no valid text"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
async def test_what_is_forbidden_for_one_prompt_stops_no_other(what: str) -> None:
    """It is that row's outcome; whoever has a prompt that is allowed gets an answer."""

    def script(request: dict[str, Any], number: int) -> Any:
        return FORBIDDEN[what] if request["messages"][0]["content"].startswith("bad") else answer()

    async with scripted_server(script) as server, LLMClient(config(server.base_url)) as client:
        texts = ["bad 0", *(f"good {number}" for number in range(20)), *(f"bad {n}" for n in range(1, 20))]
        outcomes = {outcome.key: outcome async for outcome in client.run(ask(t, key=t) for t in texts)}
    assert {key for key, outcome in outcomes.items() if outcome.answer} == set(texts[1:21])
    assert all(isinstance(outcomes[key].error, RequestRejected) for key in texts if key.startswith("bad"))


async def test_a_model_that_is_forbidden_here_makes_the_next_one_answer() -> None:
    """A region or a policy of one model says nothing about another."""

    def script(request: dict[str, Any], number: int) -> Any:
        return FORBIDDEN["region"] if request["model"] == "gpt-6.1-sol" else answer(model=request["model"])

    async with scripted_server(script) as server:
        async with LLMClient(config(server.base_url, "gpt-6.1-sol", "gpt-6-luna")) as client:
            outcomes = [outcome async for outcome in client.run(ask(str(number)) for number in range(30))]
    assert {outcome.model for outcome in outcomes} == {"gpt-6-luna"}


async def test_a_server_that_forbids_everything_stops_the_run() -> None:
    """One clear error, and not as many requests as there are rows."""
    async with scripted_server(lambda request, number: FORBIDDEN["a proxy"]) as server:
        async with LLMClient(config(server.base_url, max_concurrency=4)) as client:
            with pytest.raises(CredentialsRefused, match="none has been answered"):
                async for _ in client.run(ask(str(number)) for number in range(1000)):
                    pass
    assert len(server.requests) <= 24


NOT_SERVED = {
    "model": (
        error(404, "model_not_found", "The model does not exist."),
        "gpt-nope is no model of the server",
    ),
    "model without a code": ((404, {"error": "model 'gpt-nope' not found"}), "gpt-nope is no model of"),
    "model of a project": (error(403, "model_not_found", "No access."), "gpt-nope is no model of"),
    "address": (error(404, "unknown_url", "Invalid URL (POST /chat)"), "OPENAI_BASE_URL .* ends in /v1 for"),
    "page": ((404, {}), "nothing answers at http://127.0.0.1:.*/v1/chat/completions, where gpt-nope"),
    "no posts": ((405, {}), "OPENAI_BASE_URL"),
}


@pytest.mark.parametrize("what", NOT_SERVED)
async def test_a_model_or_an_address_nobody_serves_stops_the_run_at_once(what: str) -> None:
    """No row is to blame for it: what to correct is said once, whatever words the server has for it."""
    reply, words = NOT_SERVED[what]
    async with scripted_server(lambda request, number: reply) as server:
        async with LLMClient(config(server.base_url, "gpt-nope", max_concurrency=4)) as client:
            with pytest.raises(NotServed, match=words):
                async for _ in client.run(ask(str(number)) for number in range(1000)):
                    pass
    assert len(server.requests) <= 8


async def test_a_chain_that_nobody_serves_names_each_of_its_models() -> None:
    """Each model has been asked, and each is to be corrected."""
    reply = error(404, "model_not_found", "The model does not exist.")
    async with scripted_server(lambda request, number: reply) as server:
        async with LLMClient(config(server.base_url, "gpt-nope", "gpt-never")) as client:
            with pytest.raises(NotServed, match=r"gpt-nope is no model .*; gpt-never is no model"):
                await client.call(ask("1"))
    assert [request["model"] for request in server.requests] == ["gpt-nope", "gpt-never"]


@pytest.mark.parametrize("chain", [("gpt-6-luna", "gpt-nope"), ("gpt-nope", "gpt-6-luna")])
async def test_what_is_wrong_with_the_request_is_told_before_a_model_nobody_serves(
    chain: tuple[str, str],
) -> None:
    """A fallback that is misspelt does not stop the rows that need none."""

    def script(request: dict[str, Any], number: int) -> Any:
        if request["model"] == "gpt-nope":
            return error(404, "model_not_found", "The model does not exist.")
        is_long = request["messages"][0]["content"] == "long"
        return error(400, "context_length_exceeded", "Too long.") if is_long else answer()

    async with scripted_server(script) as server, LLMClient(config(server.base_url, *chain)) as client:
        outcomes = [await client.call(ask(text)) for text in ("long", "short")]
    assert isinstance(outcomes[0].error, ContextTooLong)
    assert outcomes[1].model == "gpt-6-luna"


async def test_a_model_that_has_answered_and_is_gone_fails_its_row() -> None:
    """A gateway that loses its way for a moment ends no run that works."""
    replies = [answer(), error(404, "unknown_url", "no route"), answer()]
    async with scripted_server(lambda request, number: replies[number - 1]) as server:
        async with LLMClient(config(server.base_url)) as client:
            outcomes = [await client.call(ask(str(number))) for number in range(3)]
    assert [outcome.answer is not None for outcome in outcomes] == [True, False, True]


@pytest.mark.parametrize(
    ("cap", "others"), [("tokens_per_run", False), ("tokens_per_day", True)], ids=["run", "day"]
)
async def test_who_waits_for_the_budget_is_told_who_can_hold_it(
    monkeypatch: pytest.MonkeyPatch, cap: str, others: bool
) -> None:
    """No other run can hold anything of a run's own budget."""
    monkeypatch.setattr("llm_assets.llm.budget_warnings._SILENT_WAIT_SECONDS", 0.05)
    said: list[str] = []
    told = asyncio.Event()

    def warn(message: str) -> None:
        if "hold the rest" in message:
            said.append(message)
            told.set()

    worst = worst_case(ask("1"), ModelConfig.of("gpt-6-luna"))[1]
    async with scripted_server() as server:
        server.gate = asyncio.Event()
        client_config = config(server.base_url, budget={cap: worst * 3 // 2})
        async with asyncio.timeout(60), LLMClient(client_config, warn=warn) as client:
            calls = [asyncio.create_task(client.call(ask(str(number)))) for number in range(2)]
            await told.wait()
            server.gate.set()
            await asyncio.wait(calls)
            await asyncio.gather(*calls, return_exceptions=True)
    (message,) = said
    assert f"the budget {cap}" in message
    assert ("of others" in message) is others


async def test_a_wait_for_something_else_is_no_wait_for_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited long for the limits, then a moment for money, is not told of other runs."""
    monkeypatch.setattr("llm_assets.llm.budget_warnings._SILENT_WAIT_SECONDS", 0.5)
    said: list[str] = []
    worst = worst_case(ask("1"), ModelConfig.of("gpt-6-luna"))[1]
    replies = [answer(), error(429, "rate_limit_exceeded", kind="requests"), answer(), answer()]
    async with scripted_server(lambda request, number: replies[number - 1]) as server:
        server.headers = {"retry-after-ms": "700"}
        budget = {"tokens_per_run": worst + 227}
        async with LLMClient(config(server.base_url, budget=budget), warn=said.append) as client:
            await client.call(ask("1"))
            await asyncio.gather(client.call(ask("2")), client.call(ask("3")))
    assert client.metrics.snapshot().wait_seconds["budget"] > 0
    assert client.metrics.snapshot().wait_seconds["limit"] > 0.5
    assert not any("hold the rest" in message for message in said)
