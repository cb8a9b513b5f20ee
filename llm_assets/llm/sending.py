"""What it takes to send a request, and the sending: a place in flight, one in the quota, and the money.

The order matters. A place in the quota comes first and money is held last, so that it stands for calls on
the wire and nothing else.
"""

from __future__ import annotations

import asyncio

from llm_assets.errors import PriceUnknown, RateLimited
from llm_assets.llm.exchange import Exchange
from llm_assets.llm.journal_rows import AskedElsewhere
from llm_assets.llm.ledger import NOTHING, Reservation, Spending
from llm_assets.llm.pools.values import Grant, Return, Want
from llm_assets.llm.requests import ChatRequest
from llm_assets.llm.services import Call, Services
from llm_assets.llm.sizes import worst_case


def sent_now(services: Services, call: Call) -> Exchange | None:
    """Send at once where a place, leave and money are at hand; None when it takes a wait to get them."""
    window, budget, worst = services.window(call.link), services.budget, _worst(services, call)
    if worst is not None:
        worst = services.overbilled.most(call.link.model.model, worst)
    if call.key in services.on_the_wire or not (worst is None or budget.can_reserve_now(worst)):
        return None
    if not window.enter_now():
        return None
    grant = services.limiter.take_now(call.link.pool, Want(1, _charged_tokens(services, call)))
    if grant is None:
        window.leave()
        return None
    return Exchange(services, call, grant, None if worst is None else budget.reserve_now(worst))


async def sent_in_turn(services: Services, call: Call) -> Exchange:
    """Send once there is leave and money for it."""
    if (sent_before := services.on_the_wire.get(call.key)) is not None:
        # For a caller that was cancelled since. It is being paid for: wait for it, then look in the journal.
        await asyncio.wait([sent_before.task])
    grant, reservation = await _get_leave_and_money(services, call)
    if call.key in services.on_the_wire:  # another chain has sent the same while this one waited
        _leave_unsent(services, call, grant)
        if reservation is not None:
            services.budget.settle(reservation, NOTHING)
        raise AskedElsewhere
    return Exchange(services, call, grant, reservation)


async def _get_leave_and_money(services: Services, call: Call) -> tuple[Grant, Reservation | None]:
    """Leave to send now, and the money for it: held last, so that it stands for calls on the wire only."""
    budget, clock, model = services.budget, services.clock, call.link.model.model
    worst = _worst(services, call)
    if worst is None:
        return await _get_leave(services, call), None
    waited_seconds = 0.0
    while True:
        await budget.require(services.overbilled.most(model, worst))
        grant = await _get_leave(services, call)
        try:
            # Meanwhile an answer may have told that the model bills more.
            needed = services.overbilled.most(model, worst)
            reservation = await budget.reserve(needed)
        except BaseException:
            _leave_unsent(services, call, grant)
            raise
        if reservation is not None:
            return grant, reservation
        _leave_unsent(services, call, grant)
        started = clock.now()
        try:
            async with asyncio.timeout(max(call.tally.give_up_at - started, 0.0)):
                await budget.wait_for_returns(needed)
        except TimeoutError:
            raise RateLimited(
                f"calls on their way hold the rest of the budget, and {model} could not be asked within the "
                "call's deadline"
            ) from None
        finally:
            services.waited(call.tally, "budget", clock.now() - started)
        waited_seconds += clock.now() - started
        budget.waited(waited_seconds)


def _worst(services: Services, call: Call) -> Spending | None:
    """The most the call can cost by its prices; None where no budget holds."""
    if not services.budget.has_caps:
        return None
    model = call.link.model
    nano_usd, tokens = worst_case(call.request, model)
    if nano_usd is None and services.budget.needs_prices and not services.config.budget.allow_unknown_prices:
        raise PriceUnknown(
            f"the price of {model.model} is unknown, so no budget can be kept; give the chain entry a "
            "price, or set allow_unknown_prices"
        )
    return Spending(nano_usd or 0, tokens)


async def _get_leave(services: Services, call: Call) -> Grant:
    """A place in flight and a place in the quota."""
    clock, link, tally = services.clock, call.link, call.tally
    window = services.window(link)
    entered = clock.now()
    if not window.enter_now():
        try:
            async with asyncio.timeout(max(tally.give_up_at - entered, 0.0)):
                await window.enter()
        except TimeoutError:
            raise RateLimited(
                f"{link.model.model} had no place for another call within the call's deadline"
            ) from None
        services.waited(tally, "concurrency", clock.now() - entered)
        entered = clock.now()
    try:
        grant = await services.limiter.acquire(
            link.pool,
            Want(1, _charged_tokens(services, call)),
            link.limits,
            max_wait_seconds=max(tally.give_up_at - entered, 0.0),
            first=tally.attempts > 0,
        )
    except BaseException:
        window.leave()
        raise
    services.waited(tally, "limit", clock.now() - entered)
    return grant


def _leave_unsent(services: Services, call: Call, grant: Grant) -> None:
    services.window(call.link).leave()
    services.limiter.settle(call.link.pool, Return(grant=grant, answered=False, unsent=True))


def _charged_tokens(services: Services, call: Call) -> int:
    request, model, provider = call.request, call.link.model, call.link.provider
    if not isinstance(request, ChatRequest):
        return 0
    expected = services.sizes.expected(request, model) if provider.counts_output else 0
    return provider.charged_tokens(request, model, expected)
