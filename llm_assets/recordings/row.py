"""The row of a recording of which no more is known than its listing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.place import FoundRecording
from llm_assets.records import Recording, RowStatus

ID_DIGITS = 20


def listed_row(found: FoundRecording, partition_date: date) -> Recording:
    """Its id is made from its path, since there is no content to hash."""
    path = found.path.encode("utf-8", "surrogateescape")
    return Recording(
        partition_date=partition_date,
        recording_id=hashlib.sha256(path).hexdigest()[:ID_DIGITS],
        path=_printable(found.path),
        file_name=_printable(found.file_name),
        size_bytes=found.size_bytes,
        sha256="",
    )


def require_printable(found: FoundRecording) -> None:
    """Raises RecordingUnreadable: a row could not say which recording it is of."""
    if _printable(found.path) != found.path:
        raise RecordingUnreadable("its name is not valid UTF-8; rename it")


def unreadable(row: Recording, reason: str) -> Recording:
    return replace(row, status=RowStatus.UNREADABLE, error=reason)


def _printable(name: str) -> str:
    """Names are bytes to a file system; the ones that are no text cannot go into a table."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
