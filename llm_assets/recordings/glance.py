"""Look at a recording without decoding all of it, which costs ten times as much and more.

A glance tells of sound, gaps and phase; skimming, also how much of it is silent, about. Who errs here sends
what could have been shorter, or decodes for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.container import Audio, decoded, open_audio
from llm_assets.recordings.gaps import PacketTimes, are_stamped
from llm_assets.recordings.listen import Levels, runs, speech_above
from llm_assets.recordings.noticed import Noticed
from llm_assets.recordings.phase import in_phase, sides

# No multiple of what beats in a rhythm.
_EVERY_SECONDS = 0.93
# A decoder that begins somewhere lacks what it remembers of the packets before (MP3 of several).
_WARM_PACKETS, _HEARD_PACKETS = 3, 2
_QUIETEST_SHARE = 0.02


def glance(audio: Audio, noticed: Noticed | None = None) -> Noticed:
    """What is noticed at the beginning, until it is settled, and whether there are gaps anywhere.

    Raises:
        RecordingUnreadable: not audio, or not a single sample can be decoded.
    """
    noticed = noticed or Noticed()
    with open_audio(audio) as (container, stream):
        packets = noticed.packets(container, stream)
        frames = (frame for packet in packets if not noticed.is_settled for frame in decoded(packet))
        for _ in _told_to(noticed, frames, stream):
            if noticed.is_settled and not are_stamped(container):
                break
    if not noticed.seconds:
        raise RecordingUnreadable("no sound in it can be decoded")
    return noticed


def skim(audio: Audio, noticed: Noticed) -> Levels:
    """The loudness of the mix in decibels, twice in about every second. Notices what a glance does.

    Raises:
        RecordingUnreadable: not audio.
    """
    with open_audio(audio) as (container, stream):
        frames = _skipping(noticed.packets(container, stream), PacketTimes(stream))
        levels = [_level(frame) for frame in _told_to(noticed, frames, stream)]
    return np.array(levels, np.float32)


def silent_seconds(levels: Levels, seconds: float, longest_silence_seconds: float) -> float:
    """About how much of so many seconds, looked at in even steps, is silence longer than that."""
    if not levels.size:
        return 0.0
    floor, loud = np.quantile(levels, (_QUIETEST_SHARE, 1 - _QUIETEST_SHARE))
    starts, ends = runs(levels < floor + speech_above(float(loud - floor)))
    lengths = (ends - starts) * seconds / levels.size
    # Two pauses of people who take turns, a second apart, look like a long one.
    return float(lengths[lengths > longest_silence_seconds + _EVERY_SECONDS].sum())


def _told_to(noticed: Noticed, frames: Iterable[AudioFrame], stream: AudioStream) -> Iterator[AudioFrame]:
    frames = noticed.frames(frames)
    return in_phase(frames, noticed.cancelling) if stream.codec_context.channels == 2 else frames


def _skipping(packets: Iterable[Packet[AudioStream]], times: PacketTimes) -> Iterator[AudioFrame]:
    """The frames of two packets in about every second."""
    seconds, next_seconds, left = 0.0, 0.0, 0
    for packet in packets:
        if not left and seconds >= next_seconds:
            left, next_seconds = _WARM_PACKETS + _HEARD_PACKETS, seconds + _EVERY_SECONDS
        seconds += times.length_seconds(packet)
        if left:
            left -= 1
            frames = decoded(packet)
            if left < _HEARD_PACKETS:
                yield from frames


def _level(frame: AudioFrame) -> float:
    mix = sides(frame).mean(axis=0)
    return 10 * float(np.log10(max(np.square(mix).mean(), 1e-8)))
