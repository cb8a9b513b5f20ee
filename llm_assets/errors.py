"""Every error this package raises on purpose, in one tree.

    LLMAssetsError
    ├── ConfigurationError            what is set cannot work; the message says what to set
    │   ├── OutputModelError          an output model that no strict schema can express
    │   └── MissingExtra              an optional dependency is not installed
    ├── RecordingsUnavailable         the place of the recordings cannot be listed
    │   └── RecordingsRefused         it is not there, or not for these credentials
    ├── RecordingUnreadable           one recording cannot be decoded: a row, not a failed run
    │   ├── RecordingForbidden        it is there and may not be read
    │   └── RecordingSilent           nothing is heard in it
    ├── RecordingUnsettled            one recording is still being written: left for a later run
    ├── WorkersUnavailable            the processes that decode recordings cannot be started
    ├── WarehouseError
    │   ├── WarehouseLocked           another process holds the DuckDB file
    │   ├── WarehouseMissing          nothing has been written yet
    │   └── TableMismatch             the table on disk and the rows do not fit together
    ├── StateUnavailable              the shared state (limits, budget, journal) cannot be reached
    │   └── StateMissing              there is none yet
    ├── RunStopped                    going on is pointless or forbidden; what was paid for is kept
    │   ├── BudgetExceeded
    │   ├── ClientClosed              the client is closing: nothing new is sent
    │   ├── QuotaExhausted            the account has no credit: waiting never helps
    │   ├── CredentialsRefused        401, or a 403 that is about the key
    │   └── NotServed                 no such model or address, and nothing ever answered
    └── CallFailed                    one call to a model failed
        ├── RequestTooLarge           larger than the limit itself: no wait would ever be enough
        │   └── RequestTooDear        may cost more than a whole budget
        ├── ContextTooLong            for the model chain: another model may take it
        ├── RequestRejected           400 and the like: the same request fails again
        │   └── SchemaTooComplex      the provider holds no answer to a schema of this size
        ├── PriceUnknown              the budget cannot be enforced on this model
        ├── RateLimited               429 that waiting mends
        ├── Overloaded                the provider has no capacity just now
        ├── ServerFailed              5xx, or an answer that is no answer
        └── ConnectionFailed          no answer came

Dagster carries errors across processes, so each of them pickles: facts are positional arguments
that go on to `super().__init__`.
"""

from __future__ import annotations

NOT_SENT = "not_sent"
"""The code of a ConnectionFailed that came before anything was sent, so nothing can have been billed."""

TOO_MUCH_SENT = "answer_too_large"
"""The code of a ConnectionFailed whose answer was larger than any answer is: it was not read to its end."""


class LLMAssetsError(Exception):
    """Root of all errors of this package."""


class ConfigurationError(LLMAssetsError):
    """What is configured cannot work."""


class OutputModelError(ConfigurationError):
    """An output model cannot be expressed as a strict JSON schema."""


class MissingExtra(ConfigurationError):
    """An optional dependency is missing."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(feature, extra)
        self.feature, self.extra = feature, extra

    def __str__(self) -> str:
        return f"{self.feature} needs an optional dependency: pip install 'llm-assets[{self.extra}]'"


class RecordingsUnavailable(LLMAssetsError):
    """The place of the recordings cannot be listed."""


class RecordingsRefused(RecordingsUnavailable):
    """The place of the recordings is not there, or may not be read: a person has to change something."""


class RecordingUnreadable(LLMAssetsError):
    """One recording cannot be decoded; the message is the reason that goes into its row."""


class RecordingForbidden(RecordingUnreadable):
    """One recording is there and may not be read: its own row, or where all are so the credentials'."""


class RecordingSilent(RecordingUnreadable):
    """One recording can be decoded, and nothing is heard in it."""


class RecordingUnsettled(LLMAssetsError):
    """One recording is still being written; a later run takes it."""


class WorkersUnavailable(LLMAssetsError):
    """The processes that decode recordings cannot be started, or were ended."""


class WarehouseError(LLMAssetsError):
    """The tables cannot be read or written."""


class WarehouseLocked(WarehouseError):
    """Another process holds the DuckDB file and did not let go within the time allowed."""


class WarehouseMissing(WarehouseError):
    """The DuckDB file does not exist yet."""


class TableMismatch(WarehouseError):
    """The table on disk and the rows to write do not fit together."""


class StateUnavailable(LLMAssetsError):
    """The shared state could not be reached within the time allowed."""


class StateMissing(StateUnavailable):
    """There is no state yet."""


class RunStopped(LLMAssetsError):
    """Going on is pointless or forbidden. Everything paid for is kept; a later run continues."""


class BudgetExceeded(RunStopped):
    """The next call could have spent past a cap, and nothing cheaper was left to try."""


class ClientClosed(RunStopped):
    """The client is closing or closed: this was not sent, or given up unanswered; the message says which."""


class CallFailed(LLMAssetsError):
    """One call to a model failed.

    `http_status` and `request_id` are None where no answer came.
    `retry_after_seconds` is the least wait the server asked for.
    """

    def __init__(
        self,
        message: str,
        http_status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, http_status, code, request_id, retry_after_seconds)
        self.message = message
        self.http_status = http_status
        self.code = code
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        facts = [
            f"HTTP {self.http_status}" if self.http_status else "",
            self.code or "",
            f"request {self.request_id}" if self.request_id else "",
        ]
        shown = ", ".join(fact for fact in facts if fact)
        return f"{self.message} ({shown})" if shown else self.message


class QuotaExhausted(CallFailed, RunStopped):
    """The account has no credit or reached its spend limit; waiting never helps."""


class CredentialsRefused(CallFailed, RunStopped):
    """The key is missing, wrong or not allowed to use this model."""


class NotServed(CallFailed, RunStopped):
    """The servers know none of the models they were asked for, or nothing is at their addresses."""


class RequestTooLarge(CallFailed):
    """The request is larger than the limit itself, so no wait would be enough."""


class RequestTooDear(RequestTooLarge):
    """The request may cost more than a whole cap of the budget, spent or not."""


class ContextTooLong(CallFailed):
    """The request does not fit the model's context; another model may take it."""


class RequestRejected(CallFailed):
    """The provider rejects this request and would reject it again."""


class SchemaTooComplex(RequestRejected):
    """The provider cannot hold an answer to this schema: it is too large, or has too many alternatives."""


class PriceUnknown(CallFailed):
    """The model has no known price, so a budget cannot be enforced on it."""


class RateLimited(CallFailed):
    """429 that waiting mends."""


class Overloaded(CallFailed):
    """The provider has no capacity just now (503 `server_is_overloaded`, 429 `slow_down`, 529)."""


class ServerFailed(CallFailed):
    """The provider failed (5xx) or sent an answer that is no answer."""


class ConnectionFailed(CallFailed):
    """The connection failed, was cut or timed out before a whole answer came."""
