"""`callvault serve` and `callvault worker`: what runs until it is told to stop."""

import asyncio
import json
import signal
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import uvicorn
import uvloop

from callvault.bootstrap import House, opened, web_options
from callvault.cli.connections import ServerConnection
from callvault.cli.leaving import Leaving
from callvault.cli.running import as_json, data
from callvault.domain.errors import Misconfigured
from callvault.settings import Settings, load
from callvault.web import logs
from callvault.web.app import create_app
from callvault.web.options import Options

DRAIN_SECONDS: Final = 5
"""So long may requests that are being answered go on after the signal; `Leaving` sees to the rest."""
SOCKET_MESSAGE_BYTES: Final = 1 << 20
Told = Callable[[], Awaitable[None]]
Ready = Callable[[House, str], Awaitable[None]]


class Server(uvicorn.Server):
    """Ends when it is told to and leaves the rest to us: its own way is to kill the process by the signal again."""

    def __init__(self, config: uvicorn.Config, options: Options, house: House, leaving: Leaving, told: Told) -> None:
        super().__init__(config)
        self._options, self._house, self._leaving, self._told = options, house, leaving, told
        self._loop = asyncio.get_running_loop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Whoever is told that it is ready may tell it to end."""
        await super().startup(sockets)
        await self._told()
        self._house.settle()

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._loop.call_soon_threadsafe(self._leaving.begin)
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._options.stopping.set()
        await asyncio.gather(super().shutdown(sockets), self._house.drain())


@click.command()
@click.option("--host", help="The address to listen on. [default: CALLVAULT_HOST, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 for any free one. [default: CALLVAULT_PORT, else 8080]")
@click.option("--no-workers", is_flag=True, help="Answer requests alone: 'callvault worker' does the rest.")
@data
@as_json
def serve(host: str | None, port: int | None, no_workers: bool, data: Path | None, as_json: bool) -> None:
    """Serve the APIs and pages, and do the work in the background, in one process.

    The first start makes the database, the master key and a workspace with a key, which is printed once.

    Example: callvault serve --port 8080 --data ./callvault-data
    """
    settings = load(data=data, host=host, port=port, workers=False if no_workers else None)
    logs.configure(settings.log_format, settings.log_level)
    run_server(settings, lambda house, address: _say(house, address, as_json))


def run_server(settings: Settings, ready: Ready) -> None:
    """Serves until it is told to stop; `ready` is called with the address when it can be reached."""
    with Leaving() as leaving, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serving(settings, ready, leaving))


async def _serving(settings: Settings, ready: Ready, leaving: Leaving) -> None:
    listening = _listen(settings.host, settings.port)
    try:
        async with opened(settings, node=True) as house:
            options = web_options(settings)
            await house.start(workers=settings.workers)
            config = uvicorn.Config(
                create_app(house.services, options),
                http=ServerConnection,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                forwarded_allow_ips=settings.trusted_proxies,
                timeout_graceful_shutdown=DRAIN_SECONDS,
                ws_max_size=SOCKET_MESSAGE_BYTES,
                ws_per_message_deflate=False,
            )
            told = partial(ready, house, _address(settings, listening))
            await Server(config, options, house, leaving, told).serve([listening])
            logs.REQUESTS.flush()
        leaving.empty()
    finally:
        listening.close()


@click.command()
@data
@as_json
def worker(data: Path | None, as_json: bool) -> None:
    """Do the work in the background alone, beside any number of servers on the same database and storage.

    Example: CALLVAULT_DATABASE=postgresql://vault@db/vault callvault worker
    """
    settings = load(data=data)
    logs.configure(settings.log_format, settings.log_level)
    with Leaving() as leaving:
        asyncio.run(_work(settings, as_json, leaving))


async def _work(settings: Settings, as_json: bool, leaving: Leaving) -> None:
    stop = asyncio.Event()

    def end() -> None:
        leaving.begin()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    async with opened(settings) as house:
        await house.start(workers=True, node=False)
        click.echo(json.dumps({"working": True}) if as_json else "callvault works in the background")
        await stop.wait()
    leaving.empty()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        why = f"cannot listen on {host}:{port} ({error.strerror}): name another with --host and --port"
        raise Misconfigured(problems=why) from None


def _address(settings: Settings, listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return settings.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _say(house: House, address: str, as_json: bool) -> None:
    first = await house.first_key()
    if as_json:
        click.echo(json.dumps({"url": address, "key": first.key if first else None}))
        return
    click.echo(f"callvault is at {address}")
    if first:
        click.echo(f"Your first key, shown this once: {first.key}")
