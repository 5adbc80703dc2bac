"""Turns on their way in: a transcript of many thousands is read a few hundred at a time, for others wait meanwhile."""

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from callvault.domain.errors import TooLarge
from callvault.services.transcripts import TURN_MAX, TURNS_MAX, Said
from callvault.web.errors import Invalid
from callvault.web.mistakes import mistakes
from callvault.web.native.spelling import Asked

BODY: Final = 32 << 20
WORDS_MAX: Final = 150_000
"""Texts, and commas between them: the longest transcript has no more, should each turn tell all that it can. To read a
body that is full of other things would take a second."""
TOGETHER: Final = 500
DAY_SECONDS: Final = 86_400
Second = Annotated[float, Field(ge=0, le=2 * DAY_SECONDS, description="From the start of the call.")]


class TurnIn(Asked):
    role: Annotated[str, Field(min_length=1, max_length=63)]
    content: Annotated[str, Field(max_length=TURN_MAX)]
    start: Second
    end: Second | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None

    def said(self) -> Said:
        return Said(
            role=self.role,
            content=self.content,
            start_ms=round(self.start * 1000),
            end_ms=None if self.end is None else round(self.end * 1000),
            confidence=self.confidence,
        )


class TurnsIn(Asked):
    turns: Annotated[list[TurnIn], Field(max_length=TURNS_MAX)]

    def said(self) -> list[Said]:
        return [turn.said() for turn in self.turns]


_TURNS: Final = TypeAdapter(list[TurnIn])


async def said_in(body: bytes) -> list[Said]:
    """As a `TurnsIn` tells it, beside the event loop."""
    return await asyncio.to_thread(lambda: [*_said(_turns(body))])


def _turns(body: bytes) -> list[Any]:
    if _has_more_words(body):
        raise TooLarge(what="the transcript", limit=f"{TURNS_MAX} turns")
    try:
        told = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise Invalid(errors=[{"loc": ["body"], "msg": "JSON decode error", "type": "json_invalid"}]) from None
    turns = told.get("turns") if isinstance(told, dict) else None
    is_whole = isinstance(turns, list) and len(turns) <= TURNS_MAX
    try:
        TurnsIn.model_validate({**told, "turns": []} if is_whole else told)
    except ValidationError as error:
        raise mistakes(error, "body") from None
    return turns or []


def _has_more_words(body: bytes) -> bool:
    """Told without reading it: what is escaped is within a text, and so is all between every other pair of quotes."""
    pieces = body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"', 2 * WORDS_MAX + 1)
    return len(pieces) > 2 * WORDS_MAX + 1 or sum(piece.count(b",") for piece in pieces[::2]) > WORDS_MAX


def _said(turns: list[Any]) -> Iterator[Said]:
    for at in range(0, len(turns), TOGETHER):
        try:
            yield from (turn.said() for turn in _TURNS.validate_python(turns[at : at + TOGETHER]))
        except ValidationError as error:
            raise _placed(mistakes(error, "body", "turns"), at) from None


def _placed(invalid: Invalid, at: int) -> Invalid:
    """With the numbers that the turns have in the whole."""
    for told in invalid.errors:
        place = told["loc"]
        if isinstance(place, list) and len(place) > 2:
            place[2] += at
    return invalid
