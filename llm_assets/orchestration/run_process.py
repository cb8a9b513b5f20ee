"""What a run's process does once, before its first asset. With few recordings, starting is most of a run."""

from __future__ import annotations

import gc
from collections.abc import Collection
from functools import cache
from importlib import import_module

import dagster as dg

from llm_assets.recordings.background import in_background

_LATER = (
    "llm_assets.orchestration.transcripts_stage",
    "llm_assets.llm.client",
    "llm_assets.orchestration.insights_stage",
    "genai_prices.data",  # by far the largest module of all, which the price list loads when it is asked
)

# Garbage in circles waits a little longer for its collector, which looks a tenth as often: about a megabyte.
_OBJECTS_BETWEEN_LOOKS = 10_000


def prepare(selected: Collection[dg.AssetKey] | None, *, is_decoding: bool) -> None:
    """Leave what Dagster has loaded to itself, and load meanwhile what the next assets need.

    `selected` are the run's assets. One that is decoding waits for a process that does, so that one starts
    first; the next ones call models.
    """
    if is_decoding:
        _begin_to_decode()
    _leave_what_is_loaded()
    if has_more_to_come(selected):
        _load_later()


def has_more_to_come(selected: Collection[dg.AssetKey] | None) -> bool:
    """Whether the run makes more than one asset. None is selected where a job is run as a whole."""
    return len(selected or ()) != 1


@cache
def _begin_to_decode() -> None:
    from llm_assets.recordings.spare_workers import SPARES
    from llm_assets.recordings.workers import DEFAULT_MEMORY_BYTES

    SPARES.begin(DEFAULT_MEMORY_BYTES)


@cache
def _leave_what_is_loaded() -> None:
    """Dagster's hundred thousands of objects stay until the process ends, so the garbage collector need not
    look through all of them again and again while more is loaded, of which next to nothing is garbage.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, *gc.get_threshold()[1:])


@cache
def _load_later() -> None:
    in_background(lambda: [import_module(name) for name in _LATER])
