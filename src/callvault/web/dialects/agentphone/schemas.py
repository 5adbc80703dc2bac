"""AgentPhone's calls and transcripts, in AgentPhone's spelling."""

from collections.abc import Sequence
from dataclasses import dataclass

from callvault.domain.call import Call, Turn
from callvault.domain.ids import Json
from callvault.wire import isotime

SNIPPET = 140

_STATUSES = {"ended": "completed", "failed": "failed"}
_STATUSES_BACK = {
    "completed": ("ended",),
    "failed": ("failed",),
    "in-progress": ("scheduled", "queued", "ringing", "in-progress", "forwarding"),
}
_TYPES = {"web": ("web",), "pstn": ("inbound", "outbound")}
_ROLES = {"assistant": "agent", "customer": "user"}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a call's summary is written from."""

    call: Call
    recording_available: bool = False
    recording_url: str | None = None
    last_said: str | None = None


def statuses(name: str) -> tuple[str, ...]:
    return _STATUSES_BACK.get(name, ())


def directions(type_name: str) -> tuple[str, ...]:
    return _TYPES.get(type_name, ())


def call_summary(summary: Summary) -> dict[str, Json]:
    call = summary.call
    started = call.created_ms if call.started_ms is None else call.started_ms
    return {
        "id": call.public_id,
        "agentId": call.assistant_id,
        "agentName": call.assistant_name,
        "phoneNumberId": call.phone_number_id,
        "phoneNumber": call.phone_number,
        "fromNumber": call.from_number or "",
        "toNumber": call.to_number or "",
        "direction": call.direction,
        "status": _STATUSES.get(call.status, "in-progress"),
        "startedAt": isotime.serialize(started),
        "endedAt": isotime.maybe(call.ended_ms),
        "durationSeconds": duration_seconds(call),
        "lastTranscriptSnippet": summary.last_said[:SNIPPET] if summary.last_said else None,
        "recordingUrl": summary.recording_url,
        "recordingAvailable": summary.recording_available,
    }


def duration_seconds(call: Call) -> int | None:
    started = call.created_ms if call.started_ms is None else call.started_ms
    return None if call.ended_ms is None else max(0, (call.ended_ms - started) // 1000)


def call_detail(summary: Summary, turns: Sequence[Turn]) -> dict[str, Json]:
    return {**call_summary(summary), "transcripts": _exchanges(summary.call, turns)}


def transcript(call: Call, turns: Sequence[Turn]) -> dict[str, Json]:
    return {"callId": call.public_id, "transcript": [turn_json(call, turn) for turn in turns]}


def turn_json(call: Call, turn: Turn) -> dict[str, Json]:
    return {
        "role": _ROLES.get(turn.role, turn.role),
        "content": turn.content,
        "createdAt": isotime.serialize(_said_ms(call, turn)),
    }


def page(summaries: Sequence[Summary], total: int, offset: int) -> dict[str, Json]:
    return {
        "data": [call_summary(summary) for summary in summaries],
        "hasMore": offset + len(summaries) < total,
        "total": total,
    }


def _exchanges(call: Call, turns: Sequence[Turn]) -> list[Json]:
    """What the caller said, each with the agent's answer to it, as the API pairs them."""
    exchanges: list[Json] = []
    for here, following in zip(turns, (*turns[1:], None), strict=True):
        if here.role == "assistant":
            continue
        answered = following is not None and following.role == "assistant"
        exchanges.append(
            {
                "id": f"tr_{here.id}",
                "transcript": here.content,
                "confidence": here.confidence,
                "response": following.content if following is not None and answered else None,
                "createdAt": isotime.serialize(_said_ms(call, here)),
            }
        )
    return exchanges


def _said_ms(call: Call, turn: Turn) -> int:
    return (call.created_ms if call.started_ms is None else call.started_ms) + turn.start_ms
