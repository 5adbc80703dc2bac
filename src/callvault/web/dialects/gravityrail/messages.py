"""What Gravity Rail's webhooks tell of chats and recordings: nobody publishes the bodies, this is their only place."""

import json
from typing import Final

from callvault.domain.call import Call
from callvault.domain.event import Event
from callvault.domain.ids import Json
from callvault.domain.webhook import WebhookEndpoint
from callvault.services.house import Services
from callvault.services.webhooks.dialects import MessageForm, Rendering
from callvault.web.dialects.gravityrail.schemas import channel_of
from callvault.wire import isotime

MESSAGES: Final = {
    "call.created": "chat.created",
    "call.updated": "chat.updated",
    "call.ended": "chat.ended",
    "call.deleted": "chat.deleted",
    "recording.completed": "recording.completed",
    "recording.failed": "recording.failed",
    "recording.deleted": "recording.deleted",
    "recording.autoDeleted": "recording.deleted",
}
"""Our events, and which message each of them is."""


def form(services: Services, public_url: str) -> MessageForm:
    async def render(event: Event, endpoint: WebhookEndpoint) -> Rendering | None:
        call = await services.store.get(Call, event.call_id)
        if call is None:
            return None
        data: dict[str, Json] = {"chatId": call.chat_id, "channel": channel_of(call)}
        if event.recording_id:
            data["recordingId"] = event.recording_id
        body = {
            "id": event.id,
            "type": MESSAGES[event.type],
            "createdAt": isotime.serialize(event.created_ms),
            "workspaceUuid": event.workspace_id,
            "data": data,
        }
        return Rendering(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())

    return MessageForm(
        "gravityrail", ("gravityrail",), lambda event: event.type in MESSAGES and event.call_id is not None, render
    )
