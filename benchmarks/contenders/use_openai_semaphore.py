"""The OpenAI SDK in an `asyncio.Semaphore`, with the SDK's own retries: the usual first attempt.

A semaphore limits what is in flight, not how much a minute. It is given the size that fits the limit by
Little's law, requests per second times seconds per request, as somebody would who knows both.
"""

from __future__ import annotations

import asyncio
import math
from itertools import islice

from openai import AsyncOpenAI
from workload import API_KEY, MAX_OUTPUT_TOKENS, Job, Outcomes, Row, make_rows, run, warm

_SAMPLE = 1000


def in_flight(job: Job) -> int:
    """How many requests may be under way for the limits to be met on average."""
    per_minute: list[float] = []
    if job.requests_per_minute is not None:
        per_minute.append(job.requests_per_minute)
    if job.tokens_per_minute is not None:
        tokens = [row.tokens for row in islice(make_rows(job), _SAMPLE)]
        per_minute.append(job.tokens_per_minute * len(tokens) / sum(tokens))
    if not per_minute or not job.mean_latency_seconds:
        return job.concurrency
    return max(1, min(job.concurrency, math.floor(min(per_minute) / 60 * job.mean_latency_seconds)))


async def work(job: Job, outcomes: Outcomes) -> None:
    semaphore = asyncio.Semaphore(in_flight(job))
    async with AsyncOpenAI(base_url=job.base_url, api_key=API_KEY) as client:

        async def ask(row: Row) -> str | None:
            async with semaphore:
                completion = await client.chat.completions.create(
                    model=job.model,
                    messages=[{"role": "user", "content": row.text}],
                    max_completion_tokens=MAX_OUTPUT_TOKENS,
                )
            return completion.choices[0].message.content

        await warm(job, ask)
        async with outcomes.measure(job):
            await outcomes.ask_all(make_rows(job), ask)


if __name__ == "__main__":
    run(work)
