"""OSVI's calls and envelopes, in OSVI's spelling."""

from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from callvault.domain.call import Call, Turn
from callvault.wire import isotime

RECORDING_SECONDS: Final = 900
"""How long a recording's URL lives: the number that the API promises."""

STATUSES: Final = {
    "scheduled": ("scheduled",),
    "queued": ("queued",),
    "ringing": ("ringing",),
    "in_progress": ("in-progress", "forwarding"),
    "completed": ("ended",),
    "failed": ("failed",),
}
"""Their words for a call's status, and ours behind each."""

_STATUS_OF = {ours: theirs for theirs, many in STATUSES.items() for ours in many}
_ROLES = {"assistant": "agent", "customer": "user"}

T = TypeVar("T")


class Success(BaseModel, Generic[T]):
    success: bool = True
    data: T


class PageMeta(BaseModel):
    current_page: int
    total_pages: int
    total_count: int
    per_page: int


class CallSummary(BaseModel):
    call_id: str
    agent_uuid: str | None
    agent_name: str | None
    phone_number: str | None
    from_number: str | None
    status: str
    call_type: str
    duration_seconds: int
    call_ended_by: Any = None
    call_ended_reason: str | None
    tag: Any = None
    created_at: str
    call_picked_at: str | None


class CallAnalysis(BaseModel):
    sentiment: Any = None
    callback_required: bool = False


class CallDetail(CallSummary):
    caller_name: str | None
    retry_count: Any = 0
    summary: Any = None
    data_captured: dict[str, Any]
    post_call_analysis: CallAnalysis


class CallPage(Success[list[CallSummary]]):
    meta: PageMeta


class TranscriptTurn(BaseModel):
    """Nobody publishes the fields of a turn: these are ours, and this is their only place."""

    role: str
    content: str
    start_seconds: float
    end_seconds: float | None


class Transcript(BaseModel):
    call_id: str
    transcript: list[TranscriptTurn]


class RecordingUrl(BaseModel):
    call_id: str
    recording_url: str
    expires_in_seconds: int


class ActiveAgent(BaseModel):
    agent_id: str
    name: str
    status: str = "active"


class Failure(BaseModel):
    success: bool = False
    error: str
    details: dict[str, Any] | None = None


def page_of(calls: Sequence[Call], page: int, per_page: int, total: int) -> CallPage:
    meta = PageMeta(current_page=page, total_pages=-(-total // per_page), total_count=total, per_page=per_page)
    return CallPage(data=[CallSummary(**_summary(call)) for call in calls], meta=meta)


def detail_of(call: Call) -> CallDetail:
    found = call.analysis
    captured = found.get("structuredData")
    caller = next((person.name for person in call.participants if person.role == "customer"), "")
    return CallDetail(
        **_summary(call),
        caller_name=caller or None,
        retry_count=call.metadata.get("retryCount", 0),
        summary=found.get("summary"),
        data_captured=captured if isinstance(captured, dict) else {},
        post_call_analysis=CallAnalysis(
            sentiment=found.get("sentiment"), callback_required=bool(found.get("callbackRequired"))
        ),
    )


def recording_of(call_id: str, url: str, seconds: int) -> dict[str, Any]:
    """As a `Success[RecordingUrl]`."""
    return {"success": True, "data": {"call_id": call_id, "recording_url": url, "expires_in_seconds": seconds}}


def _summary(call: Call) -> dict[str, Any]:
    started = call.started_ms
    talked_ms = call.ended_ms - started if started is not None and call.ended_ms is not None else 0
    return {
        "call_id": call.id,
        "agent_uuid": call.assistant_id,
        "agent_name": call.assistant_name,
        "phone_number": call.to_number if call.direction == "outbound" else call.from_number,
        "from_number": call.from_number,
        "status": _STATUS_OF[call.status],
        "call_type": call.direction,
        "duration_seconds": max(0, talked_ms) // 1000,
        "call_ended_by": call.metadata.get("endedBy"),
        "call_ended_reason": call.ended_reason,
        "tag": call.metadata.get("tag"),
        "created_at": isotime.serialize(call.created_ms),
        "call_picked_at": isotime.maybe(started),
    }


def turn_of(turn: Turn) -> TranscriptTurn:
    return TranscriptTurn(
        role=_ROLES.get(turn.role, turn.role),
        content=turn.content,
        start_seconds=turn.start_ms / 1000,
        end_seconds=None if turn.end_ms is None else turn.end_ms / 1000,
    )
