"""Read one recording once: its bytes, its hash, what it is. Never raises for one recording.

What is wrong with a recording is in its row, so that a thousand others are not held up by one. Of a
recording whose bytes cannot be had, the id is made from its path, since there is no content to hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from pathlib import Path

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.any_place import open_place
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.probe import probe
from llm_assets.recordings.row import ID_DIGITS, listed_row
from llm_assets.recordings.settle import fetched
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import Recording, RowStatus


def read_recording(source: RecordingSource, found: FoundRecording, partition_date: date) -> Recording:
    """The row of one recording; its status is `ok`, `too_short` or `unreadable`, its error the reason.

    Runs in a worker process as well: everything that goes in and comes out pickles.

    Raises:
        RecordingUnsettled: it is still being written.
        MissingExtra, RecordingsUnavailable: the root itself cannot be used.
    """
    row = listed_row(found, partition_date)
    try:
        if row.path != found.path:
            raise RecordingUnreadable("its name is not valid UTF-8; rename it")
        with fetched(source, found) as file:
            audio = content_of(file)
    except RecordingUnreadable as error:
        return _unreadable(row, str(error))
    return _probed(row, audio, source.minimum_seconds)


def load_audio(source: RecordingSource, recording: Recording) -> bytes:
    """The bytes that `recording` is the row of.

    Raises:
        RecordingUnreadable: they are gone, or no longer the same.
        MissingExtra, RecordingsUnavailable: the root itself cannot be used.
    """
    with open_place(source).fetched(recording.path) as file:
        audio = content_of(file)
    if _sha256(audio) != recording.sha256:
        raise RecordingUnreadable("changed since it was read; materialize the recordings of this day again")
    return audio


def content_of(file: Path) -> bytes:
    """Raises RecordingUnreadable."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise RecordingUnreadable(f"cannot be read: {error.strerror or error}") from error


def _probed(row: Recording, audio: bytes, minimum_seconds: float) -> Recording:
    sha256 = _sha256(audio)
    row = replace(row, size_bytes=len(audio), sha256=sha256, recording_id=sha256[:ID_DIGITS])
    try:
        facts = probe(audio, row.file_name)
    except RecordingUnreadable as error:
        return _unreadable(row, str(error))
    except Exception as error:  # whatever a damaged file brings about stays its own row
        return _unreadable(row, f"cannot be probed: {type(error).__name__}: {error}")
    row = replace(
        row,
        format=facts.format,
        codec=facts.codec,
        channels=facts.channels,
        sample_rate=facts.sample_rate,
        duration_seconds=facts.duration_seconds,
    )
    if facts.duration_seconds >= minimum_seconds:
        return row
    reason = f"{facts.duration_seconds:.1f} s is shorter than the minimum of {minimum_seconds:g} s"
    return replace(row, status=RowStatus.TOO_SHORT, error=reason)


def _unreadable(row: Recording, reason: str) -> Recording:
    return replace(row, status=RowStatus.UNREADABLE, error=reason)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
