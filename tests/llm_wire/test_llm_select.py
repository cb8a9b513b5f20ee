"""Each entry of a chain gets the provider and the credentials that belong to it, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from llm_assets.errors import ConfigurationError
from llm_assets.llm.models import ClientConfig, ModelConfig
from llm_assets.llm.providers import make_provider
from llm_assets.llm.requests import ChatRequest, Message

ASKED = ChatRequest(messages=(Message("user", "hi"),))


def built(entry: Any, **config: Any):
    model = ModelConfig.of(entry)
    return make_provider(model, ClientConfig(**config)).build(ASKED, model)


def test_openai_itself_is_the_default():
    """A bare name with a key goes to OpenAI."""
    request = built("gpt-6-luna", api_key="sk-a")
    assert request.url == "https://api.openai.com/v1/chat/completions"
    assert request.headers["Authorization"] == "Bearer sk-a"


def test_an_entry_goes_before_the_configuration():
    """An entry's own key and address are used for it."""
    request = built(
        {"model": "m", "api_key": "own", "base_url": "https://other.test/v1"},
        api_key="sk-a",
        base_url="http://x/v1",
    )
    assert request.url.startswith("https://other.test/v1/")
    assert request.headers["Authorization"] == "Bearer own"


@pytest.mark.parametrize(
    "stranger", ["https://stranger.test/v1", "http://localhost:11434/v1", "http://api.openai.com/v1"]
)
def test_the_shared_key_is_not_sent_to_strangers(stranger: str):
    """An entry with another address and no key of its own goes without, rather than with OpenAI's."""
    try:
        headers = built({"model": "m", "base_url": stranger}, api_key="sk-a").headers
    except ConfigurationError:
        return
    assert headers["Authorization"] == "Bearer unused"


def test_the_shared_key_follows_the_same_server():
    """An entry that names the configuration's own server by another path shares its key."""
    entry = {"model": "m", "base_url": "https://gateway.test/eu/v1"}
    request = built(entry, api_key="sk-a", base_url="https://gateway.test:443/v1")
    assert request.headers["Authorization"] == "Bearer sk-a"


@pytest.mark.parametrize("key", [None, "", "  \n"])
def test_openai_without_a_key_says_what_to_do(key: str | None):
    """No key for OpenAI: one error that names the variable and the emulator."""
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY") as caught:
        built("gpt-6-luna", api_key=key)
    assert "llm-assets emulator" in str(caught.value)
    assert "OPENAI_BASE_URL" in str(caught.value)


def test_a_server_without_keys_gets_a_placeholder():
    """A base URL of one's own needs no key; servers that insist on one are content with any."""
    assert built("m", base_url="http://localhost:8000/v1").headers["Authorization"] == "Bearer unused"


def test_white_space_around_a_key_does_no_harm():
    """A key read from a file ends in a line break, which no header can carry."""
    assert built("m", api_key=" sk-a\n").headers["Authorization"] == "Bearer sk-a"


@pytest.mark.parametrize("key", ["sk-a\nb", "sk-ä", "sk-\x7f"])
def test_a_garbled_key_is_refused_without_showing_it(key: str):
    """A key no header can carry is refused when the provider is built."""
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY") as caught:
        built("m", api_key=key)
    assert key not in str(caught.value)


def test_anthropic_has_its_own_key():
    """A known Claude name picks the provider, and OpenAI's key and address play no part."""
    request = built("claude-haiku-4-5", api_key="sk-a", base_url="http://x/v1", anthropic_api_key="sk-ant")
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.headers["x-api-key"] == "sk-ant"


def test_anthropic_without_a_key_says_what_to_do():
    """OpenAI's key is no key for Anthropic."""
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        built("claude-haiku-4-5", api_key="sk-a")


def test_a_broken_address_is_a_clear_error():
    """A base URL that cannot work is refused when the provider is made."""
    with pytest.raises(ConfigurationError, match="base_url"):
        built("m", base_url="localhost:8000", api_key="sk-a")
