"""What a day's recordings look like from outside: paths, sizes and times, as one short text.

A listing is enough for it, so looking costs next to nothing, and any file that comes, goes or changes
gives another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from llm_assets.recordings.source import RecordingSource

if TYPE_CHECKING:
    from llm_assets.recordings.find import FoundRecording


def fingerprint_of(found: Iterable[FoundRecording]) -> str:
    """The fingerprint of a day's listing."""
    digest = hashlib.sha256()
    for each in sorted(found, key=lambda each: each.path):
        digest.update(f"{each.path}\0{each.size_bytes}\0{each.modified_at}\0".encode())
    return digest.hexdigest()[:16]


def day_fingerprint(source: RecordingSource, day: date) -> str:
    """The fingerprint of a day as it is now. Raises as listing does (RecordingsUnavailable, MissingExtra)."""
    from llm_assets.recordings.find import find_recordings

    return fingerprint_of(find_recordings(source, day))
