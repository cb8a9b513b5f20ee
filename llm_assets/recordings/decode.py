"""Decode a recording to mono samples of one fixed rate, block by block.

The decoded audio is never held as a whole: ten hours of it would be a gigabyte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.container import decoded, open_audio, packets
from llm_assets.recordings.encode import Samples

SAMPLE_RATE = 16_000


def decode_mono(audio: bytes, sample_rate: int = SAMPLE_RATE) -> Iterator[Samples]:
    """Blocks of 16-bit samples, channels mixed.

    Raises:
        RecordingUnreadable: not audio, or not a single sample can be decoded.
    """
    empty = True
    with open_audio(audio) as (container, stream):
        frames = (frame for packet in packets(container, stream) for frame in decoded(packet))
        for block in _resampled(frames, sample_rate):
            empty = False
            yield block
    if empty:
        raise RecordingUnreadable("no sound in it can be decoded")


def _resampled(frames: Iterable[AudioFrame], sample_rate: int) -> Iterator[Samples]:
    """A stream may change its rate or channels midway (chained Ogg): then a new resampler takes over."""
    resampler, shape = AudioResampler("s16", "mono", sample_rate), None
    for frame in frames:
        frame.pts = None  # a jump in the time stamps must not become a refusal of the resampler
        if shape not in (None, _shape(frame)):
            yield from _blocks(resampler, None)
            resampler = AudioResampler("s16", "mono", sample_rate)
        shape = _shape(frame)
        yield from _blocks(resampler, frame)
    yield from _blocks(resampler, None)


def _shape(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _blocks(resampler: AudioResampler, frame: AudioFrame | None) -> Iterator[Samples]:
    """None flushes. A resampler with nothing to do hands its input back, also the None."""
    outputs: list[AudioFrame | None] = list(resampler.resample(frame))
    for output in outputs:
        if output is not None and output.samples:
            yield output.to_ndarray().reshape(-1).astype("int16", copy=False)
