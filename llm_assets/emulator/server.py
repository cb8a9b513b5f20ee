"""The emulator as a server: `async with Emulator(config) as emulator:` and ask `emulator.base_url`.

It belongs to the event loop in which it was entered. Leaving it ends answers under way and the processes
that recognise speech.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from llm_assets.clock import Clock, SystemClock
from llm_assets.emulator.admin import admin_routes
from llm_assets.emulator.audit import Audit
from llm_assets.emulator.catalog import EmulatedModel
from llm_assets.emulator.config import EmulatorConfig
from llm_assets.emulator.endpoints import ChatEndpoint, Endpoint, TranscriptionEndpoint
from llm_assets.emulator.error_answer import ErrorAnswer
from llm_assets.emulator.service import Service
from llm_assets.emulator.wire import EMULATOR_HEADER, json_response
from llm_assets.errors import ConfigurationError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NAMED = "/emulator"
_MAX_BODY_BYTES = 64 * 1024 * 1024
_SHUTDOWN_SECONDS = 1.0


class Emulator:
    """One server on one address. `clock` is what quota, latency and audit go by."""

    def __init__(self, config: EmulatorConfig | None = None, clock: Clock | None = None) -> None:
        self.config = config or EmulatorConfig()
        clock = clock or SystemClock()
        self._service = Service(self.config, clock)
        self._chat = ChatEndpoint(self.config, clock.now)
        self._transcription = TranscriptionEndpoint(self.config)
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        """Raises ConfigurationError when the address cannot be had."""
        host, port = self.config.host, self.config.port
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, backlog=1024).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(
                f"the emulator cannot listen on {host}:{port} ({error.strerror}); port 0 takes a free one"
            ) from error
        self._runner, self._port = runner, runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transcription.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def port(self) -> int:
        return self._port

    @property
    def base_url(self) -> str:
        """What a client takes for `OPENAI_BASE_URL`.

        The same is served under `/v1`. Under this path the answers tell by their address that they are an
        emulator's, whatever the port, so nobody takes them for those of another server on this machine.
        """
        return f"{self.root_url}{_NAMED}/v1"

    @property
    def root_url(self) -> str:
        """Where `/emulator/audit` and its neighbours are."""
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"http://{host}:{self._port}"

    @property
    def audit(self) -> Audit:
        """What was served, refused, faulted and served twice, as of now."""
        return self._service.audit

    @property
    def ideal_seconds(self) -> float:
        """The least time in which the quota could have let through what it let through."""
        return self._service.account.ideal_seconds

    def reset(self) -> None:
        """A fresh audit and buckets as at the start; changed limits stay."""
        self._service.reset()

    def change_limits(
        self, model: str | None = None, *, neighbour_share: float | None = None, **limits: int | None
    ) -> None:
        """Change `requests_per_minute` and so on while it runs, for one model's pool or for all.

        What is not named stays as it is; None is unlimited.
        """
        account = self._service.account
        account.change_limits(None if model is None else account.pool_of(model), limits, neighbour_share)

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.add_routes(
            [
                *self._api("/v1"),
                *self._api(f"{_NAMED}/v1"),
                *admin_routes(self._service),
                web.route("*", "/{path:.*}", _unknown_url),
            ]
        )
        return app

    def _api(self, prefix: str) -> list[web.RouteDef]:
        return [
            web.post(f"{prefix}/chat/completions", self._answering(self._chat)),
            web.post(f"{prefix}/audio/transcriptions", self._answering(self._transcription)),
            web.get(f"{prefix}/models", self._list_models),
            web.get(f"{prefix}/models/{{name}}", self._show_model),
        ]

    def _answering(self, endpoint: Endpoint) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await self._service.handle(endpoint, request)

        return answer

    async def _list_models(self, request: web.Request) -> web.Response:
        try:
            self._service.authorize(request)
        except ErrorAnswer as error:
            return json_response(error.status, error.body(), EMULATOR_HEADER)
        models = [_described(model) for model in self._service.models.values()]
        return json_response(200, {"object": "list", "data": models}, EMULATOR_HEADER)

    async def _show_model(self, request: web.Request) -> web.Response:
        try:
            self._service.authorize(request)
            model = self._service.find(request.match_info["name"])
        except ErrorAnswer as error:
            return json_response(error.status, error.body(), EMULATOR_HEADER)
        return json_response(200, _described(model), EMULATOR_HEADER)


def _described(model: EmulatedModel) -> Mapping[str, str | int]:
    described: dict[str, str | int] = {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": "llm-assets-emulator",
    }
    return described | ({"shutdown_date": model.shutdown_date} if model.shutdown_date else {})


async def _unknown_url(request: web.Request) -> web.Response:
    error = ErrorAnswer(404, f"Invalid URL ({request.method} {request.path})", code="unknown_url")
    return json_response(404, error.body(), EMULATOR_HEADER)
