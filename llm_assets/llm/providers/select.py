"""The provider of a chain's entry, with the credentials that belong to it and no others.

The key of the configuration goes to the configuration's own server. An entry that names another server
brings its own key or goes without: otherwise one line in a chain would hand the OpenAI key to a stranger.
"""

from __future__ import annotations

from pydantic import SecretStr

from llm_assets.errors import ConfigurationError
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.providers.address import origin
from llm_assets.llm.providers.anthropic import ANTHROPIC_BASE_URL, AnthropicProvider
from llm_assets.llm.providers.base import Provider
from llm_assets.llm.providers.openai import OPENAI_BASE_URL, OpenAIProvider


def make_provider(model: ModelConfig, config: ClientConfig) -> Provider:
    """The provider that serves `model`.

    Raises ConfigurationError when OpenAI or Anthropic themselves are to be asked without a key, or when a
    base URL is no address.
    """
    if model.provider == "anthropic":
        return _anthropic(model, config)
    return _openai(model, config)


def _openai(model: ModelConfig, config: ClientConfig) -> Provider:
    home = config.base_url or OPENAI_BASE_URL
    base_url = model.base_url or home
    key = _key(model.api_key, config.api_key, base_url, home)
    if key is None and origin(base_url) == origin(OPENAI_BASE_URL):
        raise ConfigurationError(
            f"model {model.model} is served by OpenAI, and there is no key for it. Set OPENAI_API_KEY; "
            "or work without one: start `llm-assets emulator` and set OPENAI_BASE_URL to its address"
        )
    return OpenAIProvider(key, base_url)


def _anthropic(model: ModelConfig, config: ClientConfig) -> Provider:
    base_url = model.base_url or ANTHROPIC_BASE_URL
    key = _key(model.api_key, config.anthropic_api_key, base_url, ANTHROPIC_BASE_URL)
    if key is None and origin(base_url) == origin(ANTHROPIC_BASE_URL):
        raise ConfigurationError(
            f"model {model.model} is served by Anthropic, and there is no key for it. Set ANTHROPIC_API_KEY"
        )
    return AnthropicProvider(key, base_url)


def _key(own: SecretStr | None, shared: SecretStr | None, base_url: str, home: str) -> SecretStr | None:
    if own and own.get_secret_value().strip():
        return own
    if shared and shared.get_secret_value().strip() and origin(base_url) == origin(home):
        return shared
    return None
