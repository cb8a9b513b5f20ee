"""moto's S3 server in this process, spoken to over HTTP, with a record of every request."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pytest

from llm_assets.recordings.source import RecordingSource

CREDENTIALS = {"key": "test-access-key", "secret": "test-secret-key"}


class S3Server:
    """`requests` are the method and the path with its query, in order. What `refused` picks gets a 403."""

    def __init__(self) -> None:
        server = pytest.importorskip("moto.server")
        pytest.importorskip("s3fs")
        self.requests: list[str] = []
        self.refused: Callable[[str], bool] = lambda request: False
        self._server = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._server.start()
        _, port = self._server.get_host_and_port()
        self.url = f"http://127.0.0.1:{port}"
        application = self._server._server.app

        def recorded(environ: dict[str, Any], start_response: Any) -> Any:
            request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
            self.requests.append(request)
            if self.refused(request):
                start_response("403 Forbidden", [("Content-Type", "application/xml")])
                return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
            return application(environ, start_response)

        self._server._server.app = recorded
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop()

    def new_bucket(self) -> Bucket:
        return Bucket(self, f"calls-{next(self._numbers)}")


class Bucket:
    """A bucket, filled by moto's own store rather than by a request for each object."""

    def __init__(self, server: S3Server, name: str) -> None:
        from moto.s3.models import s3_backends

        self.server, self.name = server, name
        self._store = s3_backends["123456789012"]["aws"]
        self._store.create_bucket(name, "us-east-1")

    def put(self, key: str, content: bytes = b"sound") -> None:
        self._store.put_object(self.name, key, content)

    def remove(self, key: str) -> None:
        self._store.delete_object(self.name, key)

    def source(self, folder: str = "", **fields: Any) -> RecordingSource:
        options = CREDENTIALS | {"endpoint_url": self.server.url}
        root = f"s3://{self.name}/{folder}".rstrip("/")
        return RecordingSource(**{"root": root, "storage_options": options} | fields)

    def asked(self) -> list[str]:
        """The requests for this bucket so far, which are then forgotten."""
        requests, self.server.requests[:] = list(self.server.requests), []
        return [request for request in requests if f"/{self.name}" in request]
