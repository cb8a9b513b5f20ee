"""Turn a recording into the audio chunks that go to a provider.

What a provider takes as it is goes as it is: a second lossy encoding costs accuracy. Chunks are yielded
one by one, and the same recording with the same limits gives the same bytes (see `encode`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, tee

from llm_assets.errors import RecordingSilent
from llm_assets.recordings.as_it_is import Opened, opened_for_cutting
from llm_assets.recordings.container import Audio
from llm_assets.recordings.decode import SAMPLE_RATE
from llm_assets.recordings.encode import ENCODINGS, Encoder, Encoding, Samples
from llm_assets.recordings.limits import ChunkLimits, Listening
from llm_assets.recordings.listen import MOMENTS_PER_SECOND, Heard, listen
from llm_assets.recordings.noticed import Noticed
from llm_assets.recordings.spans import Spans
from llm_assets.recordings.split import Piece, split_at_pauses
from llm_assets.records import AudioChunk, Recording

# Container to the extension a provider knows it by; `.oga` and `.opus` are not on OpenAI's list.
_TAKEN_FORMATS = {
    "flac": "flac",
    "mp3": "mp3",
    "ogg": "ogg",
    "wav": "wav",
    "webm": "webm",
    "mp4": "mp4",
    "m4a": "m4a",
    "mov": "mp4",
}
_TAKEN_CODECS = frozenset(
    {"aac", "flac", "mp3", "opus", "vorbis", "pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_alaw", "pcm_mulaw"}
)
_AS_IT_IS = Listening()


def prepare_chunks(
    audio: Audio, recording: Recording, limits: ChunkLimits, listening: Listening = _AS_IT_IS
) -> Iterator[AudioChunk]:
    """The chunks of one recording. Together they are all that is heard in it, without overlap.

    They come in order, those of several channels in turns.

    Raises:
        RecordingUnreadable: it cannot be decoded.
        RecordingSilent: nothing is heard in it.
    """
    extension = taken_as(recording) if limits.fits(recording) else None
    opened = opened_for_cutting(audio, recording, listening, is_taken=extension is not None)
    if opened is None:
        yield AudioChunk(
            index=0,
            start_seconds=0.0,
            end_seconds=recording.duration_seconds or 0.0,
            audio=audio if isinstance(audio, bytes) else _whole(audio),
            file_name=f"{recording.recording_id}.{extension}",
        )
        return
    if extension is not None and not opened.apart:
        # One piece would have done, in which voices keep their names and nothing is cut.
        limits = replace(limits, target_seconds=limits.max_seconds)
    silent = True
    for chunk in _once_there_is_sound(_cut(opened, recording, limits, listening), opened.noticed):
        silent = False
        yield chunk
    if silent:
        raise RecordingSilent(_silent(recording))


def taken_as(recording: Recording) -> str | None:
    """The extension by which a provider takes a recording as it is; None when it has to be encoded again."""
    if recording.codec not in _TAKEN_CODECS:
        return None
    return _TAKEN_FORMATS.get(recording.format or "")


def _silent(recording: Recording) -> str:
    seconds = recording.duration_seconds
    length = "" if seconds is None else f", all {seconds:.0f} s of it"
    return f"no speech: it is silent from beginning to end{length}"


def _once_there_is_sound(chunks: Iterator[AudioChunk], noticed: Noticed) -> Iterator[AudioChunk]:
    """The chunks, none if there is no sound in any: where silence is kept, the first one may come late."""
    held: list[AudioChunk] = []
    for chunk in chunks:
        held.append(chunk)
        if noticed.has_sound:
            yield from held
            held.clear()


def _whole(audio: Audio) -> bytes:
    assert not isinstance(audio, bytes)
    audio.seek(0)
    return audio.read()


def _cut(
    opened: Opened, recording: Recording, limits: ChunkLimits, listening: Listening
) -> Iterator[AudioChunk]:
    encoding = ENCODINGS[limits.encoding]
    length_from, window_seconds = _cadence(recording.duration_seconds, limits, encoding)
    numbers = count()
    lines: list[_Line] = []
    for channel, blocks in _channels(opened):
        heard = listen(blocks, SAMPLE_RATE, listening.longest_silence_seconds)
        pieces = split_at_pauses(heard, length_from, window_seconds)
        lines.append(_Line(recording.recording_id, channel, pieces, encoding, numbers))
    # In turns, so that no channel runs ahead of another and what is decoded need not be held for it.
    while lines:
        for line in [*lines]:
            piece = next(line.pieces, None)
            if piece is None:
                lines.remove(line)
            elif (chunk := line.chunk(piece)) is not None:
                yield chunk


def _channels(opened: Opened) -> Iterator[tuple[int | None, Iterator[Samples]]]:
    """One line of samples for all channels, or one for each of them."""
    if not opened.apart:
        yield None, opened.blocks
        return
    first = next(opened.blocks)
    copies = tee(_with(first, opened.blocks), len(first))
    for channel, copy in enumerate(copies):
        yield channel, map(partial(_row, channel), copy)


def _with(first: Samples, others: Iterable[Samples]) -> Iterator[Samples]:
    yield first
    yield from others


def _row(channel: int, block: Samples) -> Samples:
    return block[channel]


@dataclass(slots=True)
class _Line:
    """The chunks of one channel, or of all channels together, being encoded."""

    recording_id: str
    channel: int | None
    pieces: Iterator[Piece]
    encoding: Encoding
    numbers: Iterator[int]
    _encoder: Encoder | None = None
    _spans: Spans = field(default_factory=Spans)
    _speech_moments: int = 0

    def chunk(self, piece: Piece) -> AudioChunk | None:
        """The chunk that ends with this piece, None when none does or nothing is in it."""
        if piece.heard.moments:
            self._add(piece.heard)
        if not piece.ends_chunk or self._encoder is None:
            return None
        index, spans = next(self.numbers), self._spans.seconds()
        name = f"{index:03d}" if self.channel is None else f"{index:03d}-channel{self.channel}"
        made = AudioChunk(
            index=index,
            start_seconds=spans[0].start_seconds,
            end_seconds=spans[-1].end_seconds,
            audio=self._encoder.finish(),
            file_name=f"{self.recording_id}-{name}.{self.encoding.extension}",
            channel=self.channel,
            spans=spans if len(spans) > 1 else (),
            speech_seconds=self._speech_moments / MOMENTS_PER_SECOND,
        )
        self._encoder, self._spans, self._speech_moments = None, Spans(), 0
        return made

    def _add(self, heard: Heard) -> None:
        self._encoder = self._encoder or Encoder(self.encoding, SAMPLE_RATE)
        self._encoder.write(heard.samples)
        self._spans.add(heard)
        self._speech_moments += int(heard.speech.sum())


def _cadence(
    duration_seconds: float | None, limits: ChunkLimits, encoding: Encoding
) -> tuple[_Lengths, float]:
    """How long chunks are to be, and the window in which to cut, so that no chunk breaks a limit."""
    most_seconds = min(limits.max_seconds, limits.max_bytes / encoding.most_bytes_per_second(SAMPLE_RATE))
    window_seconds = min(limits.window_seconds, limits.target_seconds / 2, most_seconds / 4)
    aim_seconds = min(limits.target_seconds, most_seconds - window_seconds)
    return _Lengths(duration_seconds or 0.0, aim_seconds), window_seconds


@dataclass(frozen=True, slots=True)
class _Lengths:
    """What is left at the start of a chunk, in equal parts: no tiny rest is left at the end."""

    duration_seconds: float
    aim_seconds: float

    def __call__(self, start_seconds: float) -> float:
        left_seconds = self.duration_seconds - start_seconds
        if left_seconds <= 0:
            return self.aim_seconds
        return left_seconds / math.ceil(left_seconds / self.aim_seconds)
