"""Reading one recording: its facts, or the reason why there are none."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from made_audio import ENCODINGS, FLAC, M4A, MP3, OPUS, OTHERS, RATE, WAV, encoded, put, sound

from llm_assets.errors import RecordingUnreadable
from llm_assets.recordings.encode import Encoding
from llm_assets.recordings.find import FoundRecording, find_recordings
from llm_assets.recordings.local_file import opened, rows_of
from llm_assets.recordings.read import read_recording
from llm_assets.recordings.row import listed_row
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import Recording, RowStatus

DAY = date(2026, 3, 2)


def read(root: Path, content: bytes, name: str = "call.ogg", minimum_seconds: float = 5.0) -> Recording:
    put(root, f"2026-03-02/{name}", content)
    source = RecordingSource(root=str(root), minimum_seconds=minimum_seconds)
    [found] = find_recordings(source, DAY)
    return read_recording(source, found, DAY)


def picture_track() -> bytes:
    """A film without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 32, 32
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode(None))
    return file.getvalue()


def content_of(root: Path, row: Recording) -> bytes:
    with opened(root / row.path, row) as audio:
        return audio.read()


@pytest.mark.parametrize("extension", sorted(ENCODINGS))
def test_the_facts_of_every_format(tmp_path: Path, extension: str) -> None:
    """Format, codec, channels and duration are told, the duration to 0.1 s (MP3 may count its padding)."""
    content = encoded(sound(6.4), ENCODINGS[extension])
    row = read(tmp_path, content, f"call.{extension}")
    assert (row.status, row.error) == (RowStatus.OK, None)
    assert row.format == ("ogg" if extension == "opus" else extension)
    assert row.codec in {"opus", "flac", "mp3", "aac", "pcm_s16le"}
    assert row.channels == 1
    assert row.duration_seconds == pytest.approx(6.4, abs=0.1)
    assert row.sample_rate in {16_000, 48_000}


def test_the_row_is_named_by_its_content(tmp_path: Path) -> None:
    """The id is the beginning of the hash; path and name are as they were listed."""
    content = encoded(sound(6), OPUS)
    row = read(tmp_path, content, "it's café.ogg")
    assert row.sha256 == hashlib.sha256(content).hexdigest()
    assert row.recording_id == row.sha256[:20]
    assert (row.path, row.file_name) == ("2026-03-02/it's café.ogg", "it's café.ogg")
    assert (row.partition_date, row.size_bytes) == (DAY, len(content))


def test_stereo_is_told(tmp_path: Path) -> None:
    """Two channels are two channels."""
    assert read(tmp_path, encoded(sound(12), WAV, channels=2), "a.wav").channels == 2


def test_too_short_says_how_short(tmp_path: Path) -> None:
    """Below the minimum a recording is `too_short`, with both numbers and with its facts."""
    row = read(tmp_path, encoded(sound(2.1), FLAC), "a.flac")
    assert row.status is RowStatus.TOO_SHORT
    assert row.error == "2.1 s is shorter than the minimum of 5 s"
    assert row.duration_seconds == pytest.approx(2.1)


