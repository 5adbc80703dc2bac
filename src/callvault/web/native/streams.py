"""Live sound over a websocket: Twilio's media streams, Telnyx's twin of them, and jambonz'."""

import asyncio
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from callvault.domain.access import Caller
from callvault.domain.errors import Malformed
from callvault.services.house import Services
from callvault.services.ingest.livecall import LiveCall
from callvault.services.streampasses import is_pass
from callvault.web.auth import public
from callvault.web.errors import Stalled
from callvault.web.native.streamfacts import facts_of, key_of, recording_of
from callvault.web.parts import Socket
from callvault.web.visit import visit_of
from callvault.wire.mediastream import Interleaved, Media, Start, Stop, parse

START_SECONDS = 10.0
"""So long may the first message that tells something take to come."""
BEFORE_START_MOST = 10
JAMBONZ = "audio.jambonz.org"
ROOTS = ("/streams", "/api/v1/streams")


@dataclass(frozen=True, slots=True)
class Visitor:
    caller: Caller
    only_call: str | None = None
    """With a pass instead of a key: the one call whose sound it may send."""


async def admitted(services: Services, caller: Caller, presented: str | None) -> Visitor:
    """Who shows this key or this pass."""
    if presented is not None and is_pass(presented):
        leave = await services.stream_passes.admit(presented, caller)
        return Visitor(leave.caller, leave.call_id)
    principal = await services.access.authenticate(presented, address=caller.address, request_id=caller.request_id)
    return Visitor(caller._replace(principal=principal))


class Session:
    """One connection, from its first message to its end."""

    def __init__(self, socket: WebSocket, visitor: Visitor) -> None:
        self._socket, self._visitor = socket, visitor
        visit = visit_of(socket)
        self._services, self._stall_seconds = visit.services, visit.options.stall_seconds
        self._live: LiveCall | None = None
        self._messages = 0

    async def run(self) -> None:
        stopped = False
        try:
            async with asyncio.timeout(min(START_SECONDS, self._stall_seconds)):
                start = await self._started()
            # It takes a while to find its call, and its sound does not wait for that.
            self._live = await self._begun(start, self._services.clock.monotonic())
            stopped = await self._listened(self._live, start)
        except TimeoutError:
            raise Stalled from None
        finally:
            if self._live is not None:
                # What came in is kept, whatever ended the connection.
                await asyncio.shield(self._services.intake.live.end(self._visitor.caller, self._live, complete=stopped))
        if self._live.lost and self._socket.client_state is WebSocketState.CONNECTED:
            raise self._live.lost

    async def _started(self) -> Start:
        for _ in range(BEFORE_START_MOST):
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            text = message.get("text")
            if text is None:
                break
            said = parse(text)
            if isinstance(said, Start):
                return said
            if isinstance(said, Media):
                break
        raise Malformed(what="the stream", why="its first message is start")

    async def _begun(self, start: Start, began: float) -> LiveCall:
        if self._visitor.caller.principal is None:
            self._visitor = await admitted(self._services, self._visitor.caller, key_of(start))
        facts, caller = facts_of(start), self._visitor.caller
        if self._visitor.only_call is not None:
            facts = facts.of_call(self._visitor.only_call)
        recording = await recording_of(self._services, caller, facts)
        return await self._services.intake.live.begin(caller, recording.id, start.media, facts.lanes, began=began)

    async def _listened(self, live: LiveCall, start: Start) -> bool:
        """Whether the sender said that it was done; else its connection was lost, and more may come."""
        receive, push = self._socket.receive, live.push
        interleaved = Interleaved(len(start.tracks)) if start.dialect == "jambonz" else None
        watching = asyncio.create_task(self._watched())
        try:
            while True:
                message = await receive()
                self._messages += 1
                if (text := message.get("text")) is not None:
                    said = parse(text)
                    if type(said) is Media:
                        push(said.track, said.chunk, said.timestamp_ms, said.payload)
                    elif type(said) is Stop:
                        return True
                elif (data := message.get("bytes")) is not None:
                    if interleaved is None:
                        raise Malformed(what="the message", why="it is binary, as jambonz' sound alone is")
                    for track, payload in zip(start.tracks, interleaved.feed(data), strict=True):
                        push(track, 0, None, payload)
                else:
                    # jambonz says nothing at the end: it closes the connection in good order.
                    return start.dialect == "jambonz" and message.get("code") == 1000
        finally:
            watching.cancel()

    async def _watched(self) -> None:
        heard = -1
        while heard != self._messages:
            heard = self._messages
            await asyncio.sleep(self._stall_seconds)
        with suppress(RuntimeError):
            await self._socket.close(1008, Stalled.code)


@public("the key may come in the first message: senders such as Twilio send no header of ours")
async def stream(socket: WebSocket) -> None:
    visit = visit_of(socket)
    visitor = Visitor(visit.caller)
    if presented := _presented(socket):
        visitor = await admitted(visit.services, visit.caller, presented)
    await socket.accept(subprotocol=JAMBONZ if JAMBONZ in socket.scope.get("subprotocols", ()) else None)
    await Session(socket, visitor).run()
    with suppress(RuntimeError):
        await socket.close()


def _presented(socket: WebSocket) -> str | None:
    """A key in the handshake: as a bearer, as the password of Basic, or, where neither can be had, in the URL."""
    kind, _, told = socket.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        with suppress(ValueError):
            name, _, password = b64decode(told, validate=True).decode().partition(":")
            return password or name
    elif kind.lower() == "bearer":
        return told.strip()
    return socket.query_params.get("token")


SOCKETS = tuple(Socket(root, stream) for root in ROOTS)
