"""The seed's actions as operations: those that there are, and the names of those that there are not."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from callvault.domain.errors import Malformed, NotImplementedYet
from callvault.services.actions.merge import MOST
from callvault.web.mistakes import mistakes
from callvault.web.native import actions
from callvault.web.native.describing import told
from callvault.web.native.links import LinkOut, LinkRequest, minted
from callvault.web.native.recordings import begun
from callvault.web.native.recordingschemas import CallRecording, RecordingChanges, RecordingRequest
from callvault.web.native.spelling import Asked, Told
from callvault.web.visit import Visit
from callvault.wire.mediatypes import OF_FORMAT

ACTIONS = (
    "create",
    "retrieve",
    "update",
    "delete",
    "download",
    "generateSecureUrl",
    "transcribe",
    "analyze",
    "redactPII",
    "compress",
    "convert",
    "trim",
    "merge",
    "enhanceQuality",
    "export",
    "share",
)
MAKING = frozenset(ACTIONS) - {"retrieve", "update", "delete", "download", "generateSecureUrl", "export", "share"}
"""Those that an Idempotency-Key is heeded for. The others make no recording, and their answers hold what must not be
kept: signed URLs, and words that may be redacted or deleted by the time that they are told again."""
NAMES = ("id", "recordingId", "recording")
CHANGEABLE = ("tags", "metadata", "expiresAt", "retentionPeriod")
Parameters = Mapping[str, Any]
Operation = Callable[[Visit, Parameters, str], Awaitable[BaseModel]]
"""Is handed an id for what it makes."""
M = TypeVar("M", bound=BaseModel)


class AudioFile(Told):
    """Where the file is to be had, without a key, for a while."""

    recording_id: str
    url: str
    expires_at: float
    format: str
    content_type: str


class Merging(Asked):
    recordings: Annotated[list[actions.Id], Field(min_length=2, max_length=MOST)]


def operation(name: str) -> Operation:
    if name in OPERATIONS:
        return OPERATIONS[name]
    if name in ACTIONS:
        raise NotImplementedYet(what=name)
    raise Malformed(what="operation", why=f"it is one of {', '.join(ACTIONS)}")


async def create(visit: Visit, parameters: Parameters, reserved_id: str) -> CallRecording:
    return await begun(visit, read(RecordingRequest, parameters), reserved_id)


async def retrieve(visit: Visit, parameters: Parameters, _: str) -> CallRecording:
    return await told(visit, await visit.services.recordings.retrieve(visit.caller, recording_id(parameters)))


async def update(visit: Visit, parameters: Parameters, _: str) -> CallRecording:
    """The input is a whole CallRecording: what of it cannot be changed is passed over."""
    changes = read(RecordingChanges, {name: parameters[name] for name in CHANGEABLE if name in parameters})
    changed = await visit.services.recordings.update(visit.caller, recording_id(parameters), changes.facts())
    return await told(visit, changed)


async def delete(visit: Visit, parameters: Parameters, _: str) -> CallRecording:
    return await told(visit, await visit.services.recordings.delete(visit.caller, recording_id(parameters)))


async def download(visit: Visit, parameters: Parameters, _: str) -> AudioFile:
    name = recording_id(parameters)
    recording = await visit.services.recordings.heard(visit.caller, name)
    asked = read(LinkRequest, {"format": recording.format, **_without_id(parameters), "disposition": "attachment"})
    link = await minted(visit, name, asked)
    return AudioFile(
        recording_id=recording.id,
        url=link.url,
        expires_at=link.expires_at,
        format=asked.format,
        content_type=OF_FORMAT[asked.format],
    )


async def generate_secure_url(visit: Visit, parameters: Parameters, _: str) -> LinkOut:
    return await minted(visit, recording_id(parameters), read(LinkRequest, _without_id(parameters)))


async def trim(visit: Visit, parameters: Parameters, version_id: str) -> CallRecording:
    asked = read(actions.TrimRequest, _without_id(parameters))
    return await actions.trimmed(visit, recording_id(parameters), asked, version_id)


async def merge(visit: Visit, parameters: Parameters, version_id: str) -> CallRecording:
    """The recordings, each an id or a CallRecording, in order; behind one that is named as in other operations."""
    first = [recording_id(parameters)] if any(name in parameters for name in NAMES) else []
    listed = parameters.get("recordings")
    others = listed if isinstance(listed, list) else []
    ids = [one.get("id") if isinstance(one, dict) else one for one in others]
    asked = read(Merging, {**_without_id(parameters), "recordings": [*first, *ids]})
    return await actions.merged(visit, asked.recordings, version_id)


async def redact_pii(visit: Visit, parameters: Parameters, version_id: str) -> CallRecording:
    asked = read(actions.RedactionRequest, _without_id(parameters))
    return await actions.redacted(visit, recording_id(parameters), asked, version_id)


async def convert(visit: Visit, parameters: Parameters, version_id: str) -> CallRecording:
    asked = read(actions.ConversionRequest, _without_id(parameters))
    return await actions.converted(visit, recording_id(parameters), asked, version_id)


async def compress(visit: Visit, parameters: Parameters, version_id: str) -> CallRecording:
    asked = read(actions.CompressionRequest, _without_id(parameters))
    return await actions.compressed(visit, recording_id(parameters), asked, version_id)


OPERATIONS: Mapping[str, Operation] = {
    "create": create,
    "retrieve": retrieve,
    "update": update,
    "delete": delete,
    "download": download,
    "generateSecureUrl": generate_secure_url,
    "trim": trim,
    "merge": merge,
    "redactPII": redact_pii,
    "convert": convert,
    "compress": compress,
}


def read(model: type[M], told: Parameters | bytes) -> M:
    """From a whole body, or from its parameters."""
    try:
        return model.model_validate_json(told) if isinstance(told, bytes) else model.model_validate(told)
    except ValidationError as error:
        raise mistakes(error, *([] if isinstance(told, bytes) else ["parameters"])) from None


def _without_id(parameters: Parameters) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in NAMES}


def recording_id(parameters: Parameters) -> str:
    """As `id`, or as `recording`, which is an id or a CallRecording."""
    named = next((parameters[name] for name in NAMES if name in parameters), None)
    named = named.get("id") if isinstance(named, dict) else named
    if not isinstance(named, str):
        raise Malformed(what="parameters", why="they name the recording as id")
    return named
