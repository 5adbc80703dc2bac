"""Gravity Rail's endpoints: chats, and their recordings as bytes or as a URL."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Query
from starlette.requests import Request

from callvault.domain.access import Action, Caller, Thing
from callvault.domain.errors import Missing, NoRecording
from callvault.domain.filters import CallFilter
from callvault.domain.ids import is_uuid
from callvault.services.delivery.desk import WHOLE
from callvault.services.pages import Place
from callvault.web.auth import Asking, House, needs
from callvault.web.dialects.gravityrail import schemas
from callvault.web.dialects.gravityrail.errors import NoAudio
from callvault.web.dialects.gravityrail.schemas import Chat, ChatPage, Detail
from callvault.web.errors import Invalid
from callvault.web.parts import Hot
from callvault.web.responses import Answer, model_answer
from callvault.web.sound import sound_answer
from callvault.web.visit import visit_of

V = TypeVar("V")

CHATS: Final = "/api/v2/w/{workspace_uuid}/chats"
RECORDING: Final = "/api/v2/w/{workspace_uuid}/recordings/chat/{chat_id}"
CHAT_ID: Final = re.compile("-?[0-9]{1,200}")
SECONDS: Final = re.compile("0*[1-9][0-9]{0,100}")

router = APIRouter(responses={401: {"model": Detail}, 403: {"model": Detail}, 404: {"model": Detail}})


@router.get(CHATS)
@needs(Action.READ_CHAT)
async def list_chats(
    *,
    workspace_uuid: str,
    caller: Asking,
    services: House,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=100)] = 25,
) -> ChatPage:
    _enter(services, caller, workspace_uuid)
    wanted = CallFilter()
    total = await services.calls.count(caller, wanted, Action.READ_CHAT)
    place = Place(limit=page_size, offset=(page - 1) * page_size)
    found = await services.calls.find(caller, wanted, place, Action.READ_CHAT)
    return ChatPage(items=[schemas.chat_of(c) for c in found.items], total=total, page=page, pageSize=page_size)


@router.get(CHATS + "/{chat_id}")
@needs(Action.READ_CHAT)
async def get_chat(*, workspace_uuid: str, chat_id: int, caller: Asking, services: House) -> Chat:
    _enter(services, caller, workspace_uuid)
    return schemas.chat_of(await services.calls.by_chat_id(caller, chat_id))


@needs(Action.LISTEN_CHAT)
async def audio(request: Request) -> Answer:
    recording = await _heard(request, visit_of(request).services.recordings.of_chat)
    return await sound_answer(request, recording, WHOLE, filename=_filename(request), action=Action.LISTEN_CHAT)


@needs(Action.LISTEN_CHAT)
async def download_url(request: Request) -> Answer:
    visit, filename = visit_of(request), _filename(request)
    seconds = _expires_in(request)
    link = await visit.services.delivery.links.secure_url(
        visit.caller,
        await _heard(request, visit.services.recordings.version_of_chat),
        WHOLE,
        seconds=seconds,
        attachment=True,
        filename=filename,
        action=Action.LISTEN_CHAT,
        base_url=visit.base_url,
    )
    return model_answer(schemas.download_url(link.url, link.seconds, link.expires_ms, filename))


AUDIO: Final = Hot(
    "GET",
    RECORDING + "/audio.wav",
    audio,
    docs={
        "summary": "Download a completed call recording as a single WAV file",
        "responses": {
            "200": {"description": "The full call", "content": {"audio/wav": {"schema": {"type": "string"}}}},
            "206": {"description": "The ranges that were asked for"},
            "304": {"description": "It has not changed"},
            "412": {"description": "It is not what the client thinks"},
            "416": {"description": "There is no such range"},
            **schemas.FAILURES,
        },
    },
)
DOWNLOAD_URL: Final = Hot(
    "GET",
    RECORDING + "/download-url",
    download_url,
    docs={
        "summary": "Get a short-lived URL for a completed call recording",
        "parameters": [{"name": "expires_in", "in": "query", "schema": {"type": "integer", "minimum": 1}}],
        "responses": {
            "200": {
                "description": "CallRecordingDownloadUrlResponse",
                "content": {"application/json": {"schema": schemas.DownloadUrl.model_json_schema()}},
            },
            **schemas.FAILURES,
        },
    },
)


async def _heard(request: Request, of_chat: Callable[[Caller, int, Action], Awaitable[V]]) -> V:
    """What the caller hears of the chat; a chat without stored sound has no recording."""
    visit, chat_id = visit_of(request), request.path_params["chat_id"]
    _enter(visit.services, visit.caller, request.path_params["workspace_uuid"])
    if not CHAT_ID.fullmatch(chat_id):
        raise Invalid(errors=[{"loc": ["path", "chat_id"], "msg": "must be an integer", "type": "int_parsing"}])
    try:
        return await of_chat(visit.caller, int(chat_id), Action.LISTEN_CHAT)
    except NoRecording:
        raise NoAudio from None


def _expires_in(request: Request) -> int:
    """Any lifetime may be asked for; the workspace's longest is what there is."""
    text = request.query_params.get("expires_in") if request.scope["query_string"] else None
    if text is None:
        return schemas.EXPIRES_IN
    if not SECONDS.fullmatch(text):
        raise Invalid(errors=[{"loc": ["query", "expires_in"], "msg": "must be 1 or more", "type": "int_parsing"}])
    return int(text)


def _enter(services: House, caller: Asking, workspace_uuid: str) -> None:
    """Into the key's own workspace, where `needs` has asked; any other is nothing to it."""
    workspace_id = workspace_uuid.lower()
    if caller.principal and caller.principal.workspace_id == workspace_id:
        return
    if not is_uuid(workspace_id):
        raise Missing(what="workspace")
    services.access.require(caller, Action.READ_CHAT, Thing(workspace_id), f"workspace:{workspace_id}")


def _filename(request: Request) -> str:
    return f"chat-{request.path_params['chat_id']}.wav"
