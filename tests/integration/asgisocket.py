"""A websocket to an ASGI application without a network between."""

import asyncio
import json
from typing import Any


class AsgiSocket:
    def __init__(
        self, app: Any, path: str, headers: dict[str, str] | None = None, protocols: tuple[str, ...] = ()
    ) -> None:
        path, _, query = path.partition("?")
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "subprotocols": list(protocols),
            "client": ("198.51.100.9", 5),
            "server": ("vault.test", 80),
            "extensions": {"websocket.http.response": {}},
        }
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: list[dict[str, Any]] = []
        """What the application sent."""
        self.running = asyncio.ensure_future(app(scope, self._to_app.get, self._send))
        self._to_app.put_nowait({"type": "websocket.connect"})

    async def _send(self, message: dict[str, Any]) -> None:
        self.heard.append(message)

    def say(self, message: dict[str, Any] | str) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self, code: int = 1005) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code})

    async def ended(self) -> dict[str, Any]:
        """The application's last word."""
        await asyncio.wait_for(self.running, 30)
        return self.heard[-1]

    async def read_all(self) -> None:
        """The application has taken everything that was said."""
        while self._to_app.qsize():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)
