"""What a recording is: container, codec, channels, sample rate, duration.

A container may claim a duration that its content does not have (cut off, streamed, estimated from a bit
rate), so the claim is taken only where the packets confirm it. Reading packets decodes nothing: some
thousand times faster than real time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from av.audio.stream import AudioStream
from av.container import InputContainer

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.container import Audio, decoded, is_encrypted, open_audio, packets
from llm_assets.recordings.gaps import PacketTimes, Stamps, are_stamped

_AGREES_WITHIN_SECONDS = 0.25
# What libav tells of these it has guessed from their bit rate.
_WITHOUT_DURATION = frozenset({"aac", "ac3", "amr", "amrnb", "amrwb", "gsm"})
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """`format` is the container's common name (`ogg`, `m4a`), `codec` the codec's (`opus`, `aac`)."""

    format: str
    codec: str
    channels: int
    sample_rate: int
    duration_seconds: float


def probe(audio: Audio, file_name: str) -> AudioFacts:
    """The facts of the first audio track.

    Raises:
        RecordingUnreadable: there is nothing in it that can be decoded; the message is the reason.
    """
    with open_audio(audio) as (container, stream):
        measured_seconds = _measured(container, stream)
        return AudioFacts(
            format=_format_name(container.format.name, file_name),
            codec=stream.codec_context.codec.canonical_name,
            channels=stream.codec_context.channels,
            sample_rate=stream.codec_context.sample_rate,
            duration_seconds=_trusted(container, measured_seconds),
        )


def _format_name(names: str, file_name: str) -> str:
    """One of libav's names for a container (`mov,mp4,m4a,…`), the file's own extension if it is one."""
    known = names.split(",")
    extension = PurePosixPath(file_name).suffix.lower().removeprefix(".")
    return extension if extension in known else known[0]


def _measured(container: InputContainer, stream: AudioStream) -> float:
    """Seconds of all packets together and of what is missing between them, sure that one of them decodes.

    Not from the first time stamp to the last: they start again where recordings were joined.
    """
    seconds, decodes, encrypted = 0.0, False, False
    times = PacketTimes(stream)
    stamps = Stamps() if are_stamped(container) else None
    for packet in packets(container, stream):
        encrypted = encrypted or is_encrypted(packet)
        decodes = decodes or any(frame.samples for frame in decoded(packet))
        if packet.size:
            length_seconds = times.length_seconds(packet)
            seconds += length_seconds
            if stamps is not None:
                seconds += stamps.missing(times.start_seconds(packet), length_seconds)
    if encrypted:  # which may happen to decode, as noise
        raise RecordingUnreadable("its audio is encrypted (DRM)")
    if not decodes:
        raise RecordingUnreadable("no sound in it can be decoded")
    return seconds


def _trusted(container: InputContainer, measured_seconds: float) -> float:
    if container.format.name in _WITHOUT_DURATION:
        return measured_seconds
    claimed_seconds = (container.duration or 0) / _MICROSECONDS
    agrees = abs(claimed_seconds - measured_seconds) <= _AGREES_WITHIN_SECONDS
    return claimed_seconds if agrees else measured_seconds
