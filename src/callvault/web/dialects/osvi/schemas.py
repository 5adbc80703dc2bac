"""OSVI's calls and envelopes, in OSVI's spelling."""

from collections.abc import Sequence

from callvault.domain.call import Call, Turn
from callvault.domain.ids import Json
from callvault.wire import isotime

RECORDING_SECONDS = 900
"""How long a recording's URL lives: the number that the API promises."""

_STATUSES = {
    "scheduled": "scheduled",
    "queued": "queued",
    "ringing": "ringing",
    "in-progress": "in_progress",
    "forwarding": "in_progress",
    "ended": "completed",
    "failed": "failed",
}
_STATUSES_BACK = {
    "scheduled": ("scheduled",),
    "queued": ("queued",),
    "ringing": ("ringing",),
    "in_progress": ("in-progress", "forwarding"),
    "completed": ("ended",),
    "failed": ("failed",),
}


def success(data: Json, meta: dict[str, Json] | None = None) -> dict[str, Json]:
    return {"success": True, "data": data} if meta is None else {"success": True, "data": data, "meta": meta}


def page_meta(page: int, per_page: int, total: int) -> dict[str, Json]:
    return {
        "current_page": page,
        "total_pages": -(-total // per_page),
        "total_count": total,
        "per_page": per_page,
    }


def statuses(name: str) -> tuple[str, ...]:
    """Our statuses behind one of theirs; none for a word that is not theirs, so that nothing matches."""
    return _STATUSES_BACK.get(name, ())


def call_summary(call: Call) -> dict[str, Json]:
    started = call.started_ms
    duration = (call.ended_ms - started) // 1000 if started is not None and call.ended_ms is not None else 0
    return {
        "call_id": call.id,
        "agent_uuid": call.assistant_id,
        "agent_name": call.assistant_name,
        "phone_number": call.to_number if call.direction == "outbound" else call.from_number,
        "from_number": call.from_number,
        "status": _STATUSES[call.status],
        "call_type": call.direction,
        "duration_seconds": max(0, duration),
        "call_ended_by": call.metadata.get("endedBy"),
        "call_ended_reason": call.ended_reason,
        "tag": call.metadata.get("tag"),
        "created_at": isotime.serialize(call.created_ms),
        "call_picked_at": isotime.maybe(started),
    }


def call_detail(call: Call) -> dict[str, Json]:
    found = call.analysis
    caller = next((person.name for person in call.participants if person.role == "customer"), "")
    return {
        **call_summary(call),
        "caller_name": caller or None,
        "retry_count": call.metadata.get("retryCount", 0),
        "summary": found.get("summary"),
        "data_captured": found.get("structuredData") or {},
        "post_call_analysis": {
            "sentiment": found.get("sentiment"),
            "callback_required": bool(found.get("callbackRequired", False)),
        },
    }


def transcript(call: Call, turns: Sequence[Turn]) -> dict[str, Json]:
    return {"call_id": call.id, "transcript": [_turn(turn) for turn in turns]}


def _turn(turn: Turn) -> dict[str, Json]:
    return {
        "role": {"assistant": "agent", "customer": "user"}.get(turn.role, turn.role),
        "content": turn.content,
        "start_seconds": turn.start_ms / 1000,
        "end_seconds": None if turn.end_ms is None else turn.end_ms / 1000,
    }


def recording(call_id: str, url: str) -> dict[str, Json]:
    return {"call_id": call_id, "recording_url": url, "expires_in_seconds": RECORDING_SECONDS}


def active_agent(agent_id: str, name: str | None) -> dict[str, Json]:
    return {"agent_id": agent_id, "name": name or agent_id, "status": "active"}
