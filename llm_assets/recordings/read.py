"""Read one recording once: its bytes, its hash, what it is. Never raises for one recording.

What is wrong with a recording is in its row, so that a thousand others are not held up by one. Of a
recording whose bytes cannot be had, the id is made from its path, since there is no content to hash.
"""

from __future__ import annotations

from datetime import date

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.local_file import rows_of
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.row import listed_row, require_printable, unreadable
from llm_assets.recordings.settle import fetched
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import Recording


def read_recording(source: RecordingSource, found: FoundRecording, partition_date: date) -> Recording:
    """The row of one recording; its status is `ok`, `too_short` or `unreadable`, its error the reason.

    Raises:
        RecordingUnsettled: it is still being written.
        MissingExtra, RecordingsUnavailable: the root itself cannot be used.
    """
    row = listed_row(found, partition_date)
    try:
        require_printable(found)
        with fetched(source, found) as file:
            *_, row = rows_of(file, row, source.minimum_seconds)
    except RecordingUnreadable as error:
        return unreadable(row, str(error))
    return row