def test_the_minimum_can_be_set(tmp_path: Path) -> None:
    """With a lower minimum the same recording is fine."""
    assert read(tmp_path, encoded(sound(2.1), FLAC), "a.flac", minimum_seconds=2).status is RowStatus.OK


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty (0 bytes)"),
        (b"To whom it may concern. " * 200, "not audio"),
        (b"\0" * 5000, "not audio"),
        (b"<html><body>404 Not Found</body></html>" * 20, "not audio"),
        (encoded(sound(6), M4A)[:9000], "not audio, or damaged"),
        (encoded(sound(6), OPUS)[:60], "not audio, or damaged"),
        (encoded(sound(6), WAV)[:44], "no sound in it can be decoded"),
        (picture_track(), "no audio track"),
    ],
    ids=["empty", "text", "zeros", "html", "no index", "header cut", "no samples", "film"],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    """Whatever is not audio is `unreadable` with a reason, and still has the id of its content."""
    row = read(tmp_path, content, "call.mp3")
    assert row.status is RowStatus.UNREADABLE
    assert reason in (row.error or "")
    assert row.recording_id == hashlib.sha256(content).hexdigest()[:20]
    assert row.duration_seconds is None


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
    ],
    ids=["hls", "concat"],
)
def test_a_playlist_leads_nowhere(tmp_path: Path, playlist: str) -> None:
    """A playlist named like a recording cannot make another file be read."""
    other = put(tmp_path, "other.mp3", encoded(sound(6), ENCODINGS["mp3"]))
    row = read(tmp_path / "root", playlist.format(other).encode(), "call.mp3")
    assert row.status is RowStatus.UNREADABLE


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "webm"])
def test_a_cut_off_recording_has_the_duration_of_what_is_left(tmp_path: Path, extension: str) -> None:
    """The header of a truncated file claims the whole; the row tells what is really there."""
    content = encoded(sound(20), ENCODINGS[extension])
    row = read(tmp_path, content[: len(content) // 2], f"call.{extension}")
    assert row.status is RowStatus.OK
    assert row.duration_seconds == pytest.approx(10, abs=0.5)


def test_vanished_between_listing_and_reading(tmp_path: Path) -> None:
    """A recording that is gone is a row that says so, with an id made from its path."""
    found = FoundRecording("2026-03-02/gone.mp3", "gone.mp3", 10, None)
    row = read_recording(RecordingSource(root=str(tmp_path)), found, DAY)
    assert (row.status, row.error) == (RowStatus.UNREADABLE, "vanished between listing and reading")
    assert row.recording_id == hashlib.sha256(b"2026-03-02/gone.mp3").hexdigest()[:20]
    assert row.sha256 == ""


def test_a_link_to_nowhere(tmp_path: Path) -> None:
    """A link whose recording was moved away is no recording that vanished just now."""
    (tmp_path / "call.mp3").symlink_to(tmp_path / "moved.mp3")
    row = read_recording(
        RecordingSource(root=str(tmp_path)), FoundRecording("call.mp3", "call.mp3", 10, None), DAY
    )
    assert (row.status, row.error) == (RowStatus.UNREADABLE, "a link to nowhere")


@pytest.mark.parametrize("target", ["secret.mp3", "."])
def test_a_link_out_of_the_root_is_not_read(tmp_path: Path, target: str) -> None:
    """A link that leads outside is a row that says so, for a file as for a folder."""
    put(tmp_path, "outside/secret.mp3", encoded(sound(6), ENCODINGS["mp3"]))
    (tmp_path / "root/2026-03-02").mkdir(parents=True)
    (tmp_path / "root/2026-03-02/link.mp3").symlink_to(tmp_path / "outside" / target)
    [found] = find_recordings(RecordingSource(root=str(tmp_path / "root")), DAY)
    row = read_recording(RecordingSource(root=str(tmp_path / "root")), found, DAY)
    assert row.status is RowStatus.UNREADABLE
    assert "leads outside" in (row.error or "")


def test_a_path_out_of_the_root_is_not_read(tmp_path: Path) -> None:
    """A path with `..` gets nowhere either."""
    put(tmp_path, "secret.mp3", encoded(sound(6), ENCODINGS["mp3"]))
    (tmp_path / "root").mkdir()
    row = read_recording(
        RecordingSource(root=str(tmp_path / "root")),
        FoundRecording("../secret.mp3", "secret.mp3", 1, None),
        DAY,
    )
    assert "leads outside" in (row.error or "")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe under the name of a recording does not hang the run."""
    (tmp_path / "2026-03-02").mkdir()
    os.mkfifo(tmp_path / "2026-03-02/pipe.mp3")
    [found] = find_recordings(RecordingSource(root=str(tmp_path)), DAY)
    assert read_recording(RecordingSource(root=str(tmp_path)), found, DAY).error == "not a regular file"


def test_a_name_that_is_no_text_is_a_row(tmp_path: Path) -> None:
    """A file name in another encoding becomes a row that any table can hold."""
    put(tmp_path, os.fsdecode(b"2026-03-02/caf\xe9.mp3"), encoded(sound(6), OPUS))
    [found] = find_recordings(RecordingSource(root=str(tmp_path)), DAY)
    row = read_recording(RecordingSource(root=str(tmp_path)), found, DAY)
    assert row.status is RowStatus.UNREADABLE
    assert "rename" in (row.error or "")
    assert row.path.encode("utf-8").decode("utf-8") == "2026-03-02/caf\N{REPLACEMENT CHARACTER}.mp3"


def test_reading_works_in_a_worker_process(tmp_path: Path) -> None:
    """The function, what it takes and what it gives cross a process boundary."""
    expected = read(tmp_path, encoded(sound(6), OPUS))
    [found] = find_recordings(RecordingSource(root=str(tmp_path)), DAY)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert (
            pool.submit(read_recording, RecordingSource(root=str(tmp_path)), found, DAY).result() == expected
        )


def test_the_audio_of_a_row_is_the_audio_it_is_about(tmp_path: Path) -> None:
    """The bytes come back as they were; when they changed meanwhile, that is said."""
    content = encoded(sound(6), OPUS)
    row = read(tmp_path, content)
    assert content_of(tmp_path, row) == content
    with pytest.raises(RecordingUnreadable, match="changed since"):
        content_of(tmp_path, replace(row, sha256="0" * 64))
    (tmp_path / row.path).unlink()
    with pytest.raises(RecordingUnreadable, match="vanished"):
        content_of(tmp_path, row)


def test_the_hash_is_known_before_anything_is_decoded(tmp_path: Path) -> None:
    """Where decoding does not come to an end, the row still has the id of its content."""
    content = encoded(sound(6), OPUS)
    file = put(tmp_path, "2026-03-02/a.ogg", content)
    listed = listed_row(FoundRecording("2026-03-02/a.ogg", "a.ogg", 1, None), DAY)
    first, last = rows_of(file, listed, 5)
    assert first.sha256 == last.sha256 == hashlib.sha256(content).hexdigest()
    assert (first.format, last.format) == (None, "ogg")


def tracks(*names: str, encryption: str = "") -> bytes:
    """A Matroska file with a hum in each track, the one called `default` marked so; or an encrypted MP4."""
    file = io.BytesIO()
    options = {"encryption_scheme": encryption, "encryption_key": "0" * 32, "encryption_kid": "1" * 32}
    with av.open(
        file,
        "w",
        format="mp4" if encryption else "matroska",
        container_options=options if encryption else {},
    ) as container:
        streams = [container.add_stream("aac", rate=RATE) for _ in names]
        for name, stream in zip(names, streams, strict=True):
            stream.layout = "mono"
            stream.disposition = Disposition.default if name == "default" else Disposition(0)
        for number, stream in enumerate(streams):
            samples = sound(2 * number + 6)
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = RATE
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("names", "seconds"), [(("a", "default"), 8), (("default", "b"), 6), (("a", "b"), 6)], ids=str
)
def test_of_several_tracks_the_one_a_player_plays(
    tmp_path: Path, names: tuple[str, ...], seconds: float
) -> None:
    """The track marked as default, else the first."""
    row = read(tmp_path, tracks(*names), "film.mkv")
    assert row.duration_seconds == pytest.approx(seconds, abs=0.2)


def test_what_is_encrypted_says_so(tmp_path: Path) -> None:
    """A recording that is protected against copying is told from a damaged one."""
    row = read(tmp_path, tracks("a", encryption="cenc-aes-ctr"), "book.m4a")
    assert row.status is RowStatus.UNREADABLE
    assert "encrypted" in (row.error or "")


@pytest.mark.parametrize("extension", sorted(OTHERS))
def test_what_phones_and_cameras_make(tmp_path: Path, extension: str) -> None:
    """Formats beyond those that providers take are found and probed, also the sound of films."""
    row = read(tmp_path, encoded(sound(6, OTHERS[extension][1]), *OTHERS[extension]), f"a.{extension}")
    assert (row.status, row.error) == (RowStatus.OK, None)
    assert row.duration_seconds == pytest.approx(6, abs=0.2)


def test_a_stream_without_a_duration_is_measured(tmp_path: Path) -> None:
    """A browser writes WebM as it records, with no duration in it; an MP3 may have no index."""
    live = Encoding("webm", "webm", "libopus", bit_rate=24_000)
    whole = encoded(sound(12.3), live)
    cut = whole.replace(b"\x44\x89\x88", b"\xec\x81\x00", 1)  # the duration becomes a void element
    row = read(tmp_path, cut, "live.webm")
    assert row.duration_seconds == pytest.approx(12.3, abs=0.1)
    mp3 = encoded(sound(12.3), MP3)
    row = read(tmp_path / "2", mp3[mp3.index(b"Info") + 400 :], "no-index.mp3")
    assert row.duration_seconds == pytest.approx(12.3, abs=0.3)
