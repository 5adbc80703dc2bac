"""Vapi's Call and its parts, in Vapi's spelling."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from callvault.domain.call import Call, Participant, Turn
from callvault.domain.ids import Json
from callvault.web.responses import json_pieces
from callvault.wire import isotime

ARTIFACTS = {
    "mono-recording": "mono",
    "stereo-recording": "stereo",
    "customer-recording": "customer",
    "assistant-recording": "assistant",
    "video-recording": "video",
    "pcap": "pcap",
    "call-logs": "call-logs",
}
"""Vapi's artifact endpoints, and the view or the artifact that each of them hands out."""

MP3: Final = "mp3"

_PRESIGNED = {
    "mono-recording": "presignedMonoUrl",
    "stereo-recording": "presignedStereoUrl",
    "video-recording": "presignedVideoUrl",
    "assistant-recording": "presignedAssistantUrl",
    "customer-recording": "presignedCustomerUrl",
    "pcap": "presignedPcapUrl",
    "call-logs": "presignedLogUrl",
}
_TYPES = {"inbound": "inboundPhoneCall", "outbound": "outboundPhoneCall", "web": "webCall"}
_DIRECTIONS = {name: direction for direction, name in _TYPES.items()} | {"vapi.websocketCall": "web"}
_STATUSES = {"failed": "ended"}
_ROLES = {"customer": "user", "assistant": "bot"}
_OPENAI_ROLES = {"customer": "user", "assistant": "assistant"}
_PLAN: dict[str, Json] = {
    "recordingEnabled": True,
    "recordingFormat": "wav;l16",
    "videoRecordingEnabled": False,
    "pcapEnabled": True,
    "loggingEnabled": True,
}
_KEEPING = {"videoRecordingEnabled": "video", "loggingEnabled": "call-logs", "pcapEnabled": "pcap"}
"""What of a plan is about which kind of artifact."""
_TRANSCRIPT_PLAN: dict[str, Json] = {"enabled": True, "assistantName": "AI", "userName": "User"}
_OPAQUE = (
    "type",
    "phoneCallProvider",
    "assistantOverrides",
    "customer",
    "customerId",
    "compliance",
    "cost",
    "costs",
    "schedulePlan",
)
"""What a client told at creation that has no meaning here: kept as it came, given back as it was."""


@dataclass(frozen=True, slots=True)
class CallParts:
    """All that a Call is written from."""

    call: Call
    turns: Sequence[Turn] = ()
    plain: Mapping[str, str] = field(default_factory=dict)
    """Stable URLs of the artifacts that exist, by endpoint: they need the key."""
    presigned: Mapping[str, str] = field(default_factory=dict)
    """Fresh signed URLs of the same."""
    presigned_until_ms: int | None = None
    video_start: Json = None
    """Seconds after the start of the call, where that is known."""
    listen_url: str | None = None


Listed = Callable[[Iterator[Json]], Any]


def call_pieces(parts: CallParts) -> Iterator[bytes]:
    """The same as JSON, of which every turn is made when it is its turn: thousands are told three times each."""
    return json_pieces(call_json(parts, lambda entries: entries))


def call_json(parts: CallParts, listed: Listed = list) -> dict[str, Json]:
    call = parts.call
    kept = _kept(call)
    body: dict[str, Json] = {
        "id": call.id,
        "orgId": call.workspace_id,
        "createdAt": isotime.serialize(call.created_ms),
        "updatedAt": isotime.serialize(call.updated_ms),
        "type": _TYPES.get(call.direction, "inboundPhoneCall"),
        "status": _STATUSES.get(call.status, call.status),
        "endedReason": call.ended_reason,
        "startedAt": isotime.maybe(call.started_ms),
        "endedAt": isotime.maybe(call.ended_ms),
        "name": call.name,
        "assistantId": call.assistant_id,
        "phoneNumberId": call.phone_number_id,
        "customer": _customer(call, kept),
        "messages": listed(_message(call, turn) for turn in parts.turns),
        "analysis": {k: call.analysis[k] for k in _ANALYSIS if k in call.analysis} or None,
        "monitor": {"listenUrl": parts.listen_url} if parts.listen_url else None,
        **{k: v for k, v in kept.items() if k != "customer"},
        "artifactPlan": _plan(kept),
        "artifact": artifact_json(parts, listed),
    }
    return {name: value for name, value in body.items() if value is not None}


_ANALYSIS = ("summary", "structuredData", "structuredDataMulti", "successEvaluation")


