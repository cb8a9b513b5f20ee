"""Whatever is in a recording, it comes out as a row, and what is wrong with it stays its own.

    pytest tests/recordings/test_recordings_fuzz.py --fuzzed 2000

tries as many as are asked for instead of a few.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from made_audio import put
from mutations import mutated, sound_recordings

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.limits import ChunkLimits
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.source import RecordingSource
from llm_assets.recordings.workers import Preparers
from llm_assets.records import AudioChunk, Recording, RowStatus

DAY = date(2026, 3, 2)
SEED = 20260302
LIMITS = ChunkLimits(max_seconds=3, target_seconds=2, window_seconds=1)  # so that everything is decoded
TIMEOUT_SECONDS = 60.0


async def prepared(
    preparers: Preparers, source: RecordingSource, found: FoundRecording
) -> tuple[Recording, list[AudioChunk], str]:
    row = await preparers.read(source, found, DAY)
    if row.status is not RowStatus.OK:
        return row, [], row.error or ""
    chunks: list[AudioChunk] = []
    try:
        async for chunk in preparers.chunks(source, row, LIMITS):
            chunks.append(chunk)
    except RecordingUnreadable as error:
        return row, chunks, str(error)
    return row, chunks, ""


async def all_prepared(root: Path, recordings: list[tuple[str, bytes]]) -> Counter[str]:
    """What came of them, counted; fails where one of them is not as it has to be."""
    source = RecordingSource(root=str(root), minimum_seconds=0.1, settle_seconds=0, channels="split")
    outcomes: Counter[str] = Counter()
    places = asyncio.Semaphore(4)

    async def one(name: str, content: bytes) -> None:
        async with places:
            file = put(root, f"2026-03-02/{name}", content)
            facts = file.stat()
            found = FoundRecording(
                f"2026-03-02/{name}", name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC)
            )
            began = time.monotonic()
            row, chunks, error = await prepared(preparers, source, found)
            assert time.monotonic() - began < 3 * TIMEOUT_SECONDS + 30, name
            assert row.sha256, name
            assert chunks or error, name
            assert (row.status is RowStatus.OK) == (row.error is None), name
            for chunk in chunks:
                assert 0 <= chunk.start_seconds < chunk.end_seconds, name
                assert chunk.audio, name
            outcomes["prepared" if not error else error.partition(":")[0]] += 1
            file.unlink()

    async with Preparers(timeout_seconds=TIMEOUT_SECONDS) as preparers:
        await asyncio.gather(*(one(name, content) for name, content in recordings))
    return outcomes


async def test_whole_recordings_of_every_format_are_prepared(tmp_path: Path) -> None:
    """What the damaged ones are made from is sound."""
    recordings = [(f"whole.{extension}", content) for extension, content in sound_recordings().items()]
    assert await all_prepared(tmp_path, recordings) == {"prepared": len(recordings)}


async def test_damaged_recordings_come_out_as_rows(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """None is lost, none hangs, and none takes a worker with it without a word."""
    count = pytestconfig.getoption("--fuzzed")
    outcomes = await all_prepared(tmp_path, list(mutated(count, SEED)))
    print(dict(outcomes.most_common()))
    assert outcomes.total() == count
    assert outcomes["prepared"] > count / 10
