"""AgentPhone's recordings: bytes for whoever knows the call's id, in workspaces that turned this on."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request

from callvault.domain.access import Action, Caller
from callvault.domain.errors import Missing, Refused
from callvault.services.delivery.desk import WHOLE
from callvault.services.workspaces import WorkspaceSettings
from callvault.web.auth import Asking, House, needs, public
from callvault.web.dialects.agentphone import schemas
from callvault.web.dialects.agentphone.schemas import FAILURES, RecordingSetting
from callvault.web.parts import Hot
from callvault.web.responses import Answer
from callvault.web.sound import sound_answer
from callvault.web.visit import visit_of

router = APIRouter(responses=FAILURES)


@router.post("/credits/recording/enable")
@needs(Action.MANAGE_WORKSPACE)
async def enable_recording(caller: Asking, services: House) -> RecordingSetting:
    """Calls are recorded, and a call's id opens its recording. A HIPAA workspace is refused."""
    return await _set(caller, services, True)


@router.post("/credits/recording/disable")
@needs(Action.MANAGE_WORKSPACE)
async def disable_recording(caller: Asking, services: House) -> RecordingSetting:
    """Nothing more is recorded, and no call's id opens anything; what there is is kept."""
    return await _set(caller, services, False)


@public("the call's id is the permission, in workspaces that turned this on")
async def get_recording(request: Request) -> Answer:
    services, call_id = visit_of(request).services, request.path_params["call_id"]
    try:
        call = await services.calls.by_capability(call_id)
        recording = await services.recordings.heard_of(None, call)
    except (Missing, Refused):
        # Nobody without a key is told whether it is the call, the permission or the sound that is not there.
        raise Missing(what="recording") from None
    return await sound_answer(request, recording, WHOLE, filename=f"recording-{call_id}.wav")


async def _set(caller: Caller, services: House, on: bool) -> RecordingSetting:
    workspace_id = services.access.permit(caller, Action.MANAGE_WORKSPACE).workspace_id
    changes = WorkspaceSettings(recording_enabled=on, public_recordings=on)
    workspace = await services.workspaces.set(caller, workspace_id, changes)
    return RecordingSetting(recordingEnabled=workspace.recording_enabled and workspace.opens_recordings)


RECORDING: Final = Hot(
    "GET",
    "/v1/calls/{call_id}/recording",
    get_recording,
    docs={
        "summary": "Get call recording",
        "description": "The audio of a completed call. No key is needed: the call's id is the access token, once "
        "recording was enabled by `POST /credits/recording/enable`.",
        "responses": {
            "200": {
                "description": "The audio, with the name `recording-{call_id}.wav`",
                "content": {"audio/wav": {"schema": {"type": "string", "contentMediaType": "audio/wav"}}},
            },
            "206": {"description": "The ranges that were asked for"},
            "304": {"description": "It has not changed"},
            "412": {"description": "It is not what the client thinks"},
            "416": {"description": "There is no such range"},
            **schemas.HOT_FAILURES,
        },
    },
)
