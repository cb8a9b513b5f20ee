"""A bucket that speaks S3. A listing is asked for page by page and never held.

Only what begins with a prefix is listed, so a day among a million objects costs the pages of that day.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from llm_assets.errors import LLMAssetsError
from llm_assets.recordings.outage import in_another_region, silent, unavailable
from llm_assets.recordings.place import FoundRecording, is_hidden
from llm_assets.recordings.remote_place import RemotePlace, said, version_of

S3_PROTOCOLS = frozenset({"s3", "s3a"})

# A host that does not answer is an error within a minute or so; the client's own patience is ten.
_CONFIG = {"connect_timeout": 10, "read_timeout": 20, "retries": {"mode": "standard", "max_attempts": 2}}
_PAGE_TIMEOUT_SECONDS = 90
_ATTEMPTS = 2

# Refusals that are about one object; any other is about the credentials.
_OF_ONE_OBJECT = frozenset(
    {"AccessDenied", "AllAccessDisabled", "InvalidObjectState", "403", "NoSuchKey", "404"}
)

_OF_ANOTHER_REGION = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


def s3_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for the client: those given, and what keeps it quick and honest.

    No cache of listings, since a day is listed again to see what is new. An object in one request: in parts,
    one that is replaced meanwhile would be read as a mixture.
    """
    given = dict(options)
    config = _CONFIG | {"max_pool_connections": 64} | dict(given.pop("config_kwargs", {}))
    return {"use_listings_cache": False, "max_concurrency": 1, "config_kwargs": config} | given


class S3Place(RemotePlace):
    """See `Place`."""

    def __init__(self, file_system: Any, root: str, source: Any) -> None:
        super().__init__(file_system, root, source)
        file_system.retries = _ATTEMPTS
        self._bucket, _, key = root.partition("/")
        self._above = f"{key}/" if key else ""

    def exists(self) -> bool:
        """A bucket that was listed is there; in it, anything below the root has to be."""
        page = self._page({"Prefix": self._above, "MaxKeys": 1})
        return not self._above or bool(page.get("Contents"))

    def folders(self, prefix: str) -> Iterator[str]:
        for page in self._pages(prefix, "/"):
            for folder in page.get("CommonPrefixes", ()):
                name = str(folder["Prefix"]).rstrip("/").rpartition("/")[2]
                if not name.startswith("."):
                    yield name

    def files(self, prefix: str, is_deep: bool) -> Iterator[FoundRecording]:
        for page in self._pages(prefix, "" if is_deep else "/"):
            for facts in page.get("Contents", ()):
                path = str(facts["Key"]).removeprefix(self._above)
                if not path.endswith("/") and not is_hidden(path):
                    when = cast("datetime", facts["LastModified"]).astimezone(UTC)
                    name, size_bytes = path.rpartition("/")[2], int(facts["Size"])
                    yield FoundRecording(path, name, size_bytes, when, version_of(facts))

    def present(self, paths: Sequence[str]) -> list[str]:
        """By one listing of what begins as they all do."""
        start = os.path.commonprefix(paths)  # noqa: RUF071 - character by character is what a prefix is
        there = {found.path for found in self.files(start, is_deep=False)}
        return [path for path in paths if path in there]

    def _pages(self, prefix: str, delimiter: str) -> Iterator[dict[str, Any]]:
        wanted: dict[str, Any] = {"Prefix": self._above + prefix, "Delimiter": delimiter}
        while True:
            page = self._page(wanted)
            yield page
            if not page.get("IsTruncated"):
                return
            wanted["ContinuationToken"] = page["NextContinuationToken"]

    def _page(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._fs.call_s3(
                "list_objects_v2",
                Bucket=self._bucket,
                timeout=_PAGE_TIMEOUT_SECONDS,
                **self._fs.req_kw,
                **wanted,
            )
        except Exception as error:
            if region := _region_told(_answer_of(error)):
                raise in_another_region(self._source, self._bucket, region) from None
            raise unavailable(self._source, said(error), error) from None

    def _why_unread(self, error: Exception) -> LLMAssetsError:
        answer = _answer_of(error)
        if region := _region_told(answer):
            return in_another_region(self._source, self._bucket, region)
        code = answer.get("Error", {}).get("Code")
        if code is not None and code not in _OF_ONE_OBJECT:
            return silent(self._source, said(error))
        return super()._why_unread(error)


def _answer_of(error: Exception) -> Mapping[str, Any]:
    """What the server said, as the client below s3fs keeps it; empty where it said nothing."""
    answer: Any = getattr(error.__cause__, "response", None)
    return answer or {}


def _region_told(answer: Mapping[str, Any]) -> str | None:
    """The region that the bucket is in, where the server refused because it was asked for in another one."""
    told: Mapping[str, Any] = answer.get("Error", {})
    if str(told.get("Code")) not in _OF_ANOTHER_REGION:
        return None
    headers: Mapping[str, str] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return told.get("Region") or headers.get("x-amz-bucket-region")
