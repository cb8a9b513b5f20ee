"""Encode samples into one piece of audio, incrementally, as a provider takes it.

The same samples always give the same bytes: the journal knows a piece of audio by its hash, so a random
stream serial or a library version inside the file would make a later run pay again.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.codec.context import Flags

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Encoding:
    """A container with a codec in it. `extension` is what providers tell the format by."""

    extension: str
    container: str
    codec: str
    bit_rate: int | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])

    def most_bytes_per_second(self, sample_rate: int) -> float:
        """An upper bound for mono: a variable bit rate overshoots, lossless noise does not compress."""
        return self.bit_rate / 8 * 2 if self.bit_rate else sample_rate * 2 * 1.1


# `lowdelay` leaves out libopus' speech mode: at this rate that costs three times the CPU for a sound that is
# further from the original.
OPUS = Encoding("ogg", "ogg", "libopus", bit_rate=48_000, options={"application": "lowdelay"})
FLAC = Encoding("flac", "flac", "flac")
ENCODINGS: Mapping[str, Encoding] = {"opus": OPUS, "flac": FLAC}


class Encoder:
    """Takes samples as they come and gives the finished bytes at the end.

    Only the encoded bytes are held. Samples are 16-bit, interleaved when there is more than one channel.
    """

    def __init__(self, encoding: Encoding, sample_rate: int, channels: int = 1) -> None:
        self._file = io.BytesIO()
        self._layout = "mono" if channels == 1 else "stereo"
        self._sample_rate = sample_rate
        self._container = av.open(
            self._file, "w", format=encoding.container, container_options={"fflags": "+bitexact"}
        )
        self._stream = cast(
            AudioStream,
            self._container.add_stream(encoding.codec, rate=sample_rate, options=dict(encoding.options)),
        )
        self._stream.layout = self._layout
        self._stream.codec_context.flags |= Flags.bitexact
        if encoding.bit_rate is not None:
            self._stream.bit_rate = encoding.bit_rate
        self._written = 0

    def write(self, samples: Samples) -> None:
        """Append samples; an empty array changes nothing."""
        if samples.size == 0:
            return
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=self._layout)
        frame.sample_rate = self._sample_rate
        frame.pts = self._written
        self._written += frame.samples
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> bytes:
        """Close the container and give its bytes. Nothing can be written afterwards."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.getvalue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._container.close()
