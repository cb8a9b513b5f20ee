"""aiohttp alone: no limits, no retries, nothing kept. What a call costs at least in Python."""

from __future__ import annotations

import asyncio
import json

import aiohttp
from workload import API_KEY, MAX_OUTPUT_TOKENS, Job, Outcomes, Row, make_rows, run, warm


async def work(job: Job, outcomes: Outcomes) -> None:
    url, headers = f"{job.base_url}/chat/completions", {"Authorization": f"Bearer {API_KEY}"}
    semaphore = asyncio.Semaphore(job.concurrency)
    connector = aiohttp.TCPConnector(limit=job.concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def ask(row: Row) -> str:
            body = {
                "model": job.model,
                "messages": [{"role": "user", "content": row.text}],
                "max_completion_tokens": MAX_OUTPUT_TOKENS,
            }
            async with semaphore, session.post(url, json=body, raise_for_status=True) as response:
                return json.loads(await response.read())["choices"][0]["message"]["content"]

        await warm(job, ask)
        async with outcomes.measure(job):
            await outcomes.ask_all(make_rows(job), ask)


if __name__ == "__main__":
    run(work)
