"""What listing one day among many costs: requests to a real S3 endpoint, counted there.

The objects are put into the server's own store, since a million uploads would measure those. The server
holds them in memory: some gigabytes for a million.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from llm_assets.recordings.find import find_recordings
from llm_assets.recordings.source import RecordingSource

FIRST = date(2024, 1, 1)
PAGE = 1000
_DAYS, _QUICK_DAYS = 1000, 20
_OBJECTS_A_DAY = 1000
LAYOUTS = {
    "folder": ("{date:%Y-%m-%d}/**/*", "{day:%Y-%m-%d}/{number:06}.wav"),
    "name": ("{date:%Y%m%d}_*", "{day:%Y%m%d}_{number:06}.wav"),
}


def measure(*, quick: bool) -> dict[str, Any]:
    """Requests made for a day in the middle, and the fewest that could tell all of it.

    With the date in a folder and in the name. `lost` are objects of the day that were not found, in both.
    """
    from moto.s3.models import s3_backends

    days = _QUICK_DAYS if quick else _DAYS
    store: Any = s3_backends["123456789012"]["aws"]
    figures: dict[str, Any] = {
        "objects": days * _OBJECTS_A_DAY,
        "objects_a_day": _OBJECTS_A_DAY,
        "requests_needed": math.ceil(_OBJECTS_A_DAY / PAGE),
        "lost": 0,
    }
    with _server() as (url, requests):
        for layout, (pattern, key) in LAYOUTS.items():
            bucket = f"listing-{layout}"
            _fill(store, bucket, key, days)
            options = {"endpoint_url": url, "key": "test", "secret": "test"}
            source = RecordingSource(root=f"s3://{bucket}", pattern=pattern, storage_options=options)
            requests.clear()
            started = time.perf_counter()
            found = find_recordings(source, FIRST + timedelta(days=days // 2))
            figures[f"requests_with_the_date_in_the_{layout}"] = len(requests)
            figures[f"seconds_with_the_date_in_the_{layout}"] = round(time.perf_counter() - started, 2)
            figures["lost"] += _OBJECTS_A_DAY - len(found)
            store.buckets.pop(bucket)
    return figures


def _fill(store: Any, bucket: str, key: str, days: int) -> None:
    store.create_bucket(bucket, "us-east-1")
    for day in (FIRST + timedelta(days=number) for number in range(days)):
        for number in range(_OBJECTS_A_DAY):
            store.put_object(bucket, key.format(day=day, number=number), b"")


@contextmanager
def _server() -> Generator[tuple[str, list[str]]]:
    """A server's URL and the requests that reach it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server: Any = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    requests: list[str] = []
    serving = server._server
    application = serving.app

    def counted(environ: dict[str, Any], start_response: Any) -> Any:
        requests.append(environ["PATH_INFO"])
        return application(environ, start_response)

    serving.app = counted
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}", requests
    finally:
        server.stop()
