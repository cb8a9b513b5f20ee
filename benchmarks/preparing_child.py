"""Prepare one recording as a worker does, and throw the chunks away: `… preparing_child FILE SECONDS`."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from llm_assets.recordings.limits import ChunkLimits
from llm_assets.recordings.prepare import prepare_chunks
from llm_assets.records import Recording


def main(path: Path, seconds: float) -> None:
    recording = Recording(
        partition_date=date(2026, 3, 2),
        recording_id="hour",
        path=path.name,
        file_name=path.name,
        size_bytes=max(path.stat().st_size, ChunkLimits().max_bytes + 1),  # never as it is
        sha256="",
        format="mp3",
        codec="mp3",
        channels=2,
        duration_seconds=seconds,
    )
    with path.open("rb") as audio:
        count = sum(1 for _ in prepare_chunks(audio, recording, ChunkLimits()))
    assert count > seconds / 1400


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
