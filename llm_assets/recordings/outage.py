"""One clear error for a place that does not answer, without what nobody may read.

Every file system raises errors of its own kinds, so they are put into our words here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from llm_assets.errors import RecordingsRefused, RecordingsUnavailable
from llm_assets.recordings.source import RecordingSource

_SECRET = re.compile(r"key|secret|token|pass|credential|signature|sas|connection_string", re.IGNORECASE)
_SHORTEST_SECRET = 4
# What file systems make of a wrong name, of credentials and of options that are not good.
_REFUSALS = (FileNotFoundError, PermissionError, ImportError, TypeError, ValueError)
_NO_CREDENTIALS = "NoCredentialsError"  # of a library that may not be there
_NOT_ALLOWED = (401, 403)


def unavailable(
    source: RecordingSource, reason: str, cause: BaseException | None = None
) -> RecordingsUnavailable:
    """The recordings of the source cannot be listed. Some causes pass by themselves, others do not."""
    is_refusal = (
        isinstance(cause, _REFUSALS) or type(cause).__name__ == _NO_CREDENTIALS or is_not_allowed(cause)
    )
    kind = RecordingsRefused if is_refusal else RecordingsUnavailable
    return kind(
        f"The recordings at {source.place} cannot be listed: {without_secrets(reason, source)}. "
        f"Check that place, which is given as {source.given_as}, and the credentials for it."
    )


def locked(source: RecordingSource, folder: Path, error: OSError) -> RecordingsRefused:
    """A folder of the place may not be looked into, so nobody knows what recordings would be missing."""
    return RecordingsRefused(
        f"The folder {folder} is locked: the user that runs this may not list it ({error.strerror}), so the "
        f"recordings at {source.place} cannot be listed without leaving some out. Permit that user to read "
        "and enter it (chmod u+rx by its owner), or move it elsewhere, and run again."
    )


def is_not_allowed(error: BaseException | None) -> bool:
    """Whether a server said so. Clients that have errors of their own (Azure's) carry its status along."""
    return isinstance(error, PermissionError) or getattr(error, "status_code", None) in _NOT_ALLOWED


def silent(source: RecordingSource, reason: str) -> RecordingsUnavailable:
    """The place was listed, and then stopped answering: another run may do better."""
    return RecordingsUnavailable(
        f"The recordings at {source.place} can no longer be read: {without_secrets(reason, source)}. "
        "Nothing is lost: run again when that place answers."
    )


def forbidden(source: RecordingSource, count: int, reason: str) -> RecordingsRefused:
    """The place can be listed, and none of its recordings may be read."""
    return RecordingsRefused(
        f"None of the {count} recordings at {source.place} may be read, though they can be listed: "
        f"{without_secrets(reason, source)}. Give the credentials permission to read (S3: s3:GetObject) and "
        "run again; no model was asked."
    )


def in_another_region(source: RecordingSource, bucket: str, region: str) -> RecordingsRefused:
    """The bucket is asked for where it is not."""
    return RecordingsRefused(
        f"The bucket {bucket} is in the region {region}, and the recordings at {source.place} were asked for "
        f'in another one: set storage_options to {{"client_kwargs": {{"region_name": "{region}"}}}}, or '
        f"AWS_DEFAULT_REGION to {region}; an endpoint_url, where there is one, has to be that region's too."
    )


def without_secrets(text: str, source: RecordingSource) -> str:
    """The text without what the source holds of passwords and keys."""
    password = source.root.partition("://")[2].rpartition("@")[0].partition(":")[2]
    for secret in [password, *_secrets(source.storage_options)]:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return text


def _secrets(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _secrets(cast("Mapping[str, Any]", value))
        elif isinstance(value, str) and _SECRET.search(name):
            yield value
