"""AgentPhone's calls and transcripts, in AgentPhone's spelling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, Field

from callvault.domain.call import UNRECORDED, Call, Turn
from callvault.domain.ids import Json
from callvault.services.callfacts import CallFacts
from callvault.web.mistakes import Proven
from callvault.wire import isotime

SNIPPET: Final = 140
NOTHING: Final = ("",)
"""What no call has: where they have no word for what is asked, nothing is found."""

_STATUSES = {"ended": "completed", "failed": "failed"}
_STATUSES_BACK = {
    "completed": ("ended",),
    "failed": ("failed",),
    "in-progress": ("scheduled", "queued", "ringing", "in-progress", "forwarding"),
}
_TYPES = {"web": ("web",), "pstn": ("inbound", "outbound")}
_ROLES = {"assistant": "agent", "customer": "user"}

Id = Annotated[str, Field(min_length=1, max_length=200)]


class CreateCall(Proven):
    agentId: Id
    toNumber: Annotated[str, Field(min_length=1, max_length=64)]
    fromNumberId: Id | None = None
    initialGreeting: str | None = None
    voice: str | None = None
    systemPrompt: str | None = None
    modelTier: Literal["turbo", "balanced", "max"] | None = None
    variables: dict[str, str | None] | None = None
    callScreeningIdentity: Annotated[str, Field(max_length=100)] | None = None
    callScreeningPurpose: Annotated[str, Field(max_length=300)] | None = None
    disableRecording: bool = False

    def facts(self) -> CallFacts:
        told = {"agentId", "toNumber", "fromNumberId", "disableRecording"}
        return CallFacts(
            direction="outbound",
            assistant_id=self.agentId,
            to_number=self.toNumber,
            phone_number_id=self.fromNumberId,
            metadata=_kept(self.model_dump(exclude=told, exclude_none=True), self.disableRecording),
        )


class CreateWebCall(Proven):
    agentId: Id
    metadata: dict[str, Any] | None = None
    variables: dict[str, str | None] | None = None

    def facts(self) -> CallFacts:
        kept = self.model_dump(exclude={"agentId", "metadata"}, exclude_none=True)
        return CallFacts(
            direction="web",
            kind="web",
            assistant_id=self.agentId,
            metadata={**(self.metadata or {}), **_kept(kept, unrecorded=False)},
        )


class StartedCall(BaseModel):
    id: str
    agentId: str | None
    phoneNumberId: str | None
    fromNumber: str
    toNumber: str
    direction: str
    status: str
    startedAt: str


class WebCall(BaseModel):
    accessToken: str
    callId: str
    agentId: str | None
    expiresInSeconds: int
    streamUrl: str
    """Ours: the websocket that the token opens."""


class CallSummary(StartedCall):
    agentName: str | None
    phoneNumber: str | None
    endedAt: str | None
    durationSeconds: int | None
    lastTranscriptSnippet: str | None
    recordingUrl: str | None
    recordingAvailable: bool


class Exchange(BaseModel):
    """What the user said, with the agent's answer to it."""

    id: str
    transcript: str
    confidence: float | None
    response: str | None
    createdAt: str


class CallDetail(CallSummary):
    transcripts: list[Exchange]


class CallPage(BaseModel):
    data: list[CallSummary]
    hasMore: bool
    total: int


class SaidTurn(BaseModel):
    role: str
    content: str
    createdAt: str


class Transcript(BaseModel):
    callId: str
    transcript: list[SaidTurn]


class Connected(BaseModel):
    callId: str
    agentId: str | None
    direction: str
    fromNumber: str
    toNumber: str
    status: str


class Ended(BaseModel):
    callId: str
    status: str
    endedAt: str | None
    durationSeconds: int | None


class RecordingSetting(BaseModel):
    """Nobody publishes what `/credits/recording/enable` answers: this is its only place."""

    recordingEnabled: bool


class ErrorFacts(BaseModel):
    message: str
    code: str
    type: str
    details: list[Any]


class Failure(BaseModel):
    detail: str
    error: ErrorFacts


