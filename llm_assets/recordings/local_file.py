"""What a recording's file on this machine is: its hash, its facts, and whether it is still the same.

Worker processes import this and what decodes, and nothing of the places recordings come from: that is a third
less memory for each of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader
from pathlib import Path

from llm_assets.errors import RecordingForbidden, RecordingUnreadable
from llm_assets.recordings.probe import probe
from llm_assets.recordings.row import ID_DIGITS, unreadable
from llm_assets.records import Recording, RowStatus


def rows_of(file: Path, row: Recording, minimum_seconds: float) -> Iterator[Recording]:
    """What is known of a recording before anything is decoded, then all of it.

    Raises:
        RecordingUnreadable: the file cannot be read.
    """
    with _open(file) as audio:
        sha256 = hashlib.file_digest(audio, "sha256").hexdigest()
        row = replace(row, size_bytes=audio.tell(), sha256=sha256, recording_id=sha256[:ID_DIGITS])
        yield row
        yield _probed(row, audio, minimum_seconds)


@contextmanager
def opened(file: Path, recording: Recording) -> Generator[BufferedReader]:
    """The file that `recording` is the row of.

    Raises:
        RecordingUnreadable: it cannot be read, or its content is no longer the same.
    """
    with _open(file) as audio:
        if hashlib.file_digest(audio, "sha256").hexdigest() != recording.sha256:
            reason = "changed since it was read; materialize the recordings of this day again"
            raise RecordingUnreadable(reason)
        audio.seek(0)
        yield audio


@contextmanager
def _open(file: Path) -> Generator[BufferedReader]:
    try:
        with file.open("rb") as audio:
            yield audio
    except FileNotFoundError as error:
        raise RecordingUnreadable("vanished between listing and reading") from error
    except PermissionError as error:
        raise RecordingForbidden(f"cannot be read: {error.strerror or error}") from error
    except OSError as error:
        raise RecordingUnreadable(f"cannot be read: {error.strerror or error}") from error


def _probed(row: Recording, audio: BufferedReader, minimum_seconds: float) -> Recording:
    try:
        facts = probe(audio, row.file_name)
    except RecordingUnreadable as error:
        return unreadable(row, str(error))
    except Exception as error:  # whatever a damaged file brings about stays its own row
        return unreadable(row, f"cannot be probed: {type(error).__name__}: {error}")
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
