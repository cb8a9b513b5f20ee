"""How a recording is to be heard: hints that go with every chunk, and what is done with the answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionOptions:
    """Hints, and who is heard on which channel.

    `language` is an ISO 639-1 code; None lets the model find out. `prompt` and `keywords` name words
    the model should expect. `speakers` names who is heard on each channel that was split off, in the
    order of the channels. With `continue_prompt` the end of each chunk's text goes with the next chunk
    as the end of its prompt, as whisper likes it; the chunks of a channel then go one after the other.
    """

    language: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    continue_prompt: bool = False
