"""Recordings in a bucket, through a real S3 endpoint: what is found, what it costs, how it fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from bucket import Bucket

from llm_assets.errors import RecordingsUnavailable
from llm_assets.recordings.any_place import open_place
from llm_assets.recordings.find import find_in_days, find_recordings
from llm_assets.recordings.read import read_recording
from llm_assets.recordings.source import RecordingSource
from llm_assets.records import RowStatus

DAY = date(2026, 3, 2)
SAMPLES = Path(__file__).parents[2] / "data" / "recordings"


def paths(source: RecordingSource, day: date = DAY) -> list[str]:
    return [found.path for found in find_recordings(source, day)]


@pytest.fixture(autouse=True)
def no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def test_a_day_of_a_bucket_is_found(bucket: Bucket) -> None:
    """Sizes, times and versions come with the listing; other days, other files and hidden ones do not."""
    for key in ("2026-03-02/b.wav", "2026-03-02/a/c d ü&+.ogg", "2026-03-02/.x/h.wav", "2026-03-02/notes.txt",
                "2026-03-02/", "2026-03-021/e.wav", "2026-03-03/f.wav"):  # fmt: skip
        bucket.put(f"raw/{key}", b"12345")
    found = find_recordings(bucket.source("raw"), DAY)
    assert [each.path for each in found] == ["2026-03-02/a/c d ü&+.ogg", "2026-03-02/b.wav"]
    assert [(each.size_bytes, each.modified_at is not None, bool(each.version)) for each in found] == [
        (5, True, True)
    ] * 2


@pytest.mark.parametrize(
    ("pattern", "key", "requests"),
    [
        ("{date:%Y-%m-%d}/**/*", "2026-03-{day:02}/{number}.wav", 2),
        ("{date:%Y/%m/%d}/*", "2026/03/{day:02}/{number}.wav", 2),
        ("calls/{date:%Y%m%d}_*", "calls/202603{day:02}_{number}.wav", 2),
        ("*/{date:%Y-%m-%d}/*", "agent{number}/2026-03-{day:02}/a.wav", 3),
    ],
)
def test_a_day_costs_the_requests_of_that_day(bucket: Bucket, pattern: str, key: str, requests: int) -> None:
    """However much else there is: pages of the day's own objects, none of the root, none for an object."""
    numbers = range(2 if "agent" in key else 1500)
    for day in range(1, 6):
        for number in numbers:
            bucket.put(key.format(day=day, number=number))
    source = bucket.source(pattern=pattern)
    assert len(paths(source)) == len(numbers)
    asked = bucket.asked()
    assert len(asked) == requests
    assert all(request.startswith(f"GET /{bucket.name}?list-type=2") for request in asked)


def test_days_by_modification_are_one_listing(bucket: Bucket) -> None:
    """Without a date in the pattern all is listed, once for all the days that are asked for."""
    for number in range(1500):
        bucket.put(f"{number}.wav")
    today = datetime.now(UTC).date()
    days = [today + timedelta(days=number) for number in (-30, -1, 0, 1)]
    found = find_in_days(bucket.source(pattern="*"), days)
    assert len(bucket.asked()) == 2
    assert found[days[0]] == []
    assert sum(len(each) for each in found.values()) == 1500


def test_an_empty_day_of_a_bucket_is_empty(bucket: Bucket) -> None:
    """A folder without this day is a day without recordings; a folder that is not there is an error."""
    bucket.put("raw/2026-03-03/a.wav")
    assert paths(bucket.source("raw")) == []
    assert paths(bucket.source()) == []
    with pytest.raises(RecordingsUnavailable, match="does not exist"):
        paths(bucket.source("rwa"))


def test_a_listing_is_never_an_old_one(bucket: Bucket) -> None:
    """What came since the last listing is found by the same process."""
    assert paths(bucket.source()) == []
    bucket.put("2026-03-02/a.wav")
    assert paths(bucket.source()) == ["2026-03-02/a.wav"]
    bucket.put("2026-03-02/b.wav")
    bucket.remove("2026-03-02/a.wav")
    assert paths(bucket.source()) == ["2026-03-02/b.wav"]


def test_a_recording_is_read_by_one_request(bucket: Bucket) -> None:
    """Probing and hashing share the same bytes; nothing is asked of the object beforehand."""
    content = (SAMPLES / "2026-03-02" / "1041-internet-outage.ogg").read_bytes()
    bucket.put("2026-03-02/a b.ogg", content)
    [found] = find_recordings(bucket.source(), DAY)
    bucket.asked()
    row = read_recording(bucket.source(), found, DAY)
    assert (row.status, row.codec, row.size_bytes) == (RowStatus.OK, "opus", len(content))
    assert [request.split("?")[0] for request in bucket.asked()] == [f"GET /{bucket.name}/2026-03-02/a b.ogg"]
    with open_place(bucket.source()).fetched(row.path) as file:
        assert file.read_bytes() == content
    assert len(bucket.asked()) == 1


