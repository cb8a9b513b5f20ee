"""What listing one day among many costs: requests to a real S3 endpoint, counted there.

    python -m benchmarks.listing                1,000 days of 1,000 objects: some minutes and gigabytes for
                                                the server, which holds a million objects in memory
    python -m benchmarks.listing 100 1000       fewer days; the requests for one of them stay the same

The objects are put into the server's own store, since a million uploads would measure those.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from datetime import date, timedelta
from typing import Any

from llm_assets.recordings.find import find_recordings
from llm_assets.recordings.source import RecordingSource

FIRST = date(2024, 1, 1)
PAGE = 1000
LAYOUTS = {
    "{date:%Y-%m-%d}/**/*": "{day:%Y-%m-%d}/{number:06}.wav",
    "{date:%Y%m%d}_*": "{day:%Y%m%d}_{number:06}.wav",
}


def measure(days: int, objects: int) -> list[dict[str, Any]]:
    """For each layout: requests made for a day in the middle, and the fewest that could tell all of it."""
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    requests = _counted(server)
    host, port = server.get_host_and_port()
    store: Any = s3_backends["123456789012"]["aws"]
    results: list[dict[str, Any]] = []
    for number, (pattern, key) in enumerate(LAYOUTS.items()):
        bucket = f"listing-{number}"
        store.create_bucket(bucket, "us-east-1")
        for day in (FIRST + timedelta(days=each) for each in range(days)):
            for each in range(objects):
                store.put_object(bucket, key.format(day=day, number=each), b"")
        options = {"endpoint_url": f"http://{host}:{port}", "key": "test", "secret": "test"}
        source = RecordingSource(root=f"s3://{bucket}", pattern=pattern, storage_options=options)
        before, started = len(requests), time.perf_counter()
        found = find_recordings(source, FIRST + timedelta(days=days // 2))
        results.append(
            {
                "layout": pattern,
                "objects_in_bucket": days * objects,
                "found": len(found),
                "requests": len(requests) - before,
                "requests_needed": max(math.ceil(objects / PAGE), 1),
                "seconds": round(time.perf_counter() - started, 2),
            }
        )
        store.buckets.pop(bucket)
    server.stop()
    return results


def _counted(server: Any) -> list[str]:
    """The requests that reach the server from now on."""
    requests: list[str] = []
    serving = server._server
    application = serving.app

    def counted(environ: dict[str, Any], start_response: Any) -> Any:
        requests.append(environ["PATH_INFO"])
        return application(environ, start_response)

    serving.app = counted
    return requests


def main() -> None:
    numbers = [int(argument) for argument in sys.argv[1:3]]
    days, objects = numbers if len(numbers) == 2 else (1000, 1000)
    for result in measure(days, objects):
        print(json.dumps(result))


if __name__ == "__main__":
    main()
