"""Finding a day's recordings, and only those."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from made_audio import put

from llm_assets.errors import RecordingsRefused, RecordingsUnavailable
from llm_assets.recordings.find import EXTENSIONS, find_recordings
from llm_assets.recordings.source import RecordingSource

DAY = date(2026, 3, 2)


def paths(root: str | Path, day: date = DAY) -> list[str]:
    return [found.path for found in find_recordings(RecordingSource(root=root), day)]


def test_finds_the_day_in_path_order(tmp_path: Path) -> None:
    """Recordings come sorted by path, from folders within the day too, and from no other day."""
    for path in ("2026-03-02/b.mp3", "2026-03-02/a/c.ogg", "2026-03-02/A.WAV", "2026-03-03/d.mp3", "e.mp3"):
        put(tmp_path, path, b"sound")
    assert paths(tmp_path) == ["2026-03-02/A.WAV", "2026-03-02/a/c.ogg", "2026-03-02/b.mp3"]


def test_tells_name_size_and_time(tmp_path: Path) -> None:
    """What a listing knows is on the found recording, with the time in UTC."""
    put(tmp_path, "2026-03-02/call.ogg", b"12345")
    [found] = find_recordings(RecordingSource(root=str(tmp_path)), DAY)
    assert (found.file_name, found.size_bytes) == ("call.ogg", 5)
    assert found.modified_at is not None
    assert found.modified_at.tzinfo is UTC
    assert abs((datetime.now(UTC) - found.modified_at).total_seconds()) < 60


@pytest.mark.parametrize("name", ["a b.ogg", "it's.ogg", 'say "hi".ogg', "café ☎.ogg", "50%?#.ogg", "*.ogg"])
def test_any_name_is_a_name(tmp_path: Path, name: str) -> None:
    """Spaces, quotes, Unicode, and what means something in a URL or a pattern, are nothing special."""
    put(tmp_path, f"2026-03-02/{name}", b"sound")
    assert paths(tmp_path) == [f"2026-03-02/{name}"]


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_every_listed_extension_is_found(tmp_path: Path, extension: str) -> None:
    """Each extension of the layout is found, in capitals too."""
    put(tmp_path, f"2026-03-02/a{extension}", b"sound")
    put(tmp_path, f"2026-03-02/b{extension.upper()}", b"sound")
    assert len(paths(tmp_path)) == 2


def test_leaves_alone_what_is_no_recording(tmp_path: Path) -> None:
    """Other files, hidden files and hidden folders are not listed."""
    for path in ("notes.txt", "noextension", ".a.mp3", "._b.mp3", ".trash/c.mp3", "d.mp3/.keep"):
        put(tmp_path, f"2026-03-02/{path}", b"x")
    assert paths(tmp_path) == []


def test_a_day_without_a_folder_is_empty(tmp_path: Path) -> None:
    """No folder for the day means no recordings, not an error."""
    assert paths(tmp_path) == []


@pytest.mark.parametrize("root", ["nowhere", "memory://nowhere", "no-such-protocol://here"])
def test_a_missing_root_says_what_to_set(tmp_path: Path, root: str) -> None:
    """A root that is not there names itself and what gave it: a variable only where one does."""
    root = root if "://" in root else str(tmp_path / root)
    source = RecordingSource(root=root)
    for given in (source, source.named("LLM_ASSETS_RECORDINGS").in_timezone("UTC")):
        with pytest.raises(RecordingsUnavailable, match=f"which is given as {given.given_as}") as caught:
            find_recordings(given, DAY)
        assert root in str(caught.value)
    assert ("LLM_ASSETS" in source.given_as, "LLM_ASSETS" in given.given_as) == (False, True)


@contextmanager
def somebody_who_is_not_root() -> Iterator[None]:
    """Root may enter any folder."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("locked", "mode"), [("calls/2026-03-02/a/b", 0), ("calls/2026-03-02", 0o400), ("calls", 0)]
)
def test_a_locked_folder_is_named_with_what_to_mend(locked: str, mode: int) -> None:
    """The folder that keeps everybody out, not one below it that cannot be looked at either."""
    with TemporaryDirectory() as folder:
        top = Path(folder).resolve()
        put(top, "calls/2026-03-02/a/b/c/x.mp3", b"sound")
        put(top, "calls/2026-03-02/a/y.mp3", b"sound")
        top.chmod(0o755)
        if os.geteuid() == 0:
            for each in (top, *top.rglob("*")):
                os.chown(each, 65534, -1)
        try:
            (top / locked).chmod(mode)
            with somebody_who_is_not_root(), pytest.raises(RecordingsRefused) as caught:
                find_recordings(RecordingSource(root=top / "calls"), DAY)
        finally:
            (top / locked).chmod(0o755)
    said = str(caught.value)
    assert f"The folder {top / locked} is locked" in said
    assert "chmod u+rx" in said


