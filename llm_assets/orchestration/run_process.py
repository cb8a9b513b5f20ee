"""What a run's process does once, before its first asset. With few recordings, starting is most of a run."""

from __future__ import annotations

import gc
from functools import cache
from importlib import import_module

from llm_assets.recordings.background import in_background

_LATER = (
    "llm_assets.orchestration.transcripts_stage",
    "llm_assets.llm.client",
    "llm_assets.orchestration.insights_stage",
    "genai_prices.data",  # by far the largest module of all, which the price list loads when it is asked
)

# Garbage in circles waits a little longer for its collector, which looks a tenth as often: about a megabyte.
_OBJECTS_BETWEEN_LOOKS = 10_000


@cache
def prepare(has_calls_to_come: bool) -> None:
    """Leave what Dagster has loaded to itself, and load meanwhile what the next assets need.

    Dagster's hundred thousands of objects stay until the process ends, so the garbage collector need not look
    through all of them again and again while more is loaded; of what is loaded, next to nothing is garbage.
    `has_calls_to_come`: the first asset waits for a process that decodes to start, the next ones call models.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, *gc.get_threshold()[1:])
    if has_calls_to_come:
        in_background(lambda: [import_module(name) for name in _LATER])
