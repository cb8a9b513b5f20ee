"""The fakes for users' own tests do what they say."""

from __future__ import annotations

from llm_assets import ChatRequest, ClientConfig, LLMClient, Message
from llm_assets.testing import AskedFor, FakeClock, FakeProvider


async def test_the_provider_answers_by_request_counts_and_fails_when_told() -> None:
    """One refusal is waited out on the fake clock, without waiting."""

    def reply(asked: AskedFor) -> dict[str, str]:
        return {"echo": asked.body["messages"][0]["content"]}

    with FakeProvider(reply) as provider:
        provider.fail_with(500)
        clock = FakeClock()
        before = clock.now()
        config = ClientConfig(chat=["gpt-6-luna"], base_url=provider.base_url)
        async with LLMClient(config, clock=clock) as client:
            outcome = await client.call(ChatRequest(key="1", messages=(Message("user", "hello"),)))
        assert outcome.answer is not None
        assert outcome.answer.text == '{"echo": "hello"}'
        assert (provider.chats, provider.transcriptions, outcome.attempts) == (2, 0, 2)
        assert clock.now() > before
