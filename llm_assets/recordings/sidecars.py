"""What is known about one recording before it is heard, from a small file beside it.

`call.wav` has its hints in `call.wav.json` or `call.json` (or `.yaml`, `.yml`): language, prompt, keywords,
channels and speakers, each in place of the source's own. Other programs leave such files too, so other
fields are left alone and their names collected, to be told; a slip of the pen is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from llm_assets.errors import ConfigurationError, RecordingForbidden, RecordingUnreadable
from llm_assets.recordings.any_place import open_place
from llm_assets.recordings.find import list_days, names_beside
from llm_assets.recordings.local_place import LocalPlace
from llm_assets.recordings.source import Hints, RecordingSource
from llm_assets.records import Recording

_LARGEST_BYTES = 65_536
_HEARING = frozenset({"channels", "speakers"})
FIELDS = frozenset(Hints.model_fields) | _HEARING


@dataclass(frozen=True, slots=True)
class Sidecars:
    """The files beside a source's recordings: the paths of all there are, or None to look for each.

    `unknown_fields` are the names that were found in them and are no hints.
    """

    source: RecordingSource
    known: frozenset[str] | None = None
    unknown_fields: set[str] = field(default_factory=set[str])

    def source_for(self, recording: Recording) -> RecordingSource:
        """The source as it holds for this recording: with its own hints, if there are any.

        Raises:
            RecordingUnreadable: its hints cannot be used; the message says why.
            RecordingForbidden: they are there and may not be read.
            RecordingsUnavailable: the place does not answer.
        """
        candidates = names_beside(recording.path) if self.source.sidecars else []
        if self.known is not None:
            candidates = [path for path in candidates if path in self.known]
        if candidates and self.known is None:
            candidates = open_place(self.source).present(candidates)
        return self._with_hints(candidates[0]) if candidates else self.source

    def _with_hints(self, path: str) -> RecordingSource:
        try:
            with open_place(self.source).fetched(path) as file:
                fields = _fields(file)
            _require_no_slip(fields.keys() - FIELDS)
            self.unknown_fields.update(fields.keys() - FIELDS)
            return _changed(self.source, {name: fields[name] for name in fields.keys() & FIELDS})
        except RecordingForbidden:
            raise
        except (ConfigurationError, RecordingUnreadable, ValueError) as error:
            raise RecordingUnreadable(f"its hints in {path} cannot be used: {error}") from error


def find_sidecars(source: RecordingSource, days: Iterable[date]) -> Sidecars:
    """Look once for all that the days' recordings have beside them, where one look is cheaper than many.

    Raises:
        RecordingsUnavailable, MissingExtra: see `find_in_days`.
    """
    is_local = isinstance(open_place(source), LocalPlace)
    if is_local or not source.sidecars or not source.layout.has_date:
        return Sidecars(source)
    listed = list_days(source, days).values()
    return Sidecars(source, frozenset(each.path for day in listed for each in day.sidecars))


def _changed(source: RecordingSource, fields: Mapping[str, Any]) -> RecordingSource:
    """Names for the channels mean that they are heard apart, unless the same file says otherwise."""
    hearing: dict[str, Any] = {name: value for name, value in fields.items() if name in _HEARING}
    hints = {name: value for name, value in fields.items() if name not in _HEARING}
    if hearing.get("channels") == "mix":
        hearing = {"speakers": ()} | hearing
    elif "speakers" in hearing:
        hearing = {"channels": "split"} | hearing
    changed = {**dict(source), **hearing, "hints": Hints.model_validate({**dict(source.hints), **hints})}
    return RecordingSource.model_validate(changed)


def _fields(file: Path) -> dict[str, Any]:
    """Raises ValueError."""
    if file.stat().st_size > _LARGEST_BYTES:
        raise ValueError(f"they are longer than {_LARGEST_BYTES} bytes")
    content = _parsed(file.read_text(encoding="utf-8-sig"), file.suffix.lower())
    if not isinstance(content, dict):
        return {}  # nothing that could be meant for us
    return {str(name): value for name, value in cast("dict[object, object]", content).items()}


def _require_no_slip(unknown: Set[str]) -> None:
    """Among fields of another program any name may be like one of ours; alone it is meant as such."""
    meant = {name: get_close_matches(name.lower(), FIELDS, n=1, cutoff=0.8) for name in unknown}
    if meant and all(meant.values()):
        name, close = min(meant.items())
        raise ValueError(f"there is no field {name}, but {close[0]}")


def _parsed(text: str, suffix: str) -> object:
    if suffix == ".json":
        return json.loads(text)
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