def test_a_root_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    """A file where a folder should be cannot be listed."""
    root = put(tmp_path, "recordings", b"x")
    with pytest.raises(RecordingsUnavailable):
        find_recordings(RecordingSource(root=root), DAY)


def test_a_bucket_without_its_extra_says_what_to_install() -> None:
    """A URL whose file system is an extra of this package names the extra."""
    code = """
import sys
sys.modules["s3fs"] = None
from datetime import date
from llm_assets.recordings.find import find_recordings
from llm_assets.recordings.source import RecordingSource
find_recordings(RecordingSource(root="s3://bucket/calls"), date(2026, 3, 2))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra: reading recordings from s3://bucket/calls" in result.stderr
    assert "pip install 'llm-assets[s3]'" in result.stderr


def test_a_link_out_of_the_root_is_listed_for_its_row(tmp_path: Path) -> None:
    """Links to files or folders outside are neither followed nor passed over in silence."""
    put(tmp_path, "outside/secret.mp3", b"secret")
    root = tmp_path / "root"
    put(root, "2026-03-02/a.mp3", b"sound")
    (root / "2026-03-02/file.mp3").symlink_to(tmp_path / "outside/secret.mp3")
    (root / "2026-03-02/folder").symlink_to(tmp_path / "outside")
    assert paths(root) == ["2026-03-02/a.mp3", "2026-03-02/file.mp3", "2026-03-02/folder"]


def test_a_day_that_is_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    """A whole day that lies elsewhere is one clear error."""
    put(tmp_path, "outside/secret.mp3", b"secret")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/2026-03-02").symlink_to(tmp_path / "outside")
    with pytest.raises(RecordingsUnavailable, match="leads outside"):
        find_recordings(RecordingSource(root=str(tmp_path / "root")), DAY)


def test_links_within_the_root_are_followed_once(tmp_path: Path) -> None:
    """A link to a folder of the root is followed, a circle of links ends."""
    put(tmp_path, "archive/a.mp3", b"sound")
    put(tmp_path, "2026-03-02/b.mp3", b"sound")
    (tmp_path / "2026-03-02/more").symlink_to(tmp_path / "archive")
    (tmp_path / "archive/back").symlink_to(tmp_path / "2026-03-02")
    assert paths(tmp_path) == ["2026-03-02/b.mp3", "2026-03-02/more/a.mp3"]


def test_a_root_that_is_itself_a_link_is_fine(tmp_path: Path) -> None:
    """The root may be a link: what is inside it is inside."""
    put(tmp_path, "real/2026-03-02/a.mp3", b"sound")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert paths(tmp_path / "link") == ["2026-03-02/a.mp3"]


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    """A file:// URL names the same recordings as the path."""
    put(tmp_path, "2026-03-02/a b.mp3", b"sound")
    assert paths(f"file://{tmp_path}") == ["2026-03-02/a b.mp3"]


def test_any_fsspec_url_is_listed_the_same_way() -> None:
    """In a bucket the layout, the rules for hidden files and the relative paths are the same."""
    root, memory = "memory://test-find/calls", MemoryFileSystem()
    for path in ("2026-03-02/b.mp3", "2026-03-02/a/c d.ogg", "2026-03-02/.h.mp3", "2026-03-03/d.mp3"):
        memory.pipe_file(f"{root}/{path}", b"123")
    found = find_recordings(RecordingSource(root=root), DAY)
    assert [each.path for each in found] == ["2026-03-02/a/c d.ogg", "2026-03-02/b.mp3"]
    assert found[0].size_bytes == 3
    assert found[0].modified_at is not None
    assert find_recordings(RecordingSource(root=root), date(2026, 3, 9)) == []
