"""`llm-assets emulator`: serve the emulator until Ctrl-C or SIGTERM, then say what it did."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from pydantic import ValidationError

from llm_assets.emulator.config import (
    FAULT_KINDS,
    EmulatorConfig,
    Faults,
    Latency,
    LatencyKind,
    QuotaLimits,
)
from llm_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_assets.emulator.server import Emulator

_PORT = 8787
_KINDS = get_args(LatencyKind)


def _latency(ctx: click.Context, param: click.Parameter, value: str) -> Latency:
    """`0.5`, `exponential:0.5` or `log-normal:0.5:0.8`: a kind, the mean in seconds, a sigma."""
    kind, *numbers = value.split(":")
    if kind not in _KINDS:
        kind, numbers = "constant", [kind, *numbers]
    names = ("mean_seconds", "sigma") if kind == "log-normal" else ("mean_seconds",)
    try:
        if not 0 < len(numbers) <= len(names):
            raise ValueError
        return Latency.model_validate({"kind": kind, **dict(zip(names, numbers, strict=False))})
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not SECONDS, exponential:SECONDS or log-normal:SECONDS[:SIGMA]"
        ) from None


def _faults(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Faults:
    """`server_error=0.02`: a kind of fault and its share of the requests."""
    shares: dict[str, Any] = {}
    for value in values:
        kind, _, share = value.partition("=")
        if kind not in FAULT_KINDS:
            raise click.BadParameter(f"{kind!r} is none of {', '.join(FAULT_KINDS)}")
        shares[kind] = share
    try:
        return Faults(**shares)
    except ValidationError as error:
        raise click.BadParameter(_reason(error)) from None


def _reason(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, part['loc']))}: {part['msg']}".lstrip(": ") for part in error.errors()
    )


@click.command(name="emulator", short_help="Serve a local stand-in for OpenAI's API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=_PORT, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--port-file", type=click.Path(path_type=Path), help="Write the port here once it is listening."
)
@click.option("--seed", default=0, show_default=True, help="Faults and latencies follow from it.")
@click.option("--api-key", help="Accept this key only. By default every key is accepted.")
@click.option("--model", "models", multiple=True, help="Serve this chat model too. Repeatable.")
@click.option("--requests-per-minute", type=click.IntRange(1), help="Limit of every model.")
@click.option("--tokens-per-minute", type=click.IntRange(1), help="Limit of every model.")
@click.option("--requests-per-day", type=click.IntRange(1), help="Limit of every model.")
@click.option("--tokens-per-day", type=click.IntRange(1), help="Limit of every model.")
@click.option("--initial-level", type=click.FloatRange(0, 1), default=1.0, help="How full the quota starts.")
@click.option("--neighbour-share", type=click.FloatRange(0, 0.99), default=0.0, help="Somebody else's share.")
@click.option(
    "--headers",
    type=click.Choice(["admission", "answer", "none"]),
    default="admission",
    show_default=True,
    help="When the x-ratelimit headers are true, or that there are none.",
)
@click.option(
    "--latency",
    callback=_latency,
    default="0",
    show_default=True,
    metavar="[KIND:]SECONDS",
    help="How long an answer takes at least.",
)
@click.option(
    "--fault",
    "faults",
    callback=_faults,
    multiple=True,
    metavar="KIND=SHARE",
    help="What goes wrong, and how often. Repeatable.",
)
@click.option("--credit", type=click.IntRange(0), help="insufficient_quota after so many requests.")
@click.option("--fixed-answer", is_flag=True, help="Answer every chat the same, at once: for load tests.")
@click.option(
    "--workers", type=click.IntRange(1), help="Recognition processes.  [default: one per core, at most 4]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line at the start and one at the end.")
@click.option(
    "--stop-with-stdin", is_flag=True, help="Stop when standard input closes, for a parent process."
)
def emulator_command(
    port_file: Path | None, as_json: bool, stop_with_stdin: bool, workers: int | None, **options: Any
) -> None:
    """Serve a local stand-in for OpenAI's API: speech recognition and insights without a key or a network.

    It answers by plain rules, so it is good for trying, testing and rehearsing, not for insight.
    Ctrl-C ends it and prints what it served.

    \b
    Run the pipeline against it:
      llm-assets emulator
      export OPENAI_BASE_URL=http://127.0.0.1:8787/emulator/v1 OPENAI_API_KEY=emulator
    \b
    Rehearse a small account with slow answers and some failures:
      llm-assets emulator --requests-per-minute 60 --tokens-per-minute 20000 \\
        --latency log-normal:0.8 --fault server_error=0.02 --fault reset=0.01
    \b
    From a script, on any free port:
      llm-assets emulator --port 0 --json
    \b
    While it runs:
      curl http://127.0.0.1:8787/emulator/audit
      curl -d '{"requests_per_minute": 30}' http://127.0.0.1:8787/emulator/limits
    \b
    Kinds of faults: server_error, overloaded, slow_down, reset, truncated, invalid_json, html,
    unauthorized, refusal, content_filter, invalid_output.
    """
    config = _config(options, workers)
    asyncio.run(_serve(config, port_file, as_json, stop_with_stdin))


def _config(options: Mapping[str, Any], workers: int | None) -> EmulatorConfig:
    limits: dict[str, Any] = {name: options[name] for name in QuotaLimits.model_fields}
    same = (
        "host",
        "port",
        "seed",
        "api_key",
        "models",
        "initial_level",
        "neighbour_share",
        "headers",
        "latency",
        "faults",
    )
    given: dict[str, Any] = {name: options[name] for name in same}
    if workers is not None:
        given["recognizer_workers"] = workers
    try:
        return EmulatorConfig(
            limits=QuotaLimits(**limits),
            insufficient_quota_after=options["credit"],
            chat_answer="fixed" if options["fixed_answer"] else "extractive",
            **given,
        )
    except ValidationError as error:
        raise ConfigurationError(_reason(error)) from error


async def _serve(
    config: EmulatorConfig, port_file: Path | None, as_json: bool, stop_with_stdin: bool
) -> None:
    from llm_assets.emulator.server import Emulator  # aiohttp takes its time to load

    stopped = asyncio.Event()
    _stop_on_signals(stopped)
    if stop_with_stdin:
        _stop_with_stdin(stopped)
    async with Emulator(config) as emulator:
        if port_file is not None:
            _write_port(port_file, emulator.port)
        _announce(emulator, as_json)
        await stopped.wait()
        ideal_seconds = emulator.ideal_seconds
    _report(emulator.audit.snapshot() | {"ideal_seconds": round(ideal_seconds, 3)}, as_json)


def _stop_on_signals(stopped: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stopped.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))


def _stop_with_stdin(stopped: asyncio.Event) -> None:
    """A parent that dies, however it dies, closes its end of the pipe."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        loop.call_soon_threadsafe(stopped.set)

    threading.Thread(target=wait, daemon=True).start()


