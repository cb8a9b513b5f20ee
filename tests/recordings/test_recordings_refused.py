"""Clients with errors of their own, such as Azure's: a refusal is told from an outage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem

from llm_assets.errors import RecordingForbidden, RecordingsRefused, RecordingsUnavailable
from llm_assets.recordings.any_place import open_place
from llm_assets.recordings.find import find_recordings
from llm_assets.recordings.source import RecordingSource


class RefusedByServer(Exception):
    """As HTTP clients of clouds have them: a status, and a page of text."""

    status_code = 403

    def __str__(self) -> str:
        return "Server failed to authenticate the request.\nRequestId:1\n<?xml version='1.0'?><Error/>"


class Refusing(AbstractFileSystem):
    protocol = "refusing"
    status_code = 403

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        raise self._error()

    def get_file(self, *args: Any, **kwargs: Any) -> None:
        raise self._error()

    def exists(self, path: str, **kwargs: Any) -> bool:
        return True

    def _error(self) -> RefusedByServer:
        error = RefusedByServer()
        error.status_code = type(self).status_code
        return error


@pytest.fixture
def source() -> Iterator[RecordingSource]:
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    yield RecordingSource(root="refusing://calls")
    Refusing.status_code = 403


def read(source: RecordingSource) -> None:
    with open_place(source).fetched("2026-03-02/a.wav"):
        pass


def test_what_a_server_refuses_is_no_outage(source: RecordingSource) -> None:
    """Trying again does not help, and the reason is one line of all it says."""
    with pytest.raises(RecordingsRefused, match=r"authenticate the request\. Check that place"):
        find_recordings(source, date(2026, 3, 2))
    with pytest.raises(RecordingForbidden, match=r"authenticate the request$"):
        read(source)


def test_a_server_in_trouble_is_an_outage(source: RecordingSource) -> None:
    """Another status says nothing about permissions."""
    Refusing.status_code = 503
    with pytest.raises(RecordingsUnavailable) as listed:
        find_recordings(source, date(2026, 3, 2))
    assert not isinstance(listed.value, RecordingsRefused)
    with pytest.raises(RecordingsUnavailable, match="can no longer be read"):
        read(source)
