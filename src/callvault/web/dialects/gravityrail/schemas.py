"""Gravity Rail's chats and recording URLs, in Gravity Rail's spelling."""

from typing import Any, Final

from pydantic import BaseModel

from callvault.domain.call import Call
from callvault.wire import isotime

EXPIRES_IN: Final = 3600
VOICE: Final = "phone-voice"

_CHANNELS = {"web": "web-chat", "sms": "phone-sms"}


class Chat(BaseModel):
    id: int
    title: str
    channel: str
    kind: str
    createdAt: str
    updatedAt: str


class ChatPage(BaseModel):
    items: list[Chat]
    total: int
    page: int
    pageSize: int


class Detail(BaseModel):
    detail: Any


class DownloadUrl(BaseModel):
    """The `CallRecordingDownloadUrlResponse` that the seed names and nobody publishes: this is its only place."""

    url: str
    expiresIn: int
    expiresAt: str
    contentType: str
    filename: str


FAILURES: Final = {
    code: {"description": why, "content": {"application/json": {"schema": Detail.model_json_schema()}}}
    for code, why in (
        ("401", "No valid key"),
        ("403", "The key lacks chats:read, or the chat is private to its participants"),
        ("404", "No audio is stored for the chat"),
        ("422", "A parameter is malformed"),
    )
}


def chat_of(call: Call) -> Chat:
    return Chat(
        id=call.chat_id,
        title=call.name or call.assistant_name or f"Chat {call.chat_id}",
        channel=channel_of(call),
        kind=call.kind,
        createdAt=isotime.serialize(call.created_ms),
        updatedAt=isotime.serialize(call.updated_ms),
    )


def channel_of(call: Call) -> str:
    return _CHANNELS.get(call.kind, VOICE)


def download_url(url: str, seconds: int, expires_ms: int, filename: str) -> dict[str, str | int]:
    """As a `DownloadUrl`."""
    return {
        "url": url,
        "expiresIn": seconds,
        "expiresAt": isotime.serialize(expires_ms),
        "contentType": "audio/wav",
        "filename": filename,
    }
