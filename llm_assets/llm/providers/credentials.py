"""A key as it goes into a header, or a clear refusal that does not show it."""

from __future__ import annotations

from pydantic import SecretStr

from llm_assets.errors import ConfigurationError


def key_text(api_key: SecretStr | None, setting: str) -> str | None:
    """The key without white space around it, None when there is none.

    Raises ConfigurationError for a key that no header can carry, such as one with a line break inside.
    """
    key = api_key.get_secret_value().strip() if api_key else ""
    if not key:
        return None
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(
            f"{setting} holds characters that no key has (such as a line break); was it pasted whole?"
        )
    return key
