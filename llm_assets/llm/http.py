"""A request to an HTTP server and its answer, as values. Neither shows what it must not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class FormFile:
    """One file of a multipart form. `file_name` is plain ASCII and carries the extension."""

    field: str
    file_name: str
    content: bytes = dataclasses.field(repr=False)
    content_type: str


class HttpRequest(NamedTuple):
    """A request with either a `body` or a multipart form of `files` and their accompanying `fields`.

    It carries a key in its headers, so it does not show them and refuses to be pickled.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[FormFile, ...] = ()
    method: str = "POST"

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {self.url!r}, files={self.files!r})"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("an HttpRequest carries credentials and stays in its process")


class HttpResponse(NamedTuple):
    """A whole answer. `headers` ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"HttpResponse(status={self.status}, {len(self.body)} bytes)"
