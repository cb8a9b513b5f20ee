"""`litellm.Router` with the limits of its one deployment enforced before each call, and its own retries.

`enforce_model_rate_limits` counts requests and tokens by the minute of the clock. Past the limit it raises
an error that says to wait 60 s, and the router's retry does so. That holds for calls that are under way when
the minute is used up; one that comes later fails at once. So under quotas the router is handed all calls
together (`all_at_once`).
"""

from __future__ import annotations

import asyncio
import logging
import os

# Before the import: its price list comes from the package, and nothing is fetched or reported.
os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_TELEMETRY="False", DO_NOT_TRACK="1")

import litellm
from litellm import Router
from workload import API_KEY, MAX_OUTPUT_TOKENS, Job, Outcomes, Row, make_rows, run, warm

# More than the 3 of its documentation's examples, so that it gives up on nothing before time is up.
_RETRIES = 16


async def work(job: Job, outcomes: Outcomes) -> None:
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    logging.getLogger("LiteLLM Router").setLevel(logging.CRITICAL)
    limits = {"rpm": job.requests_per_minute, "tpm": job.tokens_per_minute}
    known = {name: limit for name, limit in limits.items() if limit is not None}
    router = Router(
        model_list=[
            {
                "model_name": "emulated",
                "litellm_params": {
                    "model": f"openai/{job.model}",
                    "api_base": job.base_url,
                    "api_key": API_KEY,
                    **known,
                },
            }
        ],
        num_retries=_RETRIES,
        optional_pre_call_checks=["enforce_model_rate_limits"] if known else None,
    )
    semaphore = asyncio.Semaphore(job.rows if job.options.get("all_at_once") else job.concurrency)

    async def ask(row: Row) -> str | None:
        async with semaphore:
            response = await router.acompletion(
                model="emulated",
                messages=[{"role": "user", "content": row.text}],
                max_completion_tokens=MAX_OUTPUT_TOKENS,
            )
        return response.choices[0].message.content

    await warm(job, ask)
    async with outcomes.measure(job):
        await outcomes.ask_all(make_rows(job), ask)


if __name__ == "__main__":
    run(work)
