"""Gathers what a Vapi Call is written from: its turns, and the URLs of the artifacts that exist."""

from typing import Final

from callvault.domain.access import Action, Thing
from callvault.domain.call import Call
from callvault.domain.errors import Missing, RecordingInProgress, Refused
from callvault.domain.ids import Json
from callvault.domain.recording import Recording
from callvault.services.delivery.desk import Wanted
from callvault.web.dialects.vapi.schemas import ARTIFACTS, CallParts, call_json
from callvault.web.visit import Visit

PRESIGNED_SECONDS: Final = 3600
SOUND: Final = frozenset({"mono", "stereo", "customer", "assistant"})
NOT_TO_HEAR: Final = (Missing, Refused, RecordingInProgress)


def wanted(what: str) -> Wanted:
    """A view in the format of the call's plan, or an artifact."""
    return Wanted(view=what) if what in SOUND else Wanted(artifact=what)


async def written(visit: Visit, call: Call) -> dict[str, Json]:
    """The whole Call, with URLs minted for this very answer."""
    services, caller = visit.services, visit.caller
    turns = await services.transcripts.of(caller, call)
    try:
        services.access.require(caller, Action.LISTEN, Thing.of_call(call), f"call:{call.id}")
        recording = await services.recordings.heard_of(caller, call)
    except NOT_TO_HEAR:
        return call_json(CallParts(call, turns))
    plain, presigned, until = {}, {}, None
    for name, what in ARTIFACTS.items():
        url = await _presigned(visit, recording, what)
        if url:
            plain[name] = f"{visit.base_url}/call/{call.id}/{name}"
            presigned[name], until = url
    return call_json(CallParts(call, turns, plain, presigned, until))


async def _presigned(visit: Visit, recording: Recording, what: str) -> tuple[str, int] | None:
    asked = wanted(what)
    try:
        link = await visit.services.delivery.links.secure_url(
            visit.caller,
            recording,
            view=asked.view,
            artifact=asked.artifact,
            seconds=PRESIGNED_SECONDS,
            attachment=True,
            action=Action.LISTEN,
            base_url=visit.base_url,
        )
    except NOT_TO_HEAR:
        return None
    return link.url, link.expires_ms
