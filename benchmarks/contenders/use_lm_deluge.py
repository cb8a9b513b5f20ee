"""lm_deluge's `LLMClient` with its limits for requests and tokens a minute and its own retries.

`process_prompts_async` takes all prompts at once and counts four characters a token, plus the output limit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from lm_deluge import LLMClient
from lm_deluge.models import register_model
from workload import API_KEY, MAX_OUTPUT_TOKENS, Job, Outcomes, Row, make_rows, make_warm_up, run

_UNLIMITED = 10**9


async def work(job: Job, outcomes: Outcomes) -> None:
    os.environ["BENCHMARK_API_KEY"] = API_KEY
    register_model(
        id="emulated", name=job.model, api_base=job.base_url, api_key_env_var="BENCHMARK_API_KEY",
        input_cost=0.15, cached_input_cost=0.075, output_cost=0.6,
    )  # fmt: skip
    measuring = False

    def count(response: Any) -> Any:
        # Called for every attempt as it ends, so that what was answered before a deadline counts.
        if measuring and not response.is_error:
            outcomes.answered += 1
        return response

    client = LLMClient(
        "emulated",
        max_requests_per_minute=job.requests_per_minute or _UNLIMITED,
        max_tokens_per_minute=job.tokens_per_minute or _UNLIMITED,
        max_concurrent_requests=job.concurrency,
        max_new_tokens=MAX_OUTPUT_TOKENS,
        postprocess=count,
    )
    await client.process_prompts_async(_texts(make_warm_up(job)), show_progress=False)
    async with outcomes.measure(job):
        measuring = True
        responses = await client.process_prompts_async(_texts(make_rows(job)), show_progress=False)
        for response in responses:
            if response.is_error:
                outcomes.failed(f"status {response.status_code}" if response.status_code else "no answer")


def _texts(rows: Iterator[Row]) -> list[str]:
    return [row.text for row in rows]


if __name__ == "__main__":
    run(work)
