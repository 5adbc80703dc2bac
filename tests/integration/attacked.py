"""A house on a socket of its own, in a thread, with one of everything in it: for those who shoot at it."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from tests.webhouse import WebHouse, webhouse


@dataclass
class Attacked:
    house: WebHouse
    url: str
    key: str
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=30, **more)


class Quiet(uvicorn.Server):
    """Takes no signals, for it runs in a thread."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def attacked(**settings: Any) -> Iterator[Attacked]:
    started: Future[Attacked] = Future()
    stop: list[uvicorn.Server] = []
    thread = threading.Thread(target=lambda: asyncio.run(_serve(started, stop, settings)))
    thread.start()
    try:
        yield started.result(30)
    finally:
        for server in stop:
            server.should_exit = True
        thread.join(30)


async def _serve(started: Future[Attacked], stop: list[uvicorn.Server], settings: dict[str, Any]) -> None:
    try:
        async with webhouse(**settings) as house:
            config = uvicorn.Config(house.app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
            server = Quiet(config)
            stop.append(server)
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            key = await house.key()
            there = Attacked(house, f"http://127.0.0.1:{port}", key, asyncio.get_running_loop())
            started.set_result(there)
            await serving
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
        raise
