"""Open the place of a source, whichever kind it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fsspec.core import url_to_fs
from fsspec.utils import tokenize

from llm_assets.errors import MissingExtra
from llm_assets.recordings.local_place import LocalPlace
from llm_assets.recordings.outage import unavailable
from llm_assets.recordings.place import Place
from llm_assets.recordings.remote_place import RemotePlace, said
from llm_assets.recordings.s3_place import S3_PROTOCOLS, S3Place, s3_options
from llm_assets.recordings.source import RecordingSource

_EXTRAS = dict.fromkeys(S3_PROTOCOLS, "s3")

# fsspec keeps a client for each thread; one for each process has all the connections it needs.
_opened: dict[tuple[int, str], tuple[Any, str]] = {}


def open_place(source: RecordingSource) -> Place:
    """The place of a source, without looking whether it is there.

    Raises:
        MissingExtra: the URL needs a package that an extra of this package brings.
        RecordingsUnavailable: nothing installed understands the URL.
    """
    scheme, separator, path = source.root.partition("://")
    if not separator or scheme in ("file", "local"):
        return LocalPlace(Path(path if separator else source.root).expanduser(), source)
    if scheme in S3_PROTOCOLS:
        return S3Place(*_client(source, s3_options(source.storage_options)), source)
    return RemotePlace(*_client(source, source.storage_options), source)


def _client(source: RecordingSource, options: Mapping[str, Any]) -> tuple[Any, str]:
    """The file system behind the URL, and what the root is called there."""
    key = (os.getpid(), str(tokenize(source.root, options)))
    if key not in _opened:
        file_system, root = _made(source, options)
        _opened[key] = file_system, root.rstrip("/")
    return _opened[key]


def _made(source: RecordingSource, options: Mapping[str, Any]) -> tuple[Any, str]:
    try:
        return cast("tuple[Any, str]", url_to_fs(source.root, **options))
    except ImportError as error:
        extra = _EXTRAS.get(source.root.partition("://")[0])
        if extra is None:
            raise unavailable(source, said(error), error) from None
        raise MissingExtra(f"reading recordings from {source.place}", extra) from error
    except Exception as error:  # options it does not take, a host that it connects to at once
        raise unavailable(source, said(error), error) from None
