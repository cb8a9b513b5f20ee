"""One model, one request, until there is an answer or no hope of one: wait, reserve, send, try again.

The order matters. A place in the quota comes first and money is held last, so that it stands for calls on
the wire and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import random

from llm_assets.errors import (
    CallFailed,
    ConnectionFailed,
    Overloaded,
    PriceUnknown,
    RateLimited,
    SchemaTooComplex,
)
from llm_assets.llm.exchange import Exchange
from llm_assets.llm.journal_rows import AskedElsewhere
from llm_assets.llm.ledger import NOTHING, Reservation, Spending
from llm_assets.llm.pools.values import Grant, Return, Want
from llm_assets.llm.requests import ChatRequest
from llm_assets.llm.retry import is_mendable, may_have_been_billed, wait_seconds
from llm_assets.llm.services import Call, Found, Round, Services, Tally
from llm_assets.llm.sizes import worst_case
from llm_assets.llm.waiting import ModelCooling

_LOG = logging.getLogger(__name__)
# So many refusals without a word on when to come back are no attempts: a crowd passes, a closed door not.
_FREE_REFUSALS = 3
# How often to look whether another process has got the answer to the same request.
_LOOK_AGAIN_SECONDS = 0.1
_LOOK_AGAIN_AT_LEAST_EVERY_SECONDS = 1.0


async def ask(services: Services, call: Call) -> Found:
    """Ask one model, trying again what waiting can mend.

    Raises the tree under CallFailed when there is no answer, BudgetExceeded before it would spend too
    much, ModelCooling while the model is left alone, also when this call was the one to find that out.
    """
    retry, clock, tally = services.config.retry, services.clock, call.tally
    while True:
        services.require_open(tally)
        try:
            exchange = _sent_now(services, call) or await _sent_in_turn(services, call)
            tally.on_the_wire = True
            try:
                return await exchange.found
            finally:
                tally.on_the_wire = False
        except AskedElsewhere:
            services.require_open(tally)
            await _wait_for_the_other(services, call)
        except ModelCooling:
            tally.round_at(call.link.pool).wait_out()
            raise
        except SchemaTooComplex:  # a provider may know another way to ask for it
            wire = call.link.provider.build(call.request, call.link.model)
            if wire.body == call.wire.body:
                raise
            call = call._replace(wire=wire)
        except CallFailed as error:
            tally.may_be_billed |= may_have_been_billed(error)
            if not is_mendable(error) or _no_quota_in_time(error):
                raise
            services.require_open(tally)
            # A refusal for want of quota says nothing against the request: it waits its turn again.
            # Where the server never says for how long, that comes to an end too.
            refused = isinstance(error, RateLimited) and tally.uninformed_refusals <= _FREE_REFUSALS
            tried = tally.round_at(call.link.pool)
            tried.attempts += 0 if refused else 1
            wait = wait_seconds(max(tried.attempts, 1), error, retry, random.random())  # noqa: S311 - jitter is no secret
            now = clock.now()
            if tried.attempts >= retry.max_attempts or now + wait > tally.give_up_at:
                await _report_outage(services, call, tried, error)
                raise
            _LOG.debug(
                "%s, attempt %d: again in %.1f s: %s", call.link.model.model, tally.attempts, wait, error
            )
            if not isinstance(error, RateLimited):  # the limiter makes the whole pool wait for those
                await clock.sleep(wait)
                _waited(services, tally, "retry", clock.now() - now)


async def _report_outage(services: Services, call: Call, tried: Round, error: CallFailed) -> None:
    """Attempts are used up. Raises ModelCooling where that is for an outage that this call waits out.

    Where nobody is there, or there is no room, it is so for every request, and waited out to the deadline.
    Any other failure may be the request's own. Who has waited before has its second chance behind it: it
    speaks for itself, or else requests that always fail would keep the others from the model in turn.
    """
    is_down = isinstance(error, ConnectionFailed | Overloaded)
    if tried.has_waited and not is_down:
        return
    seconds = services.config.retry.cool_down_seconds
    cooling = await services.limiter.report_outage(call.link.pool, seconds, str(error))
    in_time = cooling is not None and services.clock.now() + cooling.seconds <= call.tally.give_up_at
    if cooling is not None and in_time and services.answered:
        tried.wait_out(again=is_down)
        raise cooling from error


def _no_quota_in_time(error: CallFailed) -> bool:
    """The limiter's own word that no wait within the deadline is enough; a server's refusal has a status."""
    return isinstance(error, RateLimited) and error.http_status is None


async def _wait_for_the_other(services: Services, call: Call) -> None:
    """Another process has sent the very same request: wait until it has its answer, or gave up, or died."""
    clock, tally = services.clock, call.tally
    started = clock.now()
    pause = _LOOK_AGAIN_SECONDS
    while await services.journal.is_asked_elsewhere(call.key):
        if clock.now() > tally.give_up_at:
            raise ConnectionFailed("another run has been asking the same for too long")
        await clock.sleep(pause)
        pause = min(pause * 1.5, _LOOK_AGAIN_AT_LEAST_EVERY_SECONDS)
    _waited(services, tally, "same_request", clock.now() - started)


def _sent_now(services: Services, call: Call) -> Exchange | None:
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


async def _sent_in_turn(services: Services, call: Call) -> Exchange:
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
            _waited(services, call.tally, "budget", clock.now() - started)
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
        _waited(services, tally, "concurrency", clock.now() - entered)
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
    _waited(services, tally, "limit", clock.now() - entered)
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


def _waited(services: Services, tally: Tally, cause: str, seconds: float) -> None:
    tally.wait_seconds += max(seconds, 0.0)
    services.metrics.waited(cause, seconds)
