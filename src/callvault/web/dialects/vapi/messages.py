"""What Vapi's servers are told: the end of a call, its artifacts, and what became of a deletion."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Final

from callvault.domain.access import Action
from callvault.domain.call import Call
from callvault.domain.errors import PassingFault
from callvault.domain.event import Event
from callvault.domain.ids import Json
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.webhook import BODY_LIMIT, WebhookEndpoint
from callvault.services.house import Services
from callvault.services.webhooks.dialects import MessageForm, Rendering, owner_of
from callvault.web.dialects.vapi.schemas import CallParts, artifact_json, call_json
from callvault.web.dialects.vapi.writing import parts_of, wanted

REPORT: Final = "end-of-call-report"
UPLOAD: Final = "call.artifact.upload"
MESSAGES: Final = {
    "call.ended": REPORT,
    "recording.completed": UPLOAD,
    "recording.failed": UPLOAD,
    "call.deleted": "call.deleted",
    "call.deleteFailed": "call.delete.failed",
}
"""Our events, and which message each of them is."""
UPLOADS: Final = {
    "mono-recording": "recording-mono",
    "stereo-recording": "recording-stereo",
    "assistant-recording": "recording-assistant",
    "customer-recording": "recording-customer",
    "call-logs": "log",
    "pcap": "pcap",
}
SOUND: Final = ("recording-mono", "recording-stereo")
SHARED: Final = ("endedReason", "startedAt", "endedAt", "analysis")
"""What a report tells itself and its call as well."""
BULKY: Final = ("messagesOpenAIFormatted", "messages")
"""What a report that would be too long goes without, in this order, before its transcript is cut."""


ENTRY_BYTES: Final = 20
"""No message of either kind is told in fewer."""


class SoundStillComing(PassingFault):
    """the call is over and the last of its sound is not there yet"""

    code = "sound_still_coming"


def form(services: Services, public_url: str) -> MessageForm:
    async def render(event: Event, endpoint: WebhookEndpoint) -> Rendering | None:
        message = await Message(services, public_url, event, endpoint).facts()
        return None if message is None else Rendering(await asyncio.to_thread(fitting, message))

    return MessageForm("vapi", ("vapi",), lambda event: event.type in MESSAGES, render)


class Message:
    """Of one event to one endpoint, which is told what its owner may read."""

    def __init__(self, services: Services, public_url: str, event: Event, endpoint: WebhookEndpoint) -> None:
        self._services, self._public_url, self._event, self._endpoint = services, public_url, event, endpoint

    async def facts(self) -> dict[str, Json] | None:
        kind = MESSAGES[self._event.type]
        call = await self._call()
        if kind in (REPORT, UPLOAD):
            if call is None or call.deleted_ms is not None:
                return None
            return await (self._report(call) if kind == REPORT else self._upload(call))
        about: dict[str, Json] = _identified(call_json(CallParts(call))) if call else {"id": self._event.call_id}
        reason = self._event.data.get("reason")
        return {**self._head(kind), "call": about, **({"reason": reason} if reason else {})}

    async def _call(self) -> Call | None:
        """None also for one that is nothing to the endpoint: anybody's may have been named in a deletion that could not
        be done."""
        call = await self._services.store.get(Call, self._event.call_id) if self._event.call_id else None
        if call is None or call.workspace_id != self._endpoint.workspace_id:
            return None
        return call if call.readers is None or self._endpoint.member_id in call.readers else None

    async def _report(self, call: Call) -> dict[str, Json]:
        query = Query(Recording).where("call_id", "=", call.id).where("deleted_ms", "is null").by("created_ms", "id")
        originals = [version for version in await self._services.store.find(query) if version.operation is None]
        if any(version.in_progress or version.status == "processing" for version in originals):
            raise SoundStillComing
        owner = await owner_of(self._services.access, self._endpoint)
        if not self._services.access.may(owner, Action.READ_CALL, call):
            about = _identified(call_json(CallParts(call)))
            return {**self._head(REPORT), "analysis": {}, "artifact": {}, "call": about}
        [parts] = await parts_of(self._services, owner, [call], self._public_url)
        if not self._public_url:
            # Nobody has said where we can be reached, so that there is no URL to tell.
            parts = CallParts(call, parts.turns)
        return await asyncio.to_thread(self._reported, parts)

    def _reported(self, parts: CallParts) -> dict[str, Json]:
        whole = call_json(parts)
        shared: dict[str, Json] = {"analysis": {}, **{name: whole[name] for name in SHARED if name in whole}}
        about = {name: value for name, value in whole.items() if name not in ("artifact", "messages", "analysis")}
        return {**self._head(REPORT), **shared, "artifact": artifact_json(parts), "call": about}

    async def _upload(self, call: Call) -> dict[str, Json] | None:
        recording = await self._services.store.get(Recording, self._event.recording_id)
        if recording is None or recording.operation is not None:
            return None
        asked = {wanted(name, recording.format): kind for name, kind in UPLOADS.items()}
        [(_, found, _)] = await self._services.delivery.desk.there([(recording, [*asked])]) or [(recording, [], None)]
        there = {asked[one] for one in found}
        kinds = [kind for kind in UPLOADS.values() if kind in there or (kind in SOUND and not there)]
        told: list[Json] = [{"type": kind, "success": kind in there} for kind in kinds]
        return {**self._head(UPLOAD), "artifacts": told, "call": _identified(call_json(CallParts(call)))}

    def _head(self, kind: str) -> dict[str, Json]:
        return {"type": kind, "timestamp": self._event.created_ms}


def fitting(message: dict[str, Json]) -> bytes:
    """The message under the size that is ever sent: without what can be had from the call itself, if need be."""
    return next(body for body in map(_body, _ever_shorter(message)) if len(body) < BODY_LIMIT)


def _ever_shorter(message: dict[str, Json]) -> Iterator[dict[str, Json]]:
    artifact = message.get("artifact")
    kept = dict(artifact) if isinstance(artifact, dict) else {}
    if _may_fit(kept):
        yield message
    for name in BULKY:
        kept.pop(name, None)
        if _may_fit(kept):
            yield {**message, "artifact": kept}
    transcript = str(kept.pop("transcript", ""))
    while transcript:
        transcript = transcript[: len(transcript) // 2]
        if len(transcript) < BODY_LIMIT:
            yield {**message, "artifact": {**kept, "transcript": f"{transcript}…"}}
    yield {**message, "artifact": kept}
    for urls in (kept, {}):
        yield {**message, "analysis": {}, "artifact": urls, "call": _identified(message.get("call"))}


def _may_fit(artifact: Mapping[str, Json]) -> bool:
    """So that what is a hundred times too long is not written to see it."""
    entries = [artifact.get(name) for name in BULKY]
    listed = sum(len(each) for each in entries if isinstance(each, list))
    return ENTRY_BYTES * listed + len(str(artifact.get("transcript", ""))) < BODY_LIMIT


def _identified(call: Json) -> dict[str, Json]:
    """Which call it is, and nothing that was said, named or dialled."""
    facts = call if isinstance(call, dict) else {}
    return {name: facts[name] for name in ("id", "orgId", "type", "status") if name in facts}


def _body(message: Mapping[str, Json]) -> bytes:
    return json.dumps({"message": message}, separators=(",", ":"), ensure_ascii=False).encode()
