"""Calls as the native API tells and takes them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from callvault.domain.call import Call, Participant
from callvault.services.callfacts import EXTERNAL_IDS_MAX, PARTICIPANTS_MAX, CallFacts
from callvault.web.native.spelling import Asked, Metadata, Moment, Text, Told, seconds

Direction = Literal["inbound", "outbound", "web"]
Status = Literal["scheduled", "queued", "ringing", "in-progress", "forwarding", "ended", "failed"]
Number = Annotated[str, Field(max_length=256)]
"""Of a telephone, or a SIP address, which in itself has no bound: those of web clients have 70 characters and more."""
Name = Annotated[str, Field(min_length=1, max_length=200)]


class PersonIn(Asked):
    id: Name
    name: Text = ""
    role: Annotated[str, Field(max_length=63)] = "other"
    number: Number | None = None


class AssistantIn(Asked):
    id: Text | None = None
    name: Text | None = None


class PhoneNumberIn(Asked):
    id: Text | None = None
    number: Number | None = None


class CallChanges(Asked):
    """What of a call can be told later; what is not there stays as it is."""

    direction: Direction = "inbound"
    from_: Annotated[Number | None, Field(alias="from")] = None
    to: Number | None = None
    kind: Annotated[str, Field(min_length=1, max_length=40)] = "phone"
    status: Status = "in-progress"
    name: Text | None = None
    assistant: AssistantIn | None = None
    phone_number: PhoneNumberIn | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    ended_reason: Text | None = None
    participants: Annotated[list[PersonIn], Field(max_length=PARTICIPANTS_MAX)] = Field(default_factory=list)
    external_ids: Annotated[dict[Name, Name], Field(max_length=EXTERNAL_IDS_MAX)] = Field(default_factory=dict)
    analysis: Metadata = Field(default_factory=dict)
    metadata: Metadata = Field(default_factory=dict)

    def facts(self) -> CallFacts:
        """Only what was told."""
        return cast(CallFacts, dict(self._told()))

    def _told(self) -> Iterator[tuple[str, Any]]:
        for name in self.model_fields_set & _FACTS.keys():
            yield _FACTS[name], getattr(self, name)
        if "assistant" in self.model_fields_set:
            yield "assistant_id", self.assistant.id if self.assistant else None
            yield "assistant_name", self.assistant.name if self.assistant else None
        if "phone_number" in self.model_fields_set:
            yield "phone_number_id", self.phone_number.id if self.phone_number else None
            yield "phone_number", self.phone_number.number if self.phone_number else None
        if "participants" in self.model_fields_set:
            yield "participants", tuple(Participant(**person.model_dump()) for person in self.participants)


class CallIn(CallChanges):
    id: Annotated[str, Field(description="Of a call that is there, or a UUID of one's own choice for a new one.")] | (
        None
    ) = None


_FACTS = {
    "direction": "direction",
    "from_": "from_number",
    "to": "to_number",
    "kind": "kind",
    "status": "status",
    "name": "name",
    "started_at": "started_ms",
    "ended_at": "ended_ms",
    "ended_reason": "ended_reason",
    "external_ids": "external_ids",
    "analysis": "analysis",
    "metadata": "metadata",
}


class Person(Told):
    id: str
    name: str
    role: str
    number: str | None


class Assistant(Told):
    id: str | None
    name: str | None


class PhoneNumber(Told):
    id: str | None
    number: str | None


class CallOut(Told):
    id: str
    public_id: str
    """The capability: where the workspace allows it, knowing it is the permission."""
    chat_id: int
    direction: str
    from_: Annotated[str | None, Field(alias="from")]
    to: str | None
    kind: str
    status: str
    name: str | None
    assistant: Assistant | None
    phone_number: PhoneNumber | None
    started_at: float | None
    ended_at: float | None
    ended_reason: str | None
    participants: list[Person]
    external_ids: dict[str, str]
    analysis: Metadata
    metadata: Metadata
    created: float
    updated: float


def assistant_of(call: Call) -> Assistant | None:
    known = call.assistant_id or call.assistant_name
    return Assistant(id=call.assistant_id, name=call.assistant_name) if known else None


def phone_number_of(call: Call) -> PhoneNumber | None:
    known = call.phone_number_id or call.phone_number
    return PhoneNumber(id=call.phone_number_id, number=call.phone_number) if known else None


def call_out(call: Call) -> CallOut:
    return CallOut(
        id=call.id,
        public_id=call.public_id,
        chat_id=call.chat_id,
        direction=call.direction,
        from_=call.from_number,
        to=call.to_number,
        kind=call.kind,
        status=call.status,
        name=call.name,
        assistant=assistant_of(call),
        phone_number=phone_number_of(call),
        started_at=seconds(call.started_ms),
        ended_at=seconds(call.ended_ms),
        ended_reason=call.ended_reason,
        participants=[Person(id=p.id, name=p.name, role=p.role, number=p.number) for p in call.participants],
        external_ids=call.external_ids,
        analysis=call.analysis,
        metadata=call.metadata,
        created=seconds(call.created_ms) or 0,
        updated=seconds(call.updated_ms) or 0,
    )
