"""What is noticed of a recording while it is decoded: sound, gaps, channels that cancel each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from llm_assets.recordings.container import packets
from llm_assets.recordings.gaps import PacketTimes, Stamps, are_stamped
from llm_assets.recordings.phase import is_legible, sides

# In steps of 16 bits, from one extreme to the other: digital silence, with the last bit's noise. What a
# microphone picks up in an empty room is louder, and a constant is no sound.
_SILENT_WITHIN = 2.5 / 2**15
# Seconds with something in them that have to cancel each other.
_ENOUGH = 3

Extremes = npt.NDArray[np.float32]


@dataclass(slots=True)
class Noticed:
    """Grows while packets and frames pass by.

    `has_sound` is whether there is any sound on any channel, `has_gap` whether something is missing by the
    time stamps, `seconds` how much was decoded.
    """

    has_sound: bool = False
    has_gap: bool = False
    seconds: float = 0.0
    _channels: int = 0
    _cancelling: list[bool] = field(default_factory=list[bool])
    _lowest: Extremes | None = None
    _highest: Extremes | None = None

    @property
    def cancels(self) -> bool:
        """Whether two channels cancel each other wherever something is heard at the beginning."""
        return bool(self._cancelling) and all(self._cancelling)

    @property
    def is_settled(self) -> bool:
        """Whether sound and channels are known, whatever is still to come."""
        told = self._cancelling
        return self.has_sound and (self._channels != 2 or len(told) == _ENOUGH or not all(told))

    def packets(self, container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
        """The track's packets, see `container.packets`."""
        self._channels = stream.codec_context.channels
        if not are_stamped(container):
            yield from packets(container, stream)
            return
        times, stamps = PacketTimes(stream), Stamps()
        for packet in packets(container, stream):
            if packet.size and not self.has_gap:
                start_seconds, length_seconds = times.start_seconds(packet), times.length_seconds(packet)
                self.has_gap = stamps.missing(start_seconds, length_seconds) > 0
            yield packet

    def frames(self, frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
        """The same frames."""
        for frame in frames:
            self.seconds += frame.samples / frame.sample_rate
            if not self.has_sound and frame.samples:
                self._hear(frame)
            yield frame

    def cancelling(self, is_so: bool) -> None:
        """Whether the two channels cancel each other in the next second in which something is heard."""
        if len(self._cancelling) < _ENOUGH:
            self._cancelling.append(is_so)

    def _hear(self, frame: AudioFrame) -> None:
        if not is_legible(frame):
            self.has_sound = True
            return
        values = sides(frame)
        lowest, highest = values.min(axis=1), values.max(axis=1)
        if self._lowest is not None and self._highest is not None and self._lowest.size == lowest.size:
            lowest, highest = np.minimum(lowest, self._lowest), np.maximum(highest, self._highest)
        self._lowest, self._highest = lowest, highest
        self.has_sound = bool((highest - lowest).max() > _SILENT_WITHIN)
