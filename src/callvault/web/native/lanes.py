"""Sound comes in: takes under their numbers, and whole files."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from pydantic_core import to_json
from starlette.requests import Request

from callvault.domain.access import Action
from callvault.domain.errors import Malformed
from callvault.domain.ids import Json
from callvault.services.ingest.files import MIXED
from callvault.services.ingest.form import TAKE_BYTES
from callvault.services.ingest.takes import Start
from callvault.web.auth import needs
from callvault.web.limits import whole_body
from callvault.web.native import hotdocs
from callvault.web.native.received import received
from callvault.web.native.spelling import Told
from callvault.web.parts import Hot
from callvault.web.responses import Answer, bytes_answer
from callvault.web.visit import Visit, visit_of
from callvault.wire import contentdigest, mediatypes

DIGITS_MAX = 18


class TakeOut(Told):
    lane: str
    take: int
    start_sample: int
    samples: int
    rate: int
    created: bool
    """False when the very same take was there already."""


class FileOut(Told):
    lanes: list[str]
    rate: int
    samples: int
    created: bool
    """False when the very same file was there already."""
    damage: str | None
    """What was wrong with the part that did not decode."""


@needs(Action.WRITE_SOUND, body=TAKE_BYTES)
async def put_take(request: Request) -> Answer:
    visit, place, query = visit_of(request), request.path_params, visit_of(request).query
    _check_plain(visit)
    digest = visit.told("content-digest")
    taken = await visit.services.intake.takes.put(
        visit.caller,
        place["id"].lower(),
        place["lane"],
        whole("the take's number", place["n"]),
        await whole_body(request.receive),
        start=_start(query.get("start"), query.get("startSample")),
        form=mediatypes.parse(visit.told("content-type") or ""),
        promised=contentdigest.parse(digest) if digest else None,
    )
    return answered(
        {
            "lane": taken.lane,
            "take": taken.take,
            "startSample": taken.start,
            "samples": taken.samples,
            "rate": taken.rate,
            "created": taken.created,
        },
        taken.created,
    )


@needs(Action.WRITE_SOUND, body=None)
async def put_audio(request: Request) -> Answer:
    visit = visit_of(request)
    _check_plain(visit)
    recording_id = request.path_params["id"].lower()
    # Whether it may come in at all is asked before a gigabyte is read.
    receiving = visit.services.intake.admission.receiving(visit.caller, recording_id)
    async with receiving, received(request) as file:
        filed = await visit.services.intake.files.put(
            visit.caller,
            recording_id,
            file,
            channels=named(visit.query.get("channels")),
            media_type=visit.told("content-type") or "application/octet-stream",
            damaged_too=visit.query.get("damaged") == "accept",
        )
    told = FileOut(
        lanes=list(filed.lanes), rate=filed.rate, samples=filed.samples, created=filed.created, damage=filed.damage
    )
    return answered(told, filed.created)


def named(channels: str | None) -> tuple[str, ...]:
    """The lanes for the channels of a file."""
    return tuple(name.strip() for name in channels.split(",")) if channels else (MIXED,)


def whole(what: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
        raise Malformed(what=what, why="it is a whole number")
    return int(text)


def _check_plain(visit: Visit) -> None:
    """Sound is kept as it comes: what was packed once more would be taken for it."""
    packed = (value for name, value in visit.scope["headers"] if name == b"content-encoding")
    if any(value.lower() != b"identity" for value in packed):
        raise Malformed(what="the request's body", why="sound comes without a Content-Encoding")


def _start(ms: str | None, sample: str | None) -> Start:
    try:
        exact = Decimal(ms) if ms is not None and len(ms) <= 40 else None
    except InvalidOperation:
        raise Malformed(what="start", why="it is a number of milliseconds") from None
    return Start(ms=exact, sample=whole("startSample", sample) if sample is not None else None)


def answered(told: Told | Mapping[str, Json], created: bool) -> Answer:
    return bytes_answer(to_json(told), b"application/json", 201 if created else 200)


_COUNT = {"type": "integer", "minimum": 0}
_DIGEST = hotdocs.header("Content-Digest", "RFC 9530; checked.")

HOT = (
    Hot(
        "PUT",
        "/api/v1/recordings/{id}/lanes/{lane}/takes/{n}",
        put_take,
        docs=hotdocs.operation(
            "Put a take",
            "sound in",
            "Acknowledged when it is durable. Takes come in any order; where they overlap in a lane, the one with the "
            "higher number is heard.",
            parameters=[
                hotdocs.path("n", _COUNT),
                hotdocs.query("start", {"type": "number", "minimum": 0}, "Milliseconds of the call; or `startSample`."),
                hotdocs.query("startSample", _COUNT),
                _DIGEST,
            ],
            body=(*mediatypes.RAW, *mediatypes.FILES),
            responses={
                "201": hotdocs.json(TakeOut, "Taken."),
                "200": hotdocs.json(TakeOut, "The very same take was there."),
            },
        ),
    ),
    Hot(
        "PUT",
        "/api/v1/recordings/{id}/audio",
        put_audio,
        docs=hotdocs.operation(
            "Put a whole sound file",
            "sound in",
            "Of any length. Its channels become lanes; its bytes are kept as the source. They tell what it is, "
            "whatever the Content-Type says.",
            parameters=[
                hotdocs.query(
                    "channels",
                    {"type": "string", "default": MIXED},
                    "The lane of each channel, as `customer,assistant`; or `mixed`.",
                ),
                hotdocs.query(
                    "damaged",
                    {"enum": ["accept", "refuse"], "default": "refuse"},
                    "With `accept`, what decodes of a damaged file is taken.",
                ),
                _DIGEST,
            ],
            body=mediatypes.FILES,
            responses={
                "201": hotdocs.json(FileOut, "Taken in."),
                "200": hotdocs.json(FileOut, "The very same file was there."),
            },
        ),
    ),
)
