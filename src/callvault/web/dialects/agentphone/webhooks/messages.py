"""What AgentPhone's webhooks are told: that a call has ended, with all that was said in it."""

import json
from dataclasses import replace
from typing import Any, Final

from callvault.domain.access import SYSTEM, Action
from callvault.domain.call import Call, Turn
from callvault.domain.errors import Missing, Refused
from callvault.domain.event import Event
from callvault.domain.webhook import BODY_LIMIT, WebhookEndpoint
from callvault.services.house import Services
from callvault.services.webhooks.dialects import MessageForm, Rendering, owner_of
from callvault.web.dialects.agentphone import schemas
from callvault.web.dialects.agentphone.webhooks.schemas import CALL_ENDED, VOICE, TestIn
from callvault.wire import isotime

NAME: Final = "agentphone"


def form(services: Services, public_url: str) -> MessageForm:
    async def render(event: Event, endpoint: WebhookEndpoint) -> Rendering | None:
        try:
            call = await services.calls.by_id(SYSTEM, event.call_id or "")
        except Missing:
            return None
        owner = await owner_of(services.access, endpoint)
        if services.access.may(owner, Action.READ_CALL, call):
            body = call_ended(event, call, await _said(services, call))
        else:
            body = call_ended(event, replace(call, from_number=None, to_number=None), [])
        return Rendering(body, {"X-Webhook-Event": CALL_ENDED})

    return MessageForm(NAME, (NAME,), lambda event: event.type == "call.ended", render)


async def _said(services: Services, call: Call) -> list[Turn]:
    try:
        return await services.transcripts.of(None, call)
    except Refused:
        # Some of it was redacted in a version that does not stand for the whole.
        return []


def call_ended(event: Event, call: Call, turns: list[Turn]) -> bytes:
    """A transcript that is too long for a message is cut at its end, and says so. Where the facts alone are too long,
    so is the message."""
    said = [schemas.turn_of(call, turn).model_dump() for turn in turns]
    data = {
        **schemas.ended_of(call).model_dump(),
        "numberId": call.phone_number_id,
        "from": call.from_number or "",
        "to": call.to_number or "",
        "direction": call.direction,
        "startedAt": isotime.serialize(schemas.began_ms(call)),
        "disconnectionReason": call.ended_reason,
        "transcript": said,
    }
    while len(body := _message(CALL_ENDED, VOICE, event.created_ms, call.assistant_id, data)) >= BODY_LIMIT and said:
        said = said[: len(said) * 3 // 4]
        data |= {"transcript": said, "transcriptTruncated": True}
    return body


def trial(asked: TestIn, agent_id: str | None, now_ms: int) -> bytes:
    at = isotime.serialize(now_ms)
    data = {
        "from": asked.from_ or "+15555550100",
        "to": asked.to or "+15555550101",
        "message": asked.message or "This is a test message",
        "direction": "inbound",
        "receivedAt": at,
    }
    return _message("agent.message", asked.channel or "sms", now_ms, agent_id, data, test=True)


def _message(event: str, channel: str, at_ms: int, agent_id: str | None, data: Any, **more: bool) -> bytes:
    told = {
        "event": event,
        "channel": channel,
        "timestamp": isotime.serialize(at_ms),
        "agentId": agent_id,
        "data": data,
        "recentHistory": [],
        "conversationState": None,
        **more,
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
