"""Which files of a partition count, where there is no rename and no lock: those of the newest version.

A file's name says the version, the shape of its rows and the table it was written with, its own or its
parent. The newest version for which the table's own file is there counts, with all its child tables.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from llm_assets.warehouse.names import folder_name

_FILE = re.compile(
    r"(?P<table>[^/]+)/partition_date=(?P<day>\d{4}-\d\d-\d\d)/"
    r"(?P<version>\d{20}-[0-9a-f]{8})-(?P<shape>[0-9a-f]{12})-(?P<owner>[^/]+)\.parquet"
)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A Parquet file of one partition. `owner` is the table it was written with, its own or its parent."""

    path: str
    table: str
    day: date
    version: str
    shape: str
    owner: str


def file_name(version: str, shape: str, owner: str) -> str:
    """What a file is called in its partition."""
    return f"{version}-{shape}-{folder_name(owner)}.parquet"


def stored_files(base: str, paths: Iterable[Any]) -> list[StoredFile]:
    """Those of the paths below `base` that are files of partitions."""
    found: list[StoredFile] = []
    for path in map(str, paths):
        match = _FILE.fullmatch(path.removeprefix(f"{base}/"))
        if match:
            day, table, owner = (
                date.fromisoformat(match["day"]),
                unquote(match["table"]),
                unquote(match["owner"]),
            )
            found.append(StoredFile(path, table, day, match["version"], match["shape"], owner))
    return found


def version_after(versions: Sequence[str]) -> str:
    """Later than all that are there, also when another machine's clock is ahead of this one's."""
    newest = max((int(version[:20]) for version in versions), default=0)
    return f"{max(time.time_ns(), newest + 1):020d}-{uuid4().hex[:8]}"


def current(files: Sequence[StoredFile]) -> list[StoredFile]:
    """Those that count: for each owner and day, what has the version of the owner's newest file."""
    newest: dict[tuple[str, date], str] = {}
    for one in files:
        if one.table == one.owner:
            key = (one.owner, one.day)
            newest[key] = max(newest.get(key, ""), one.version)
    return [one for one in files if newest.get((one.owner, one.day)) == one.version]
