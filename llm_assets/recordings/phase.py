"""Two channels that cancel each other when they are mixed: the same sound, once upside down.

A balanced line wired the wrong way round records so. Mixed, by us or by a provider, it is silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame

# Looked at together; long enough for several syllables.
_SECONDS = 1.0
# Of the energy of the channels, what is left of it in their mix. Different voices leave a half.
_LEFT_SHARE = 0.1
# Softer is the noise of a line, of which nothing can be told.
_SOUND = 1e-5

Wide = npt.NDArray[np.float32]


def in_phase(
    frames: Iterable[AudioFrame], tell: Callable[[bool], None] | None = None
) -> Iterator[AudioFrame]:
    """The frames; where two channels cancel each other, with the second one turned over.

    `tell` hears of every second in which there is something whether they do.
    """
    for some in _together(frames):
        cancels = _cancels(some)
        if tell is not None and cancels is not None:
            tell(cancels)
        yield from map(_turned, some) if cancels else some


def is_legible(frame: AudioFrame) -> bool:
    """Whether NumPy is handed samples of this kind; integers of 64 bits it is not."""
    return not frame.format.name.startswith("s64")


def sides(frame: AudioFrame) -> Wide:
    """A row for each channel, full scale being 1."""
    values = frame.to_ndarray()
    values = values.reshape(-1, len(frame.layout.channels)).T if frame.format.is_packed else values
    wide = values.astype(np.float32)
    if values.dtype.kind == "u":
        wide -= 128
    if values.dtype.kind != "f":
        wide /= 2.0 ** (8 * values.itemsize - 1)
    return wide


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
    if any(len(frame.layout.channels) != 2 or not is_legible(frame) for frame in frames):
        return None
    # Every other one tells as much.
    both = np.concatenate([sides(frame) for frame in frames[::2]], axis=1)
    energy = float(np.square(both).mean())
    if energy < _SOUND:
        return None
    return float(np.square(both.mean(axis=0)).mean()) < energy * _LEFT_SHARE


def _turned(frame: AudioFrame) -> AudioFrame:
    values = frame.to_ndarray().copy()
    second = values[:, 1::2] if frame.format.is_packed else values[1:]
    # Turning over every bit is the negative of a whole number, less one, and cannot overflow.
    second[...] = np.negative(second) if values.dtype.kind == "f" else np.invert(second)
    turned = AudioFrame.from_ndarray(values, format=frame.format.name, layout=frame.layout.name)
    turned.sample_rate = frame.sample_rate
    return turned
