"""The application object in somebody else's server, and workers without one."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from callvault.asgi import Application
from tests.commands import PATIENCE_SECONDS, command, environ


@asynccontextmanager
async def lifespan(app: Application) -> AsyncIterator[list[dict[str, Any]]]:
    """Begins it, and ends it behind the block, as a server does."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: list[dict[str, Any]] = []
    answered = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        answered.set()

    living = asyncio.create_task(app({"type": "lifespan"}, told.get, send))
    told.put_nowait({"type": "lifespan.startup"})
    await answered.wait()
    yield sent
    told.put_nowait({"type": "lifespan.shutdown"})
    await asyncio.wait_for(living, PATIENCE_SECONDS)


async def test_any_server_can_serve_a_vault(tmp_path: Path) -> None:
    made = await asyncio.to_thread(
        command, "keys", "create", "--workspace", "a", "--json", "--data", tmp_path / "vault"
    )
    app = Application()
    with environ(DATA=str(tmp_path / "vault"), LOG_LEVEL="error"):
        async with lifespan(app) as sent:
            assert [message["type"] for message in sent] == ["lifespan.startup.complete"]
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://vault.test") as client:
                assert (await client.get("/readyz")).json()["status"] == "ok"
                headers = {"authorization": f"Bearer {made.json['key']}"}
                assert (await client.get("/api/v1/recordings", headers=headers)).status_code == 200
        assert sent[-1]["type"] == "lifespan.shutdown.complete"


async def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with environ(DATA=str(tmp_path / "file" / "vault")):
        async with lifespan(Application()) as sent:
            assert sent[0]["type"] == "lifespan.startup.failed"
            assert "name another with --data" in sent[0]["message"]


def test_a_worker_works_beside_and_leaves_when_it_is_told(tmp_path: Path) -> None:
    command("workspaces", "create", "acme", "--data", tmp_path / "vault")
    process = subprocess.Popen(
        [sys.executable, "-m", "callvault", "worker", "--json", "--data", str(tmp_path / "vault")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert json.loads(process.stdout.readline()) == {"working": True}
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()
