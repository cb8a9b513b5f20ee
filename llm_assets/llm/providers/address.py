"""Base URLs: checked once, joined with the path of a call."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit, urlunsplit

from llm_assets.errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}


def address(base_url: str, path: str) -> str:
    """`path` below a base URL, in front of the base URL's query (Azure's `api-version`).

    Raises ConfigurationError for a base URL without scheme or host, or one that carries credentials.
    """
    parts = _checked(base_url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}", fragment=""))


def origin(base_url: str) -> tuple[str, str | None, int | None]:
    """What two addresses share when they are the same server: scheme, host and port."""
    parts = _checked(base_url)
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _checked(base_url: str) -> SplitResult:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigurationError("base_url is no address; it looks like http://localhost:8000/v1") from None
    if not usable:
        raise ConfigurationError(
            f"base_url {_shown(parts)!r} is no address; it looks like http://localhost:8000/v1"
        )
    if parts.username is not None:
        raise ConfigurationError(f"base_url {_shown(parts)!r} carries credentials; put them into api_key")
    return parts


def _shown(parts: SplitResult) -> str:
    """The address without what may be secret in it: credentials and query."""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
