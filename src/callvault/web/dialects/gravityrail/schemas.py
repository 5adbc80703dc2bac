"""Gravity Rail's chats and recording URLs, in Gravity Rail's spelling."""

from callvault.domain.call import Call
from callvault.domain.ids import Json
from callvault.wire import isotime

DEFAULT_EXPIRES_IN = 3600

_CHANNELS = {"web": "web-chat", "sms": "phone-sms"}
_VOICE = "phone-voice"


def chat(call: Call) -> dict[str, Json]:
    return {
        "id": call.chat_id,
        "title": call.name or call.assistant_name or f"Call {call.chat_id}",
        "channel": _CHANNELS.get(call.kind, _VOICE),
        "kind": call.kind,
        "createdAt": isotime.serialize(call.created_ms),
        "updatedAt": isotime.serialize(call.updated_ms),
    }


def chats(items: list[Call], total: int, page: int, page_size: int) -> dict[str, Json]:
    return {"items": [chat(call) for call in items], "total": total, "page": page, "pageSize": page_size}


def download_url(url: str, expires_in: int, expires_ms: int, filename: str) -> dict[str, Json]:
    """The `CallRecordingDownloadUrlResponse` that the seed names and nobody publishes: this is its only place."""
    return {
        "url": url,
        "expiresIn": expires_in,
        "expiresAt": isotime.serialize(expires_ms),
        "contentType": "audio/wav",
        "filename": filename,
    }
