"""What Vapi's clients send, and what it means here."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from callvault.domain.call import SOUND_FORMAT, UNKEPT, UNRECORDED, Participant
from callvault.domain.filters import Between
from callvault.services.callfacts import CallFacts
from callvault.web.dialects.vapi.schemas import (
    MP3,
    direction_of,
    kept_of,
    unwanted_artifacts,
    wants_mp3,
    wants_recording,
)
from callvault.web.mistakes import Proven
from callvault.wire import isotime

CREATED_BY_REQUEST: Final = "queued"


class Customer(BaseModel):
    model_config = ConfigDict(extra="allow")
    number: str | None = None
    name: str | None = None
    email: str | None = None
    externalId: str | None = None  # noqa: N815


class CreateCall(Proven):
    """A call is registered, not dialled; what has no meaning here is kept as it came."""

    model_config = ConfigDict(extra="allow")
    name: str | None = Field(None, max_length=200)
    type: str | None = None
    assistantId: str | None = None  # noqa: N815
    assistant: dict[str, Any] | None = None
    phoneNumberId: str | None = None  # noqa: N815
    phoneNumber: dict[str, Any] | None = None  # noqa: N815
    customer: Customer | None = None
    customers: None = Field(None, description="Not taken: a call is registered for one customer.")
    schedulePlan: dict[str, Any] | None = None  # noqa: N815

    def facts(self) -> CallFacts:
        number = self.customer.number if self.customer else None
        ours = self._text(self.phoneNumber, "twilioPhoneNumber", "number")
        direction = "web" if number is None and self.type is None else direction_of(self.type)
        told = self.model_dump(exclude_none=True)
        facts = CallFacts(
            direction=direction,
            kind="web" if direction == "web" else "phone",
            status="scheduled" if self.schedulePlan else CREATED_BY_REQUEST,
            name=self.name,
            assistant_id=self.assistantId,
            assistant_name=self._text(self.assistant, "name"),
            phone_number_id=self.phoneNumberId,
            phone_number=ours,
            participants=self._participants(),
        )
        facts["from_number"], facts["to_number"] = (number, ours) if direction == "inbound" else (ours, number)
        facts["metadata"] = {"vapi": kept} if (kept := kept_of(told)) else {}
        if not wants_recording(told):
            facts["metadata"] |= {UNRECORDED: True}
        if unwanted := unwanted_artifacts(told):
            facts["metadata"] |= {UNKEPT: unwanted}
        if wants_mp3(told):
            facts["metadata"] |= {SOUND_FORMAT: MP3}
        return facts

    def _participants(self) -> tuple[Participant, ...]:
        if self.customer is None:
            return ()
        who = self.customer
        ours = who.externalId or "customer"
        return (Participant(id=ours, name=who.name or "", role="customer", number=who.number),)

    @staticmethod
    def _text(thing: Mapping[str, Any] | None, *names: str) -> str | None:
        found = (thing[name] for name in names if thing and isinstance(thing.get(name), str))
        return next(found, None)


class UpdateCall(Proven):
    name: str | None = Field(None, max_length=200)


class DeleteCall(Proven):
    ids: list[str] | None = Field(None, max_length=1_000)


def between(texts: Mapping[str, str | None]) -> Between:
    """The four bounds of one time, by their operators' names."""
    bounds: dict[str, Any] = {name: None if text is None else isotime.parse(text) for name, text in texts.items()}
    return Between(**bounds)
