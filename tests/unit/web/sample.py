"""A part with one route of every sort, for the tests of the front."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.requests import Request
from starlette.websockets import WebSocket

from callvault.domain.access import Action
from callvault.domain.errors import BlobsUnavailable, RecordingInProgress
from callvault.web.auth import Asking, House, keyed, needs, public
from callvault.web.parts import Claim, Hot, Part, Socket
from callvault.web.responses import Answer, json_answer, redirect, threaded
from callvault.web.visit import visit_of

router = APIRouter()
closed = asyncio.Event()


class Fact(BaseModel):
    number: int


@router.post("/sample/facts/{id}", status_code=201)
@needs(Action.CREATE_RECORDING)
async def make(id: str, fact: Fact, caller: Asking, services: House) -> dict[str, str]:
    return {"id": id, "actor": caller.actor, "at": str(services.clock.now_ms())}


@router.get("/sample/facts")
@needs(Action.READ_RECORDING)
async def facts(limit: Annotated[int, Query(le=10)] = 5) -> list[int]:
    return list(range(limit))


@router.get("/sample/endless")
@public("to be listened to")
async def endless() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"tick"
            await asyncio.sleep(0)

    return StreamingResponse(chunks(), media_type="text/event-stream")


@router.put("/sample/upload")
@needs(Action.WRITE_SOUND, body=None)
async def upload(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@needs(Action.LISTEN, Action.SHARE)
async def hot(request: Request) -> Answer:
    caller = visit_of(request).caller
    return json_answer({"name": request.path_params["name"], "actor": caller.actor, "from": caller.address})


@keyed("the operation decides")
async def operate(request: Request) -> Answer:
    return json_answer({"length": len(await request.body())})


@public("a link carries its own permission")
async def away(request: Request) -> Answer:
    return redirect(f"{visit_of(request).base_url}/sample/there")


@public("to see what becomes of errors")
async def fail(request: Request) -> Answer:
    match request.path_params["how"]:
        case "progress":
            raise RecordingInProgress
        case "storage":
            raise BlobsUnavailable(why="it is away")
        case "never":
            await asyncio.Event().wait()
    raise ValueError("cvk_abcdefgh_" + "s" * 33)


@public("to see what becomes of a long answer")
async def stream(request: Request) -> Answer:
    def chunks():  # type: ignore[no-untyped-def]
        try:
            for n in range(1000):
                if n == 500 and "break" in request.query_params:
                    raise BlobsUnavailable(why="it went away")
                yield b"%03d" % n
        finally:
            closed.set()

    return Answer(200, [(b"content-type", b"text/plain")], threaded(chunks()))


@needs(Action.WRITE_SOUND)
async def talk(socket: WebSocket) -> None:
    await socket.accept()
    heard = await socket.receive_text()
    if heard == "fail":
        raise BlobsUnavailable(why="it is away")
    await socket.send_text(f"{visit_of(socket).caller.actor} {heard}")
    await socket.close()


PART = Part(
    name="sample",
    title="Sample",
    about="One route of every sort.",
    claims=(Claim("/sample"),),
    routers=(router,),
    hot=(
        Hot("GET", "/sample/hot/{name}.json", hot, {"summary": "Something hot"}),
        Hot("POST", "/sample/operate", operate),
        Hot("GET", "/sample/away", away),
        Hot("GET", "/sample/fail/{how}", fail),
        Hot("GET", "/sample/stream", stream),
    ),
    sockets=(Socket("/sample/talk", talk),),
)