FAILURES: Final[dict[int | str, dict[str, Any]]] = {
    code: {"model": Failure} for code in (400, 401, 403, 404, 405, 409, 413, 429, 503)
}
HOT_FAILURES: Final = {
    code: {
        "description": why,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
    }
    for code, why in (("401", "No valid key"), ("403", "The key may not do this"), ("404", "There is no such thing"))
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a call is told with, beyond its own facts."""

    recording_available: bool = False
    recording_url: str | None = None
    last_said: str | None = None


def statuses(name: str | None) -> tuple[str, ...]:
    return _STATUSES_BACK.get(name, NOTHING) if name else ()


def directions(direction: str | None, type_name: str | None) -> tuple[str, ...]:
    """Those that are both of this direction and of this type."""
    of_type = _TYPES.get(type_name, NOTHING) if type_name else ()
    if not direction:
        return of_type
    return (direction,) if not of_type or direction in of_type else NOTHING


def started_of(call: Call) -> StartedCall:
    return StartedCall(**_started(call))


def summary_of(call: Call, told: Told) -> CallSummary:
    return CallSummary(**_started(call), **_summary(call, told))


def detail_of(call: Call, told: Told, turns: Sequence[Turn]) -> CallDetail:
    return CallDetail(**_started(call), **_summary(call, told), transcripts=exchanges_of(call, turns))


def turn_of(call: Call, turn: Turn) -> SaidTurn:
    return SaidTurn(role=_ROLES.get(turn.role, turn.role), content=turn.content, createdAt=_said_at(call, turn))


def connected_of(call: Call) -> Connected:
    facts = _started(call)
    names = ("agentId", "direction", "fromNumber", "toNumber", "status")
    return Connected(callId=call.public_id, **{name: facts[name] for name in names})


def ended_of(call: Call) -> Ended:
    return Ended(
        callId=call.public_id,
        status=status_of(call),
        endedAt=isotime.maybe(call.ended_ms),
        durationSeconds=duration_seconds(call),
    )


def status_of(call: Call) -> str:
    return _STATUSES.get(call.status, "in-progress")


def duration_seconds(call: Call) -> int | None:
    return None if call.ended_ms is None else max(0, (call.ended_ms - began_ms(call)) // 1000)


def began_ms(call: Call) -> int:
    return call.created_ms if call.started_ms is None else call.started_ms


def exchanges_of(call: Call, turns: Sequence[Turn]) -> list[Exchange]:
    """As the API pairs them; what the agent said unasked answers nothing."""
    exchanges: list[Exchange] = []
    for turn in turns:
        is_agent, last = turn.role == "assistant", exchanges[-1] if exchanges else None
        if is_agent and last is not None and last.response is None:
            last.response = turn.content
            continue
        exchange = Exchange(
            id=f"tr_{turn.id}",
            transcript="" if is_agent else turn.content,
            confidence=None if is_agent else turn.confidence,
            response=turn.content if is_agent else None,
            createdAt=_said_at(call, turn),
        )
        exchanges.append(exchange)
    return exchanges


def _started(call: Call) -> dict[str, Any]:
    return {
        "id": call.public_id,
        "agentId": call.assistant_id,
        "phoneNumberId": call.phone_number_id,
        "fromNumber": call.from_number or "",
        "toNumber": call.to_number or "",
        "direction": call.direction,
        "status": status_of(call),
        "startedAt": isotime.serialize(began_ms(call)),
    }


def _summary(call: Call, told: Told) -> dict[str, Any]:
    return {
        "agentName": call.assistant_name,
        "phoneNumber": call.phone_number,
        "endedAt": isotime.maybe(call.ended_ms),
        "durationSeconds": duration_seconds(call),
        "lastTranscriptSnippet": told.last_said[:SNIPPET] if told.last_said else None,
        "recordingUrl": told.recording_url,
        "recordingAvailable": told.recording_available,
    }


def _said_at(call: Call, turn: Turn) -> str:
    return isotime.serialize(began_ms(call) + turn.start_ms)


def _kept(asked: dict[str, Any], unrecorded: bool) -> dict[str, Json]:
    """What has no meaning here is kept as it came."""
    return {
        **({"agentphone": cast(Json, asked)} if asked else {}),
        **({UNRECORDED: True} if unrecorded else {}),
    }
