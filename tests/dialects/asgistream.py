"""A GET whose answer has no end, without a network between: its pieces as they come."""

import asyncio
from typing import Any


class AsgiStream:
    def __init__(self, app: Any, path: str, headers: dict[str, str]) -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("198.51.100.9", 5),
            "server": ("vault.test", 80),
        }
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_app.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.headers: dict[str, str] = {}
        self.running = asyncio.ensure_future(app(scope, self._to_app.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        if message["type"] == "http.response.body":
            if message.get("body"):
                self._pieces.put_nowait(message["body"])
            if not message.get("more_body"):
                self._pieces.put_nowait(None)

    async def next(self, seconds: float = 30) -> str | None:
        """The next piece; None at the end."""
        piece = await asyncio.wait_for(self._pieces.get(), seconds)
        return None if piece is None else piece.decode()

    async def leave(self) -> None:
        self._to_app.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(self.running, 30)
