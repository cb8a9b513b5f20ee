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


class PacketTimes:
    """When the packets of a track begin and end. In floats: fractions take ten times as long."""

    def __init__(self, stream: AudioStream) -> None:
        self._codec = stream.codec_context
        self._unit_seconds = None if stream.time_base is None else float(stream.time_base)

    def start_seconds(self, packet: Packet[AudioStream]) -> float | None:
        """A packet's stamp."""
        if packet.pts is None or self._unit_seconds is None:
            return None
        return packet.pts * self._unit_seconds

    def length_seconds(self, packet: Packet[AudioStream]) -> float:
        """How much sound is in a packet. MP4 counts a gap as the length of what is before it."""
        if packet.duration is None or self._unit_seconds is None:
            return 0.0
        seconds = packet.duration * self._unit_seconds
        usual_seconds = self._codec.frame_size / (self._codec.sample_rate or 1)
        return usual_seconds if usual_seconds > 0 and seconds > usual_seconds + LEAST_SECONDS else seconds


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
