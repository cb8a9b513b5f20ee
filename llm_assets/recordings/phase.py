"""Two channels that cancel each other when they are mixed: the same sound, once upside down.

A balanced line wired the wrong way round records so. Mixed, by us or by a provider, it is silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame

from llm_assets.recordings.container import Audio, decoded, open_audio, packets

# Looked at together; long enough for several syllables.
_SECONDS = 1.0
# Of the energy of the channels, what is left of it in their mix. Different voices leave a half.
_LEFT_SHARE = 0.1
# Softer is the noise of a line, of which nothing can be told.
_SOUND = 1e-5
_ENOUGH = 3

Wide = npt.NDArray[np.float32]


def in_phase(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """The frames; where two channels cancel each other, with the second one turned over."""
    for some in _together(frames):
        yield from map(_turned, some) if _cancels(some) else some


def is_out_of_phase(audio: Audio) -> bool:
    """Whether two channels cancel each other wherever something is heard at the beginning.

    Raises:
        RecordingUnreadable: not audio.
    """
    with open_audio(audio) as (container, stream):
        if stream.codec_context.channels != 2:
            return False
        frames = (frame for packet in packets(container, stream) for frame in decoded(packet))
        told = (verdict for some in _together(frames) if (verdict := _cancels(some)) is not None)
        first = next(told, False)
        return first and all(islice(told, _ENOUGH - 1))


def _together(frames: Iterable[AudioFrame]) -> Iterator[list[AudioFrame]]:
    """Frames of about a second."""
    held: list[AudioFrame] = []
    seconds = 0.0
    for frame in frames:
        held.append(frame)
        seconds += frame.samples / frame.sample_rate
        if seconds >= _SECONDS:
            yield held
            held, seconds = [], 0.0
    if held:
        yield held


def _cancels(frames: list[AudioFrame]) -> bool | None:
    """None where nothing is heard, or there are not two channels."""
    if any(len(frame.layout.channels) != 2 for frame in frames):
        return None
    # Every other one tells as much.
    sides = np.concatenate([_sides(frame) for frame in frames[::2]], axis=1)
    energy = float(np.square(sides).mean())
    if energy < _SOUND:
        return None
    return float(np.square(sides.mean(axis=0)).mean()) < energy * _LEFT_SHARE


def _sides(frame: AudioFrame) -> Wide:
    """Both channels, full scale being 1."""
    values = frame.to_ndarray()
    values = values.reshape(-1, 2).T if frame.format.is_packed else values
    wide = values.astype(np.float32)
    if values.dtype.kind == "u":
        wide -= 128
    if values.dtype.kind != "f":
        wide /= 2.0 ** (8 * values.itemsize - 1)
    return wide


def _turned(frame: AudioFrame) -> AudioFrame:
    values = frame.to_ndarray().copy()
    second = values[:, 1::2] if frame.format.is_packed else values[1:]
    # Turning over every bit is the negative of a whole number, less one, and cannot overflow.
    second[...] = np.negative(second) if values.dtype.kind == "f" else np.invert(second)
    turned = AudioFrame.from_ndarray(values, format=frame.format.name, layout=frame.layout.name)
    turned.sample_rate = frame.sample_rate
    return turned
