"""One timer for everybody who waits for a server."""

from __future__ import annotations

import asyncio

import aiohttp

from llm_assets.llm.silence import Silence


class Fed:
    """A source that keeps in what order sources were given up."""

    def __init__(self, given_up: list[Fed]) -> None:
        self._given_up = given_up

    def set_exception(self, exc: BaseException, /) -> None:
        assert isinstance(exc, aiohttp.SocketTimeoutError)
        self._given_up.append(self)


async def test_who_was_fed_longest_ago_is_given_up_first():
    """Who is fed meanwhile stands behind the others, and who is done is not given up."""
    silence, given_up = Silence(0.05), list[Fed]()
    fed_again, silent, done, later = (Fed(given_up) for _ in range(4))
    for source in (fed_again, silent, done):
        silence.expect(source)
    silence.expect(fed_again)
    silence.forget(done)
    silence.forget(done)
    async with asyncio.timeout(10):
        while len(given_up) < 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        silence.expect(later)
        while len(given_up) < 3:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    assert given_up == [silent, fed_again, later]


async def test_who_leaves_is_not_given_up():
    """Closing takes the timer back."""
    silence, given_up = Silence(0.01), list[Fed]()
    silence.expect(Fed(given_up))
    silence.close()
    await asyncio.sleep(0.05)
    assert given_up == []
