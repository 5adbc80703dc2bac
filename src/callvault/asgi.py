"""The application object, for those who bring their own ASGI server: `uvicorn callvault.asgi:app`.

It needs the server's lifespan. The first key is made by `callvault keys create`. One process a data folder.
"""

from contextlib import AsyncExitStack

from starlette.types import Receive, Scope, Send

from callvault.bootstrap import opened, web_options
from callvault.domain.errors import Fault
from callvault.settings import load
from callvault.web import logs
from callvault.web.app import Front, all_parts, create_app


class Application:
    """The vault of the environment's settings, open for as long as the server's lifespan."""

    def __init__(self) -> None:
        self._front: Front | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._front is None:
            raise RuntimeError("callvault.asgi needs a server that runs the lifespan")
        else:
            await self._front(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as house:
            await receive()
            try:
                self._front = await self._open(house)
            except Fault as fault:
                await send({"type": "lifespan.startup.failed", "message": str(fault)})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self._front.options.stopping.set()
            logs.REQUESTS.flush()
        await send({"type": "lifespan.shutdown.complete"})

    async def _open(self, stack: AsyncExitStack) -> Front:
        settings = load()
        logs.configure(settings.log_format, settings.log_level)
        house = await stack.enter_async_context(opened(settings, node=True))
        await house.start(workers=settings.workers)
        return create_app(house.services, web_options(settings), all_parts())


app = Application()
