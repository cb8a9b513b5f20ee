"""The client of this project: limits as told, journal and limits in a SQLite file, requests as a stream.

Options: `state` (the file or database, none keeps all in memory), `quota` (a Redis server), `budget_usd`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing

from workload import API_KEY, MAX_OUTPUT_TOKENS, Job, Outcomes, Row, make_rows, make_warm_up, run

from llm_assets import ChatRequest, ClientConfig, LLMClient, Message


def configure(job: Job) -> ClientConfig:
    limits = {"requests_per_minute": job.requests_per_minute, "tokens_per_minute": job.tokens_per_minute}
    return ClientConfig.model_validate(
        {
            "chat": [job.model],
            "base_url": job.base_url,
            "api_key": API_KEY,
            "limits": {job.model: limits} if any(limits.values()) else {},
            "budget": {"usd_per_run": job.options.get("budget_usd")},
            "state": job.options.get("state"),
            "quota": job.options.get("quota"),
            "max_concurrency": job.concurrency,
        }
    )


def requests(rows: Iterator[Row]) -> Iterator[ChatRequest]:
    for row in rows:
        yield ChatRequest(
            key=str(row.number),
            messages=(Message("user", row.text),),
            max_output_tokens=MAX_OUTPUT_TOKENS,
        )


async def work(job: Job, outcomes: Outcomes) -> None:
    async with LLMClient(configure(job)) as client:
        async for _ in client.run(requests(make_warm_up(job))):
            pass
        async with outcomes.measure(job), aclosing(client.run(requests(make_rows(job)))) as stream:
            async for outcome in stream:
                if outcome.answer is not None:
                    outcomes.answered += 1
                else:
                    outcomes.failed(outcome.error)


if __name__ == "__main__":
    run(work)
