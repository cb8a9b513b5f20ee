"""Open what a recording's bytes contain. The only place where libav's errors become ours.

Only containers that carry audio are opened: a playlist (HLS, concat) under the name of a recording could
make libav read other files or hosts.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import av
from av import stream as streams
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition

from llm_assets.errors import RecordingUnreadable

Audio = bytes | BinaryIO
"""The content of a recording, or a file with it that can be read from any place."""

# libav's names for them; an alias has to be there too (mov,mp4,m4a,… are one demuxer).
_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,avi,caf,flac,flv,gsm,matroska,webm,"
    "mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,w64,wav"
)

# libav looks whether samples are film sound (DTS) under a false name. 16 KB tell; the 128 KB that it would
# look at take ten times as long as all else that opening does.
_WAVE_OPTIONS = {"max_probe_packets": "4"}

# Tags are often in another encoding than they say. Since version 19 (Python 3.12 and later) PyAV knows.
_TAGS: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}

# Apple's and MPEG's tags for what needs a key.
_ENCRYPTED = ("drms", "enca")


@contextmanager
def open_audio(audio: Audio) -> Generator[tuple[InputContainer, AudioStream]]:
    """The container and its audio track; of several, the one that a player would play.

    Raises:
        RecordingUnreadable: empty, not audio, no audio track, or libav gave up inside the `with` block.
    """
    file = io.BytesIO(audio) if isinstance(audio, bytes) else audio
    if not file.seek(0, io.SEEK_END):
        raise RecordingUnreadable("empty (0 bytes)")
    file.seek(0)
    options = {"format_whitelist": _CONTAINERS}
    if _is_wave(file):
        options |= _WAVE_OPTIONS
    try:
        with av.open(file, "r", container_options=options, **_TAGS) as container:
            yield container, _track(container)
    except FFmpegError as error:
        raise RecordingUnreadable(f"not audio, or damaged: {error.strerror or error}") from error


def _is_wave(file: BinaryIO) -> bool:
    head = file.read(12)
    file.seek(0)
    return head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE"


def _track(container: InputContainer) -> AudioStream:
    tracks = container.streams.audio
    if not tracks:
        raise RecordingUnreadable("no audio track")
    decodable = [each for each in tracks if _is_open(each)]
    if not decodable:
        raise RecordingUnreadable("its audio is encrypted (DRM), or of a codec that nothing here decodes")
    track = next((each for each in decodable if each.disposition & Disposition.default), decodable[0])
    if discard := getattr(streams, "Discard", None):  # not in older versions
        for each in container.streams:
            if each is not track:
                each.discard = discard.all  # a film's pictures are passed over
    return track


def _is_open(track: AudioStream) -> bool:
    # Without a decoder there is no context, which the type does not tell.
    context = cast("AudioCodecContext | None", track.codec_context)
    return context is not None and context.codec_tag not in _ENCRYPTED


def packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """The track's packets up to its end or to where the container is damaged."""
    try:
        yield from container.demux(stream)
    except FFmpegError:
        return


def decoded(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """A packet's frames; none when the packet is damaged, as every player does it.

    Decoders call damage by several names: "invalid data", "not permitted", numbers without a name.
    """
    try:
        return packet.decode()
    except FFmpegError:
        return []


def is_encrypted(packet: Packet[AudioStream]) -> bool:
    told = getattr(packet, "has_sidedata", None)  # not in older versions
    return told is not None and bool(told("encryption_info"))