def test_a_large_recording_is_read_by_one_request(bucket: Bucket) -> None:
    """Also one larger than what the client would fetch in parts, which could be of two versions."""
    bucket.put("2026-03-02/large.wav", bytes(60_000_000))
    [found] = find_recordings(bucket.source(), DAY)
    bucket.asked()
    row = read_recording(bucket.source(), found, DAY)
    assert row.size_bytes == 60_000_000
    assert len(bucket.asked()) == 1


def test_an_object_that_vanishes_is_a_row_that_says_so(bucket: Bucket) -> None:
    """Gone between listing and reading: its own row tells, and no other suffers."""
    bucket.put("2026-03-02/a.wav")
    [found] = find_recordings(bucket.source(), DAY)
    bucket.remove("2026-03-02/a.wav")
    row = read_recording(bucket.source(), found, DAY)
    assert (row.status, row.error) == (RowStatus.UNREADABLE, "vanished between listing and reading")


def test_a_key_that_climbs_stays_in_the_root(bucket: Bucket) -> None:
    """Buckets allow .. in a key; it is not followed anywhere."""
    bucket.put("raw/2026-03-02/../../secret.wav", b"secret")
    source = bucket.source("raw")
    for found in find_recordings(source, DAY):
        assert "outside" in (read_recording(source, found, DAY).error or "")


def test_a_bucket_that_does_not_exist_is_one_clear_error(bucket: Bucket) -> None:
    """The message names the bucket."""
    with pytest.raises(RecordingsUnavailable, match=r"s3://no-such-bucket/x .*does not exist"):
        paths(bucket.source(root="s3://no-such-bucket/x"))


def test_missing_credentials_are_one_clear_error(bucket: Bucket) -> None:
    """Without any key the message says so."""
    with pytest.raises(RecordingsUnavailable, match="credentials"):
        paths(bucket.source(storage_options={"endpoint_url": bucket.server.url}))


def test_a_host_that_is_down_is_one_clear_error(bucket: Bucket) -> None:
    """Nobody listens at that port; the key is in no message."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        options = {"endpoint_url": url, "key": "AKIAEXAMPLEKEY", "secret": "very-secret-key"}
        with pytest.raises(RecordingsUnavailable, match="Could not connect") as caught:
            paths(bucket.source(storage_options=options))
    assert "AKIAEXAMPLEKEY" not in str(caught.value)
    assert "very-secret-key" not in f"{caught.value} {caught.value.__cause__}"


@pytest.fixture
def mute_host() -> Iterator[str]:
    """A host that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_host_that_says_nothing_is_given_up(bucket: Bucket, mute_host: str) -> None:
    """A bounded number of attempts, each of them bounded: here with a shorter patience than the default."""
    options = {
        "endpoint_url": mute_host,
        "key": "AKIAEXAMPLEKEY",
        "secret": "very-secret-key",
        "config_kwargs": {"read_timeout": 0.2},
    }
    with pytest.raises(RecordingsUnavailable, match="timeout"):
        paths(bucket.source(storage_options=options))


# Permanently elsewhere as AWS says it, and as it says that a signature is for another region.
ELSEWHERE = {
    301: "<Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to access must be "
    "addressed using the specified endpoint.</Message><Bucket>calls</Bucket></Error>",
    400: "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; "
    "the region 'us-east-1' is wrong</Message><Region>eu-central-1</Region></Error>",
}


@pytest.fixture(params=sorted(ELSEWHERE))
def another_region(request: pytest.FixtureRequest) -> Iterator[str]:
    """A host that answers like S3 where the bucket is in another region."""
    body = ELSEWHERE[request.param].encode()

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.send_header("x-amz-bucket-region", "eu-central-1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_bucket_in_another_region_says_which_to_set(bucket: Bucket, another_region: str) -> None:
    """Listing and reading name the bucket, its region and the option, and no key."""
    options = {"endpoint_url": another_region, "key": "AKIAEXAMPLEKEY", "secret": "very-secret-key"}
    source = bucket.source(storage_options=options)
    expected = f"The bucket {bucket.name} is in the region eu-central-1"
    with pytest.raises(RecordingsUnavailable, match=expected) as listed:
        paths(source)
    with pytest.raises(RecordingsUnavailable, match=expected), open_place(source).fetched("a.wav"):
        pass
    assert '{"client_kwargs": {"region_name": "eu-central-1"}}' in str(listed.value)
    assert "very-secret-key" not in str(listed.value)