def artifact_json(parts: CallParts, listed: Listed = list) -> dict[str, Json]:
    plain = parts.plain
    body: dict[str, Json] = {
        "messages": listed(_message(parts.call, turn) for turn in parts.turns),
        "messagesOpenAIFormatted": listed(_openai_message(turn) for turn in parts.turns),
        "transcript": _transcript(parts.call, parts.turns),
        "recording": _recording(plain, parts.video_start),
        "recordingUrl": plain.get("mono-recording"),
        "stereoRecordingUrl": plain.get("stereo-recording"),
        "videoRecordingUrl": plain.get("video-recording"),
        "pcapUrl": plain.get("pcap"),
        "logUrl": plain.get("call-logs"),
        **{_PRESIGNED[name]: url for name, url in parts.presigned.items()},
        "presignedUrlsExpiresAt": isotime.maybe(parts.presigned_until_ms) if parts.presigned else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _transcript(call: Call, turns: Sequence[Turn]) -> str | None:
    """`AI: …` and `User: …`, a line a turn, under the names that the call's plan gives them; None where it wants
    none."""
    plan = _transcript_plan(_kept(call).get("artifactPlan"))
    if plan["enabled"] is False:
        return None
    speakers = {"customer": plan["userName"], "assistant": plan["assistantName"]}
    return "".join(f"{speakers.get(turn.role, turn.role)}: {turn.content}\n" for turn in turns)


def direction_of(type_name: str | None) -> str:
    return _DIRECTIONS.get(type_name or "", "outbound")


def wants_recording(request: Mapping[str, Json]) -> bool:
    return _plan(kept_of(request))["recordingEnabled"] is not False


def wants_mp3(request: Mapping[str, Json]) -> bool:
    """Instead of `wav;l16`."""
    return _plan(kept_of(request))["recordingFormat"] == MP3


def unwanted_artifacts(request: Mapping[str, Json]) -> list[Json]:
    """Those that the plan says no to. Who brings a video of which it says nothing wants it kept, though Vapi would have
    made none."""
    plan = kept_of(request).get("artifactPlan")
    return [kind for name, kind in _KEEPING.items() if isinstance(plan, dict) and plan.get(name) is False]


def kept_of(request: Mapping[str, Json]) -> dict[str, Json]:
    """What of a request to create a call is kept as it came, and given back."""
    kept = {name: request[name] for name in _OPAQUE if request.get(name) is not None}
    if not isinstance(kind := kept.get("type"), str) or kind not in _DIRECTIONS:
        kept.pop("type", None)
    if plan := _asked_plan(request):
        kept["artifactPlan"] = plan
    return kept


def _kept(call: Call) -> dict[str, Json]:
    kept = call.metadata.get("vapi")
    return kept_of(kept) if isinstance(kept, dict) else {}


def _asked_plan(request: Mapping[str, Json]) -> dict[str, Json]:
    """What is told of the call itself goes before what is told of its assistant for this call, and that before what is
    told of the assistant."""
    asked: dict[str, Json] = {}
    for told in (request.get("assistant"), request.get("assistantOverrides"), request):
        plan = told.get("artifactPlan") if isinstance(told, Mapping) else None
        if isinstance(plan, Mapping):
            asked.update((name, value) for name, value in plan.items() if value is not None)
    return asked


def _plan(kept: Mapping[str, Json]) -> dict[str, Json]:
    asked = kept.get("artifactPlan")
    told = asked if isinstance(asked, dict) else {}
    return {**_PLAN, **told, "transcriptPlan": _transcript_plan(told)}


def _transcript_plan(plan: Json) -> dict[str, Json]:
    asked = plan.get("transcriptPlan") if isinstance(plan, dict) else None
    told = asked if isinstance(asked, dict) else {}
    return {**_TRANSCRIPT_PLAN, **{name: value for name, value in told.items() if value is not None}}


def _customer(call: Call, kept: Mapping[str, Json]) -> Json:
    told = kept.get("customer")
    if isinstance(told, dict):
        return told
    number = call.to_number if call.direction == "outbound" else call.from_number
    person = next((p for p in call.participants if p.role == "customer"), Participant(id=""))
    facts = {"number": person.number or number, "name": person.name or None, "externalId": person.id or None}
    return {name: value for name, value in facts.items() if value} or None


def _message(call: Call, turn: Turn) -> dict[str, Json]:
    origin = call.started_ms if call.started_ms is not None else call.created_ms
    body: dict[str, Json] = {
        "role": _ROLES.get(turn.role, turn.role),
        "message": turn.content,
        "time": origin + turn.start_ms,
        "endTime": origin + (turn.start_ms if turn.end_ms is None else turn.end_ms),
        "secondsFromStart": turn.start_ms / 1000,
        "duration": None if turn.end_ms is None else turn.end_ms - turn.start_ms,
        "confidence": turn.confidence,
        "confidenceSource": None if turn.confidence is None else "provider",
    }
    return {name: value for name, value in body.items() if value is not None}


def _openai_message(turn: Turn) -> dict[str, Json]:
    return {"role": _OPENAI_ROLES.get(turn.role, "user"), "content": turn.content}


def _recording(plain: Mapping[str, str], video_start: Json) -> Json:
    mono = {
        "combinedUrl": plain.get("mono-recording"),
        "assistantUrl": plain.get("assistant-recording"),
        "customerUrl": plain.get("customer-recording"),
    }
    body: dict[str, Json] = {
        "stereoUrl": plain.get("stereo-recording"),
        "videoUrl": plain.get("video-recording"),
        "videoRecordingStartDelaySeconds": video_start,
        "mono": {name: url for name, url in mono.items() if url} or None,
    }
    return {name: value for name, value in body.items() if value is not None} or None
