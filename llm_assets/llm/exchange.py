"""A request on the wire: sent, its answer kept, and everything handed back with what became of it.

From the moment of sending this runs as a task of its own: whoever waited may be cancelled, what is being paid
for is still kept. The intent is noted before anything is sent, and the answer is in the journal before
anybody sees it.
"""

from __future__ import annotations

import asyncio
import math

from llm_assets.errors import CallFailed, ConnectionFailed, Overloaded, RateLimited, StateUnavailable
from llm_assets.llm.accounting import entry_of, is_more, learn_from, most_of, return_of, spent_on
from llm_assets.llm.http import HttpResponse
from llm_assets.llm.journal_entry import Entry
from llm_assets.llm.ledger import NOTHING, Reservation, Spending
from llm_assets.llm.pools.values import Grant, Return
from llm_assets.llm.requests import Answer
from llm_assets.llm.retry import may_have_been_billed
from llm_assets.llm.services import Call, Found, Services

# How soon to try again to keep an answer when the journal is out of reach.
_KEEP_AGAIN_SECONDS = 0.5
_NO_WHOLE_ANSWER = "no whole answer came within the deadline"


class Exchange:
    """One request that is sent and settled, whether or not anybody waits for `found`.

    `give_up_at` is the moment at which its answer is no longer waited for.
    """

    __slots__ = ("_call", "_grant", "_reservation", "_services", "found", "give_up_at", "task")

    def __init__(self, services: Services, call: Call, grant: Grant, reservation: Reservation | None) -> None:
        self._services = services
        self._call = call
        self._grant = grant
        self._reservation = reservation
        self.give_up_at = services.clock.now() + services.config.retry.deadline_seconds
        loop = asyncio.get_running_loop()
        self.found: asyncio.Future[Found] = loop.create_future()
        self.task: asyncio.Task[None] = loop.create_task(self._run())
        services.on_the_wire[call.key] = self

    async def _run(self) -> None:
        try:
            found = await self._exchange()
        except asyncio.CancelledError:
            self._fail(ConnectionFailed(_NO_WHOLE_ANSWER))
            raise
        except BaseException as error:
            self._fail(error)
        else:
            if not self.found.done():
                self.found.set_result(found)
        finally:
            del self._services.on_the_wire[self._call.key]

    def _fail(self, error: BaseException) -> None:
        if not self.found.done():
            self.found.set_exception(error)

    async def _exchange(self) -> Found:
        """Send, keep the answer, and hand everything back with what became of it, whatever becomes of it."""
        services, call = self._services, self._call
        journal, provider, clock = services.journal, call.link.provider, services.clock
        returned: Return | None = None
        spent: Spending | None = NOTHING
        is_sent = overloaded = False
        try:
            known = await journal.begin(call.key, call.keys, call.request.endpoint, call.link.model)
            if known is not None:
                return Found(known, from_journal=True)
            if services.closing:
                await journal.withdraw(call.key)
                services.require_open()
            # Unless something better is known: it may have been billed, and told the limiter nothing.
            is_sent, spent = True, None
            call.tally.send(clock.now())
            services.metrics.sent()
            answer, returned, error = self._read(await services.transport.send(call.wire))
            # The answer is here: however long it takes to keep, nobody cuts it short.
            self.give_up_at = math.inf
            if error is not None:
                raise error
            assert answer is not None
            services.answered = True
            tokens = provider.settled_tokens(answer.usage)
            if tokens is not None:
                returned = returned._replace(tokens=tokens)
            entry = entry_of(services, call, answer)
            spent = spent_on(entry, call, self._reservation)
            # At once, for meanwhile others reserve.
            if self._reservation is not None and is_more(spent, self._reservation.amount):
                learn_from(services, call, spent)
            try:
                await journal.record(call.key, entry, call.link.server)
            except StateUnavailable as error:
                await self._keep_trying(entry, error)
            return Found(entry, from_journal=False)
        except CallFailed as error:
            overloaded = isinstance(error, Overloaded)
            if isinstance(error, RateLimited):
                call.tally.rate_limited += 1
                services.metrics.refused()
            if may_have_been_billed(error):
                services.unanswered, services.unanswered_for = services.unanswered + 1, str(error)
            else:
                spent = NOTHING
                await journal.withdraw(call.key)
            raise
        finally:
            if spent is None:
                journal.leave_open(call.key)
            if returned is None:
                failed = "no answer came" if is_sent else None
                returned = Return(self._grant, answered=False, unsent=not is_sent, failed=failed)
            self._settle(returned, most_of(call, self._reservation) if spent is None else spent, overloaded)

    def _read(self, response: HttpResponse) -> tuple[Answer | None, Return, CallFailed | None]:
        """The answer or the error in a response, and what the limiter is told."""
        services, call = self._services, self._call
        request_id = call.link.provider.request_id(response.headers)
        call.tally.receive(response.status, request_id, services.clock.now())
        answer, error = _parse(call, response)
        return answer, return_of(services, call, self._grant, response, error), error

    async def _keep_trying(self, entry: Entry, error: StateUnavailable) -> None:
        """The journal is out of reach: the run learns it, and the answer is kept as soon as it is back.

        It is paid for; the client gives it up only when it closes.
        """
        services, call = self._services, self._call
        while True:
            self._fail(error)
            await services.clock.sleep(_KEEP_AGAIN_SECONDS)  # some errors come at once
            try:
                return await services.journal.record(call.key, entry, call.link.server)
            except StateUnavailable as again:
                error = again

    def _settle(self, returned: Return, spent: Spending, overloaded: bool) -> None:
        services, link = self._services, self._call.link
        services.window(link).leave(
            overloaded=overloaded, refused=returned.refused, answered=returned.answered
        )
        services.limiter.settle(link.pool, returned)
        if self._reservation is None:
            services.budget.record(spent)
        else:
            services.budget.settle(self._reservation, spent)


def _parse(call: Call, response: HttpResponse) -> tuple[Answer | None, CallFailed | None]:
    try:
        return call.link.provider.parse(call.request, call.link.model, response), None
    except CallFailed as error:
        return None, error
