"""What is told of a call, in the words of `Call`, and how much of it is taken."""

import json
from typing import TypedDict

from callvault.domain.call import DIRECTIONS, Participant
from callvault.domain.errors import Malformed, TooLarge
from callvault.domain.ids import Json

STATUSES = ("scheduled", "queued", "ringing", "in-progress", "forwarding", "ended", "failed")
PARTICIPANTS_MAX = 200
PEOPLE_MAX_CHARACTERS = 64 * 1024
"""Of all of them together: a list of calls tells them all."""
EXTERNAL_IDS_MAX = 32
TEXT_MAX = 1_000
JSON_MAX_BYTES = 64 * 1024
JSON_MAX_LEVELS = 32
"""What is nested deeper cannot be told again: programs that write JSON have limits of their own."""


class CallFacts(TypedDict, total=False):
    direction: str
    kind: str
    status: str
    from_number: str | None
    to_number: str | None
    assistant_id: str | None
    assistant_name: str | None
    phone_number_id: str | None
    phone_number: str | None
    name: str | None
    started_ms: int | None
    ended_ms: int | None
    ended_reason: str | None
    participants: tuple[Participant, ...]
    external_ids: dict[str, str]
    analysis: dict[str, Json]
    metadata: dict[str, Json]


def checked(facts: CallFacts) -> CallFacts:
    """The facts, unless one of them cannot be or is beyond all measure."""
    _one_of("direction", facts.get("direction", "inbound"), DIRECTIONS)
    _one_of("status", facts.get("status", "ended"), STATUSES)
    for name, value in facts.items():
        if isinstance(value, str) and len(value) > TEXT_MAX:
            raise TooLarge(what=f"call.{name}", limit=f"{TEXT_MAX} characters")
    _few("participants", len(facts.get("participants", ())), PARTICIPANTS_MAX)
    _few("externalIds", len(facts.get("external_ids", {})), EXTERNAL_IDS_MAX)
    ids = [participant.id for participant in facts.get("participants", ())]
    if len(set(ids)) < len(ids):
        raise Malformed(what="call.participants", why="two of them have the same id")
    words = sum(len(p.id) + len(p.name) + len(p.role) + len(p.number or "") for p in facts.get("participants", ()))
    if words > PEOPLE_MAX_CHARACTERS:
        raise TooLarge(what="call.participants", limit=f"{PEOPLE_MAX_CHARACTERS} characters")
    small_json("call.metadata", facts.get("metadata"))
    small_json("call.analysis", facts.get("analysis"))
    return facts


def small_json(what: str, value: object) -> None:
    if _deeper(value, JSON_MAX_LEVELS):
        raise TooLarge(what=what, limit=f"{JSON_MAX_LEVELS} levels of JSON")
    if len(json.dumps(value)) > JSON_MAX_BYTES:
        raise TooLarge(what=what, limit=f"{JSON_MAX_BYTES} bytes of JSON")


def _deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    return levels == 0 or any(
        _deeper(each, levels - 1) for each in (value.values() if isinstance(value, dict) else value)
    )


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise Malformed(what=f"call.{name}", why=f"it is one of {', '.join(known)}")


def _few(name: str, count: int, most: int) -> None:
    if count > most:
        raise TooLarge(what=f"call.{name}", limit=f"{most} entries")
