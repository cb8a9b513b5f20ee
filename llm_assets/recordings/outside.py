"""Recordings in a local folder that its layout has no place for: no day will ever have them.

Only a layout whose first folder is the whole date is looked at, so that the days themselves, which may hold
millions, need not be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from llm_assets.errors import RecordingsUnavailable
from llm_assets.recordings.any_place import open_place
from llm_assets.recordings.find import is_recording
from llm_assets.recordings.layout import date_of, regex_of
from llm_assets.recordings.local_place import LocalPlace
from llm_assets.recordings.place import FoundRecording
from llm_assets.recordings.source import RecordingSource


def outside_layout(source: RecordingSource) -> list[str]:
    """Their paths below the root: beside the days' folders, and in folders whose name is no day."""
    place = open_place(source)
    layout = source.layout
    first = layout.segments[0]
    is_whole = layout.letters <= {token.value for token in first if token.is_date}
    if len(layout.segments) == 1 or not layout.has_date or not is_whole or not isinstance(place, LocalPlace):
        return []
    found = list(place.files("", False))
    for name in place.folders(""):
        match = re.fullmatch(regex_of(first, set()), name, re.IGNORECASE)
        if match is None or date_of(match.groupdict()) is None:
            found += _below(place, name)
    return sorted(each.path for each in found if is_recording(source, each))


def _below(place: LocalPlace, folder: str) -> Iterator[FoundRecording]:
    """As much as can be listed: no run needs this folder."""
    try:
        yield from place.files(f"{folder}/", True)
    except RecordingsUnavailable:
        return
