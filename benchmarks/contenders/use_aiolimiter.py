"""The OpenAI SDK behind two `AsyncLimiter`, one for requests a minute and one for tokens a minute.

Both are leaky buckets of a minute's size, like the server's. What a request will be charged is known from
its text. Retries are the SDK's own; they do not pass the limiters again.
"""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter
from openai import AsyncOpenAI
from workload import API_KEY, MAX_OUTPUT_TOKENS, Job, Outcomes, Row, make_rows, run, warm


async def work(job: Job, outcomes: Outcomes) -> None:
    semaphore = asyncio.Semaphore(job.concurrency)
    requests = AsyncLimiter(job.requests_per_minute) if job.requests_per_minute else None
    tokens = AsyncLimiter(job.tokens_per_minute) if job.tokens_per_minute else None
    async with AsyncOpenAI(base_url=job.base_url, api_key=API_KEY) as client:

        async def ask(row: Row) -> str | None:
            async with semaphore:
                if tokens is not None:
                    await tokens.acquire(row.tokens)
                if requests is not None:
                    await requests.acquire()
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
