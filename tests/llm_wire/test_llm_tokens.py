"""Tokens are counted where the vocabulary is at hand, else estimated upwards; nothing is downloaded."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_assets.llm.tokens import TokenCounter, estimate_tokens

# Counted once with o200k_base: (text, tokens).
COUNTED = [
    ("Hello, this is Anna from support. I understand your internet has been down since yesterday.", 18),
    ("Guten Tag, mein Name ist Müller. Ich möchte mich über die Rechnung beschweren.", 18),
    ("Bonjour, la facture que j'ai reçue hier n'est pas correcte, s'il vous plaît.", 20),
    ("Здравствуйте, я звоню по поводу счёта, который я получил вчера.", 16),
    ("您好,我打电话是因为昨天收到的账单不正确,我希望尽快退款。", 21),
    ("もしもし、昨日届いた請求書が間違っているのでお電話しました。", 19),
    ("안녕하세요, 어제 받은 청구서가 잘못되어 전화드렸습니다.", 18),
    ("مرحبا، أتصل بخصوص الفاتورة التي وصلتني أمس وهي غير صحيحة", 18),
    ("Order 4711-22 from 2026-11-03, amount $1,249.99, phone +49 170 1234567.", 33),
    ('{"type":"object","properties":{"refund":{"type":"boolean"}}}', 14),
    ("😀🎉🔥💯", 6),
]


def vocabularies() -> Path:
    found = importlib.util.find_spec("litellm")
    if found is None or found.origin is None:
        pytest.skip("litellm, whose wheel carries tiktoken's vocabularies, is not installed")
    return Path(found.origin).parent / "litellm_core_utils" / "tokenizers"


@pytest.fixture
def vocabulary(monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = vocabularies()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch: pytest.MonkeyPatch):
    """Looking up any host is a failure."""

    def refuse(*args: object, **kwargs: object):
        raise AssertionError(f"tried to reach {args[0]}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(("text", "tokens"), COUNTED)
def test_the_estimate_leans_upwards(text: str, tokens: int):
    """For text of any script the estimate is not below the count, and not beyond four times it."""
    assert tokens <= estimate_tokens(text) <= 4 * tokens


@settings(deadline=None)
@given(st.text(), st.text())
def test_the_estimate_is_at_home_with_any_text(one: str, other: str):
    """Any text has an estimate, more text never a smaller one, no text none."""
    assert estimate_tokens("") == 0
    assert estimate_tokens(one) >= (1 if one else 0)
    assert estimate_tokens(one + other) >= max(estimate_tokens(one), estimate_tokens(other))


@pytest.mark.parametrize(("text", "tokens"), COUNTED)
async def test_the_count_is_exact_where_the_vocabulary_is(vocabulary: Path, text: str, tokens: int):
    """With the vocabulary at hand the count is tiktoken's, also for models newer than tiktoken."""
    assert await TokenCounter().count(text, "gpt-6-luna") == tokens


async def test_long_texts_are_counted_off_the_loop(vocabulary: Path):
    """While a long text is counted the event loop goes on."""
    counter, turns = TokenCounter(), 0
    await counter.count("warm", "gpt-6-luna")
    counting = asyncio.create_task(counter.count("a day in the life " * 50_000, "gpt-6-luna"))
    while not counting.done():
        turns += 1
        await asyncio.sleep(0)
    assert await counting == pytest.approx(5 * 50_000, rel=0.01)
    assert turns > 2


@pytest.mark.parametrize("character", ["a", " ", "啊", "!"])
async def test_a_text_without_words_is_counted_too(vocabulary: Path, character: str):
    """A million times the same character neither crashes nor hangs the count."""
    assert await TokenCounter().count(character * 1_000_000, "gpt-6-luna") > 0


async def test_claude_is_estimated(vocabulary: Path):
    """A model with a vocabulary of its own is not counted with OpenAI's, which would be too low."""
    text = COUNTED[0][0]
    assert await TokenCounter().count(text, "claude-haiku-4-5") == estimate_tokens(text)


@pytest.mark.parametrize("state", ["empty", "switched off", "broken", "default"])
async def test_without_a_vocabulary_it_is_estimated_and_said_once(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Missing, off or broken: an estimate at once, one line in the log, no download, nothing deleted."""
    monkeypatch.delenv("DATA_GYM_CACHE_DIR", raising=False)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "" if state == "switched off" else str(tmp_path))
    broken = tmp_path / "fb374d419588a4632f3f557e76b4b70aebbca790"
    if state == "broken":
        broken.write_bytes(b"half a download")
    if state == "default":
        monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    counter = TokenCounter()
    with caplog.at_level(logging.INFO):
        counts = await asyncio.gather(*(counter.count("How are you?", "gpt-6-luna") for _ in range(20)))
    assert set(counts) == {estimate_tokens("How are you?")}
    assert [record.message for record in caplog.records if "TIKTOKEN_CACHE_DIR" in record.message] == [
        caplog.records[0].message
    ]
    assert broken.exists() is (state == "broken")


async def test_a_schema_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with every request; where it is estimated, closer than other JSON and still upwards."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    counter, counted = TokenCounter(), list[str]()
    count = counter.count

    async def noted(text: str, model: str) -> int:
        counted.append(text)
        return await count(text, model)

    monkeypatch.setattr(counter, "count", noted)
    schema = '{"type":"object","properties":{"refund":{"type":"boolean"}}}'
    sizes = {await counter.count_schema(schema, "gpt-6-luna") for _ in range(5)}
    assert counted == [schema]
    assert 14 <= sizes.pop() < estimate_tokens(schema)
