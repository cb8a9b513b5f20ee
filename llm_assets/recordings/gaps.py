"""Silence where the time stamps of a recording say that something is missing.

Lost packets and a line that sends nothing while nobody speaks leave gaps that only the stamps tell of.
Decoders put what they have end to end, so every time after a gap would be too early.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from llm_assets.recordings.container import Audio, open_audio, packets

# Less is the unevenness of stamps, of which the sum is minded: it does not grow beyond this.
LEAST_SECONDS = 0.1
# More is no pause but another clock: streams that were joined, a counter that jumped.
MOST_SECONDS = 3600.0
# Stamps that go back by more begin anew, as in streams that were joined.
_BACK_SECONDS = 1.0
_PIECE_SECONDS = 1.0
# Here stamps are counted from the content itself and can tell of nothing missing.
_COUNTED = frozenset(
    {"aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "au", "avi", "caf", "flac", "gsm", "mp3", "w64", "wav"}
)


@dataclass(slots=True)
class Stamps:
    """Where the next sound is expected, in seconds; None before the first one."""

    _expected: float | None = None

    def missing(self, start_seconds: float | None, length_seconds: float) -> float:
        """Seconds that are missing before a sound of this length with this stamp, which may have none."""
        if self._expected is None or start_seconds is None:
            before = 0.0
        else:
            before = start_seconds - self._expected
            if before > MOST_SECONDS or before < -_BACK_SECONDS:
                self._expected, before = start_seconds, 0.0
        if before < LEAST_SECONDS:
            before = 0.0
        start = start_seconds if self._expected is None else self._expected + before
        self._expected = None if start is None else start + length_seconds
        return before


def are_stamped(container: InputContainer) -> bool:
    """Whether its time stamps can tell of anything that is missing."""
    return container.format.name not in _COUNTED


def filled(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """The frames of a stamped container, and silent ones where some are missing."""
    stamps = Stamps()
    for frame in frames:
        missing_seconds = stamps.missing(frame.time, frame.samples / frame.sample_rate)
        if missing_seconds:
            yield from _silence(frame, round(missing_seconds * frame.sample_rate))
        yield frame


def length_of(packet: Packet[AudioStream], stream: AudioStream) -> float:
    """Seconds of sound in a packet. MP4 counts a gap as the length of what is before it."""
    if packet.duration is None or stream.time_base is None:
        return 0.0
    seconds = float(packet.duration * stream.time_base)
    usual_seconds = stream.codec_context.frame_size / (stream.codec_context.sample_rate or 1)
    return usual_seconds if usual_seconds > 0 and seconds > usual_seconds + LEAST_SECONDS else seconds


def start_of(packet: Packet[AudioStream], stream: AudioStream) -> float | None:
    """A packet's stamp in seconds."""
    if packet.pts is None or stream.time_base is None:
        return None
    return float(packet.pts * stream.time_base)


def has_gaps(audio: Audio) -> bool:
    """Whether something is missing. Reads packets and decodes nothing.

    Raises:
        RecordingUnreadable: not audio.
    """
    with open_audio(audio) as (container, stream):
        stamps = Stamps()
        return are_stamped(container) and any(
            stamps.missing(start_of(packet, stream), length_of(packet, stream)) > 0
            for packet in packets(container, stream)
            if packet.size
        )


def _silence(like: AudioFrame, samples: int) -> Iterator[AudioFrame]:
    """Silent frames of the same kind, the same one as often as it takes."""
    most = round(_PIECE_SECONDS * like.sample_rate)
    whole, rest = divmod(samples, most)
    if whole:
        piece = _silent(like, most)
        for _ in range(whole):
            yield piece
    if rest:
        yield _silent(like, rest)


def _silent(like: AudioFrame, samples: int) -> AudioFrame:
    frame = AudioFrame(format=like.format.name, layout=like.layout, samples=samples)
    frame.sample_rate = like.sample_rate
    zero = b"\x80" if like.format.name.startswith("u8") else b"\x00"
    for plane in frame.planes:
        plane.update(zero * plane.buffer_size)
    return frame
