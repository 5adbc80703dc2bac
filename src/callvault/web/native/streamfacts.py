"""What a live stream's first message tells of its call, and which recording its sound belongs to."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import ValidationError

from callvault.domain.access import Action, Caller
from callvault.domain.errors import AlreadyThere, Malformed, Missing
from callvault.domain.ids import Json
from callvault.domain.recording import Recording
from callvault.services.callfacts import CallFacts
from callvault.services.house import Services
from callvault.services.ingest.live import SIDES
from callvault.services.recordings import RecordingFacts
from callvault.web.native.callschemas import CallIn
from callvault.wire.mediastream import Start

KEYS = ("token", "key", "apiKey")
TEXTS = {
    "from": "from_number",
    "to": "to_number",
    "kind": "kind",
    "name": "name",
    "assistantId": "assistant_id",
    "assistantName": "assistant_name",
    "phoneNumberId": "phone_number_id",
    "phoneNumber": "phone_number",
}
DIRECTIONS = ("inbound", "outbound", "web")
LANES = {"inboundLane": "inbound", "outboundLane": "outbound"}
OURS = ("recordingId", "callId", "call", "direction", "tags")
OWN_CALL_ID = ("jambonz",)
"""Those whose `callId` is SIP's Call-ID, unless the application put one of ours in its place."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    recording_id: str | None
    call_id: str | None
    """The call that is meant, if it is there."""
    new_call_id: str | None
    """Which id it shall have if it is not, nor one of the sender's own id: sound goes there rather than nowhere."""
    external_id: tuple[str, str] | None
    """The sender's system and its id of the call: a stream that comes again finds the call by it."""
    call: CallFacts
    recording: RecordingFacts
    lanes: Mapping[str, str]

    def of_call(self, call_id: str) -> "StreamFacts":
        """Of this call, whatever else was told."""
        return replace(
            self, recording_id=None, call_id=call_id, new_call_id=call_id, external_id=None, call=CallFacts()
        )


def key_of(start: Start) -> str | None:
    return next((start.parameters[name] for name in KEYS if start.parameters.get(name)), None)


def facts_of(start: Start) -> StreamFacts:
    told = start.parameters
    external_id = (start.dialect, start.call_id) if start.call_id else None
    tags = tuple(dict.fromkeys(tag.strip() for tag in told.get("tags", "").split(",") if tag.strip()))
    lanes = {track: told[name] for name, track in LANES.items() if told.get(name)}
    call_id = told.get("callId") or None
    return StreamFacts(
        recording_id=told.get("recordingId") or None,
        call_id=call_id,
        new_call_id=None if start.dialect in OWN_CALL_ID else call_id,
        external_id=external_id,
        call=_call(start, external_id),
        recording=RecordingFacts(tags=tags),
        lanes={**SIDES, **lanes},
    )


def _call(start: Start, external_id: tuple[str, str] | None) -> CallFacts:
    told = start.parameters
    facts: dict[str, Any] = {**_whole_call(told.get("call"))}
    numbers = {"from_number": start.from_number, "to_number": start.to_number}
    facts |= {name: number for name, number in numbers.items() if number}
    facts |= {TEXTS[name]: value for name, value in told.items() if name in TEXTS}
    direction = told.get("direction") or start.direction
    if direction in DIRECTIONS:
        facts["direction"] = direction
    known = {*TEXTS, *LANES, *OURS, *KEYS} - ({"callId"} if start.dialect in OWN_CALL_ID else set())
    unknown: dict[str, Json] = {name: value for name, value in told.items() if name not in known}
    facts["metadata"] = {**facts.get("metadata", {}), **unknown}
    if external_id:
        facts["external_ids"] = {**facts.get("external_ids", {}), external_id[0]: external_id[1]}
    return cast(CallFacts, facts)


def _whole_call(text: str | None) -> CallFacts:
    """The parameter `call`: all that POST /recordings takes, as JSON."""
    if not text:
        return CallFacts()
    try:
        return CallIn.model_validate_json(text).facts()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Malformed(what="the parameter call", why=f"{where or 'it'}: {first['msg']}") from None


async def recording_of(services: Services, caller: Caller, facts: StreamFacts) -> Recording:
    """The one that was named, the one of its call that still takes in sound, or a new one."""
    if facts.recording_id:
        return await services.recordings.retrieve(caller, facts.recording_id, Action.WRITE_SOUND)
    for attempt in ("first", "again"):
        call_id = await _known_call(services, caller, facts)
        if call_id and (open_one := await _open_recording(services, caller, call_id)):
            return open_one
        try:
            made = await services.recordings.create(
                caller, call_id or facts.call, facts.recording, call_id=None if call_id else facts.new_call_id
            )
        except AlreadyThere:
            # The call's other track was quicker.
            if attempt == "again":
                raise
            continue
        return made.recording
    raise AlreadyThere(what="call")


async def _known_call(services: Services, caller: Caller, facts: StreamFacts) -> str | None:
    if facts.call_id:
        with suppress(Missing):
            return (await services.calls.by_id(caller, facts.call_id, Action.WRITE_SOUND)).id
    if facts.external_id:
        with suppress(Missing):
            return (await services.calls.by_external_id(caller, *facts.external_id, Action.WRITE_SOUND)).id
    return None


async def _open_recording(services: Services, caller: Caller, call_id: str) -> Recording | None:
    versions = await services.recordings.versions(caller, call_id, Action.WRITE_SOUND)
    return next((recording for recording in versions if recording.in_progress), None)