def _write_port(path: Path, port: int) -> None:
    """Whole or not at all: whoever waits for the file never reads half a number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(f"{port}\n", encoding="ascii")
    unfinished.replace(path)


def _announce(emulator: Emulator, as_json: bool) -> None:
    from llm_assets.emulator.endpoints import NO_RECOGNIZER
    from llm_assets.emulator.speech.pool import is_installed

    speech = is_installed()
    if as_json:
        facts = {"base_url": emulator.base_url, "port": emulator.port, "pid": os.getpid(), "speech": speech}
        click.echo(json.dumps(facts))
        return
    workers = emulator.config.recognizer_workers
    click.echo(f"Emulating OpenAI's API on {emulator.base_url}, by plain rules: for trying, not for insight.")
    # A key that was given is not shown: it may be one that is worth something elsewhere.
    key = (
        "  # and OPENAI_API_KEY: the key given here"
        if emulator.config.api_key
        else " OPENAI_API_KEY=emulator"
    )
    click.echo(f"  export OPENAI_BASE_URL={emulator.base_url}{key}")
    click.echo(f"  speech: {workers} processes" if speech else f"  chat only; {NO_RECOGNIZER}")
    click.echo(f"  audit:  {emulator.root_url}/emulator/audit     (Ctrl-C to stop)")


def _report(audit: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(audit))
        return
    columns = ("received", "served", "served_twice", "refused", "rejected", "faulted", "hung_up")
    click.echo(f"\n{'model':24}" + "".join(f"{name.replace('_', ' '):>14}" for name in columns))
    rows = {**audit["models"], "all": audit}
    for model, counts in rows.items():
        numbers = (counts.get(name, "") for name in columns)
        click.echo(f"{model:24}" + "".join(f"{number:>14}" for number in numbers))
    usage = audit["usage"]
    click.echo(
        f"{usage['audio_seconds']:,.0f} s of audio, {usage['input_tokens']:,} tokens in, "
        f"{usage['output_tokens']:,} out, in {audit['wall_seconds']:,.1f} s"
        + (f" (the quota allows {audit['ideal_seconds']:,.1f} s)" if audit["ideal_seconds"] else "")
    )
