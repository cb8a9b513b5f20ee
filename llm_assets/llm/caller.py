"""One model, one request, until there is an answer or no hope of one: sent, and again where that helps."""

from __future__ import annotations

import logging
import random

from llm_assets.errors import CallFailed, ConnectionFailed, Overloaded, RateLimited, SchemaTooComplex
from llm_assets.llm.journal_rows import AskedElsewhere
from llm_assets.llm.retry import is_mendable, may_have_been_billed, wait_seconds
from llm_assets.llm.sending import sent_in_turn, sent_now
from llm_assets.llm.services import Call, Found, Round, Services
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
            exchange = sent_now(services, call) or await sent_in_turn(services, call)
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
                services.waited(tally, "retry", clock.now() - now)


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
    services.waited(tally, "same_request", clock.now() - started)
