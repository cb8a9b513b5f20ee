"""Where recordings come from and how they are to be heard: one frozen value that all stages are given.

It holds plain values only, so that it can be written in YAML and sent to a worker process. What cannot
work is a ConfigurationError when it is built, which is when a project's definitions load.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from llm_assets.errors import ConfigurationError
from llm_assets.recordings.layout import Layout, layout_of

FOLDER_PER_DAY = "{date:%Y-%m-%d}/**/*"

Channels = Literal["mix", "split"]
EncodingName = Literal["opus", "flac"]


OF_HEARING = {
    "channels", "speakers", "encoding", "target_seconds", "longest_silence_seconds", "hints", "sidecars",
    "continue_prompt",
}  # fmt: skip


class _Frozen(BaseModel):
    # A value that does not fit may be a key: no error shows it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(f"{type(self).__name__}: {problems(error)}") from None


class Hints(_Frozen):
    """What a model should know before it listens.

    `language` is a code of ISO 639-1 (`de`); None lets the model find out. `prompt` is a sentence about
    the recordings, `keywords` are names and terms to expect.
    """

    language: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()

    @field_validator("language")
    @classmethod
    def _a_code(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", value):
            raise ValueError("it must be a language code such as en or pt-BR")
        return value

    @field_validator("keywords", mode="before")
    @classmethod
    def _no_single_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("it must be a list of texts, not one text")
        return value


class RecordingSource(_Frozen):
    """A place with recordings, how its days are laid out, and how they are heard.

    `root` is a folder or any URL that fsspec knows (`s3://bucket/calls`); `pattern` says where below it a
    day's recordings are. A pattern without a date means the day a recording was last modified, in
    `timezone` (None: the time zone of the partitions, else UTC). `storage_options` go to the file system
    behind a URL and are never shown.

    Recordings shorter than `minimum_seconds` are rows without a call to a model. Where files can be seen
    while they are being written, one that was modified less than `settle_seconds` ago is left alone.

    `channels`: `mix` hears all channels together, `split` each on its own, with `speakers` as the names
    of who is on them, from the left. Recordings that a provider does not take as they are become
    `encoding`, in chunks of about `target_seconds`, without the inside of silences that last longer than
    `longest_silence_seconds` (None keeps them; times are those of the recording either way).

    `hints` hold for every recording, unless one has its own in a file beside it, for which is looked while
    `sidecars` is true. With `continue_prompt` the end of
    each chunk's text goes with the next chunk, as whisper likes it; a recording's chunks then go one after
    the other.
    """

    root: str = Field(min_length=1)
    pattern: str = FOLDER_PER_DAY
    timezone: str | None = None
    storage_options: Mapping[str, Any] = Field(default_factory=dict, repr=False)
    minimum_seconds: float = Field(default=5.0, ge=0, allow_inf_nan=False)
    settle_seconds: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    channels: Channels = "mix"
    speakers: tuple[str, ...] = ()
    encoding: EncodingName = "opus"
    target_seconds: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    longest_silence_seconds: float | None = Field(default=2.0, ge=1, le=10)
    hints: Hints = Hints()
    sidecars: bool = True
    continue_prompt: bool = False
    _given_as: str = PrivateAttr(default="recordings")

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        shown = ((name, value) for name, value in super().__repr_args__() if name != "root")
        return [("root", self.place), *shown]

    @classmethod
    def of(cls, source: str | Path | RecordingSource) -> RecordingSource:
        """A source from its root alone, or as it is."""
        return source if isinstance(source, RecordingSource) else cls(root=str(source))

    @property
    def place(self) -> str:
        """The root as it can be shown: without a password that a URL may hold."""
        parts = urlsplit(self.root)
        if "://" not in self.root or "@" not in parts.netloc:
            return self.root
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @property
    def layout(self) -> Layout:
        return layout_of(self.pattern)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone or "UTC")

    @property
    def hearing(self) -> str:
        """Another text whenever something changes about how recordings are heard, wherever they lie."""
        heard = self.model_dump(mode="json", include=OF_HEARING)
        return hashlib.sha256(json.dumps(heard, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def given_as(self) -> str:
        """What a message calls the setting that the root was given as."""
        return self._given_as

    def named(self, setting: str) -> RecordingSource:
        """The same source, given as this setting."""
        copy = self.model_copy()
        copy._given_as = setting
        return copy

    def in_timezone(self, timezone: str) -> RecordingSource:
        """The same source, with this time zone if it names none."""
        return self if self.timezone else self.model_copy(update={"timezone": timezone})

    @field_validator("root", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @field_validator("pattern")
    @classmethod
    def _can_be_listed(cls, value: str) -> str:
        layout_of(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            return value and ZoneInfo(value).key
        except (OSError, ValueError, LookupError):
            raise ValueError("it must be a time zone of the IANA list, such as Europe/Berlin") from None

    @model_validator(mode="after")
    def _speakers_have_channels(self) -> Self:
        if self.speakers and self.channels != "split":
            raise ValueError("speakers name the channels, so they need channels: split")
        return self


def problems(error: ValidationError) -> str:
    """What is wrong and where, without the values."""
    found = error.errors(include_input=False, include_context=False, include_url=False)
    return "; ".join(_problem(".".join(map(str, each["loc"])), each["msg"]) for each in found)


def _problem(where: str, message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
