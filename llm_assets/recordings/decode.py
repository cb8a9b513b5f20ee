"""Decode a recording to samples of one fixed rate, block by block.

The decoded audio is never held as a whole: ten hours of it would be a gigabyte. Where time stamps tell that
something is missing, there is silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.container import Audio, decoded, open_audio, packets
from llm_assets.recordings.encode import Samples
from llm_assets.recordings.gaps import are_stamped, filled
from llm_assets.recordings.phase import in_phase

SAMPLE_RATE = 16_000
# Large, so that little is done for each frame of a codec outside of C.
_BLOCK_SECONDS = 5.0
# Small, where mostly the first block is enough.
_GLANCE_SECONDS = 0.25
# Channels differ where the difference is louder than this share of the louder one.
_SAME_WITHIN = 0.03
# In steps of 16 bits, from one extreme to the other: digital silence, with the last bit's noise. What a
# microphone picks up in an empty room is louder, and a constant is no sound.
_SILENT_WITHIN_STEPS = 2
_SURE_WITHIN_SECONDS = 1.0


def decode_mono(audio: Audio, sample_rate: int = SAMPLE_RATE) -> Iterator[Samples]:
    """Blocks of 16-bit samples, channels mixed; where two cancel each other, one is turned over.

    Raises:
        RecordingUnreadable: not audio, or not a single sample can be decoded.
    """
    return (block.reshape(-1) for block in _decode(audio, sample_rate, "mono"))


def decode_channels(audio: Audio, sample_rate: int = SAMPLE_RATE) -> Iterator[Samples]:
    """Blocks of 16-bit samples with a row for each channel.

    Raises:
        RecordingUnreadable: not audio, or not a single sample can be decoded.
    """
    return _decode(audio, sample_rate, None)


def channels_differ(audio: Audio) -> bool:
    """Whether there are several channels, and not the same on all of them.

    Ends where they differ for the first time, which in a real conversation is soon.

    Raises:
        RecordingUnreadable: not audio, or not a single sample can be decoded.
    """
    return any(_differ(block) for block in decode_channels(audio))


def is_silent(audio: Audio, duration_seconds: float) -> bool:
    """Whether there is no sound at all on any channel: nothing is there to be heard, however quiet.

    Ends at the first sound. Where less can be decoded than the recording is long, nobody knows the rest, so
    it is not silent.

    Raises:
        RecordingUnreadable: not audio, or not a single sample can be decoded.
    """
    samples = 0
    for block in _decode(audio, SAMPLE_RATE, None, _GLANCE_SECONDS):
        if _sounds(block):
            return False
        samples += block.shape[-1]
    return samples / SAMPLE_RATE >= duration_seconds - _SURE_WITHIN_SECONDS


def _sounds(block: Samples) -> bool:
    spread = block.max(axis=1).astype(np.int32) - block.min(axis=1)
    return bool(spread.max() > _SILENT_WITHIN_STEPS)


def _differ(block: Samples) -> bool:
    wide = block.astype(np.float32)
    loudest = np.square(wide).mean(axis=1).max()
    apart = np.square(wide - wide[0]).mean(axis=1).max()
    return bool(apart > max(loudest * _SAME_WITHIN**2, 1.0))


def _decode(
    audio: Audio, sample_rate: int, layout: str | None, block_seconds: float = _BLOCK_SECONDS
) -> Iterator[Samples]:
    empty = True
    with open_audio(audio) as (container, stream):
        frames = (frame for packet in packets(container, stream) for frame in decoded(packet))
        if are_stamped(container):
            frames = filled(frames)
        if layout == "mono" and stream.codec_context.channels == 2:
            frames = in_phase(frames)
        for block in _resampled(frames, sample_rate, layout, block_seconds):
            empty = False
            yield block
    if empty:
        raise RecordingUnreadable("no sound in it can be decoded")


def _resampled(
    frames: Iterable[AudioFrame], sample_rate: int, layout: str | None, block_seconds: float
) -> Iterator[Samples]:
    """A stream may change its rate or channels midway (chained Ogg): then a new resampler takes over.

    Without a `layout` it is that of the first frame to the end.
    """
    resampler: AudioResampler | None = None
    target: AudioLayout | str | None = layout
    shape = None
    for frame in frames:
        frame.pts = None  # a jump in the time stamps must not become a refusal of the resampler
        target = target or frame.layout
        if shape != (seen := (frame.format.name, frame.layout.name, frame.sample_rate)):
            yield from _blocks(resampler, None)
            resampler = AudioResampler("s16p", target, sample_rate, round(sample_rate * block_seconds))
            shape = seen
        yield from _blocks(resampler, frame)
    yield from _blocks(resampler, None)


def _blocks(resampler: AudioResampler | None, frame: AudioFrame | None) -> Iterator[Samples]:
    """None flushes. A resampler with nothing to do hands its input back, also the None."""
    outputs: list[AudioFrame | None] = [] if resampler is None else list(resampler.resample(frame))
    for output in outputs:
        if output is not None and output.samples:
            yield output.to_ndarray().astype("int16", copy=False)
