"""When no row is to blame: nothing has ever answered, and what the servers say is true of every request.

One 404 is enough, for it is about a model or an address. A 403 may be about one prompt, so there it takes
many. After an answer both are outcomes of their requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from llm_assets.errors import CallFailed, CredentialsRefused, LLMAssetsError, NotServed, RequestRejected
from llm_assets.llm.fallback import FORBIDDEN, is_about_the_model, is_not_served
from llm_assets.llm.requests import ChatRequest, Request
from llm_assets.llm.services import Link, Services

# So many calls may end with 403 before anything is answered: then it is not about one of them.
_MOST_FORBIDDEN = 20


def what_stops_the_run(
    services: Services,
    request: Request,
    links: Sequence[Link],
    errors: Sequence[LLMAssetsError],
    told: LLMAssetsError,
) -> CallFailed | None:
    """What to raise in the place of `told`; None where the request may be to blame for it.

    `errors` are those of the models of `links`, in their order.
    """
    was_answered = services.answered or (isinstance(request, ChatRequest) and request.after_model is not None)
    if was_answered or not isinstance(told, RequestRejected):
        return None
    if all(is_not_served(error) for error in errors):
        asked = dict.fromkeys(
            _not_served(link, request, error)
            for link, error in zip(links, errors, strict=False)
            if isinstance(error, RequestRejected)
        )
        return NotServed("; ".join(asked), told.http_status, told.code, told.request_id)
    if told.http_status == FORBIDDEN:
        return _forbidden_too_often(services, told)
    return None


def _not_served(link: Link, request: Request, error: RequestRejected) -> str:
    """Which model or which address it is, what the server says, and what to set."""
    url = urlsplit(link.provider.build(request, link.model).url)
    address = f"{url.scheme}://{url.netloc}{url.path}"  # a query is nobody's business
    model = link.model.model
    said = error.message.rstrip(".")
    if is_about_the_model(error) or model in error.message:
        return (
            f"{model} is no model of the server at {address} ({said}): put one that it has into the "
            f"{request.endpoint} chain"
        )
    setting = "OPENAI_BASE_URL (or base_url)" if link.provider.name == "openai" else "base_url"
    ends = ", which ends in /v1 for OpenAI-compatible servers" if link.provider.name == "openai" else ""
    return f"nothing answers at {address}, where {model} was asked ({said}): correct {setting}{ends}"


def _forbidden_too_often(services: Services, error: RequestRejected) -> CredentialsRefused | None:
    """A 403 may be about one prompt. A server that has nothing but 403 for us does not want us at all."""
    services.forbidden += 1
    if services.forbidden < _MOST_FORBIDDEN:
        return None
    return CredentialsRefused(
        f"{services.forbidden} requests were forbidden and none has been answered; the last: {error.message}",
        error.http_status,
        error.code,
        error.request_id,
    )
