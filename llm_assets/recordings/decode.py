"""Decode a recording to samples of one fixed rate, block by block.

The decoded audio is never held as a whole: ten hours of it would be a gigabyte. Where time stamps tell that
something is missing, there is silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.container import Audio, decoded, open_audio, packets
from llm_assets.recordings.encode import Samples
from llm_assets.recordings.gaps import are_stamped, filled
from llm_assets.recordings.noticed import Noticed
from llm_assets.recordings.phase import in_phase

SAMPLE_RATE = 16_000
# Large, so that little is done for each frame of a codec outside of C.
_BLOCK_SECONDS = 5.0


def decode_mono(
    audio: Audio, sample_rate: int = SAMPLE_RATE, *, noticed: Noticed | None = None
) -> Iterator[Samples]:
    """Blocks of 16-bit samples, channels mixed; where two cancel each other, one is turned over.

    Raises:
        RecordingUnreadable: not audio, or not a single sample can be decoded.
    """
    return (block.reshape(-1) for block in _decode(audio, sample_rate, "mono", noticed))


def decode_channels(
    audio: Audio, sample_rate: int = SAMPLE_RATE, *, noticed: Noticed | None = None
) -> Iterator[Samples]:
    """Blocks of 16-bit samples with a row for each channel.

    Raises:
        RecordingUnreadable: not audio, or not a single sample can be decoded.
    """
    return _decode(audio, sample_rate, None, noticed)


def _decode(audio: Audio, sample_rate: int, layout: str | None, noticed: Noticed | None) -> Iterator[Samples]:
    empty = True
    with open_audio(audio) as (container, stream):
        passing = noticed.packets(container, stream) if noticed else packets(container, stream)
        frames = (frame for packet in passing for frame in decoded(packet))
        if noticed is not None:
            frames = noticed.frames(frames)
        if are_stamped(container):
            frames = filled(frames)
        if layout == "mono" and stream.codec_context.channels == 2:
            frames = in_phase(frames, noticed.cancelling if noticed else None)
        for block in _resampled(frames, sample_rate, layout):
            empty = False
            yield block
    if empty:
        raise RecordingUnreadable("no sound in it can be decoded")


def _resampled(frames: Iterable[AudioFrame], sample_rate: int, layout: str | None) -> Iterator[Samples]:
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
            resampler = AudioResampler("s16p", target, sample_rate, round(sample_rate * _BLOCK_SECONDS))
            shape = seen
        yield from _blocks(resampler, frame)
    yield from _blocks(resampler, None)


def _blocks(resampler: AudioResampler | None, frame: AudioFrame | None) -> Iterator[Samples]:
    """None flushes. A resampler with nothing to do hands its input back, also the None."""
    outputs: list[AudioFrame | None] = [] if resampler is None else list(resampler.resample(frame))
    for output in outputs:
        if output is not None and output.samples:
            yield output.to_ndarray().astype("int16", copy=False)
