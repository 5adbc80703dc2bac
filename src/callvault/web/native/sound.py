"""Sound on its way out: any view in any format, and its picture."""

import asyncio
from dataclasses import replace

from starlette.requests import Request

from callvault.domain.access import Action
from callvault.domain.errors import Malformed, Missing
from callvault.domain.recording import own_file
from callvault.services.delivery.desk import Wanted
from callvault.web.auth import needs
from callvault.web.native import hotdocs
from callvault.web.native.lanes import whole
from callvault.web.parts import Hot
from callvault.web.ranges import Held, is_wanted, ranged
from callvault.web.responses import Answer
from callvault.web.sound import PRIVATE, sound_answer
from callvault.web.visit import visit_of
from callvault.wire import waveform
from callvault.wire.mediatypes import OF_FORMAT

PICTURES = {
    "json": ("application/json", waveform.serialize_json),
    "dat": ("application/octet-stream", waveform.serialize_dat),
}


@needs(Action.LISTEN)
async def get_audio(request: Request) -> Answer:
    visit, query, format = visit_of(request), request.query_params, request.path_params["format"]
    if format not in OF_FORMAT:
        raise Missing(what="format")
    recording = await visit.services.recordings.heard(visit.caller, request.path_params["id"])
    view, rate = own_file(recording)
    if "view" in query or "rate" in query:
        view, rate = query.get("view", view), _number(query.get("rate"), "rate")
    wanted = Wanted(view=view, format=format, rate=rate, live=asks(request, "live"))
    return await sound_answer(request, recording, wanted, attachment=asks(request, "download"))


@needs(Action.LISTEN)
async def get_waveform(request: Request) -> Answer:
    visit, query, format = visit_of(request), request.query_params, request.path_params["format"]
    if format not in PICTURES:
        raise Missing(what="format")
    recording = await visit.services.recordings.heard(visit.caller, request.path_params["id"])
    bits = _number(query.get("bits"), "bits", 16)
    if bits not in (8, 16):
        raise Malformed(what="bits", why="it is 8 or 16")
    zoom = _number(query.get("samplesPerPixel"), "samplesPerPixel", 256)
    drawn = await visit.services.delivery.waveforms.of(
        recording, query.get("view", "mono"), zoom, live=asks(request, "live")
    )
    media_type, serialize = PICTURES[format]
    etag, picture = f'{drawn.etag[:-1]}-{format}{bits}"', replace(drawn, bits=bits)
    body = await asyncio.to_thread(serialize, picture) if is_wanted(request, etag) else b""
    return ranged(request, Held(body, etag), media_type, [PRIVATE], head=visit.head)


def asks(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("1", "true", "yes")


def _number(text: str | None, what: str, otherwise: int = 0) -> int:
    return whole(what, text) if text else otherwise


_VIEWS = {"type": "string", "pattern": "^(mono|stereo|customer|assistant|lane:[a-z0-9][a-z0-9_-]*)$"}
_TOLD = "`mono`, `stereo` (customer left, assistant right), `customer`, `assistant` or `lane:NAME`"
_VIEW = hotdocs.query("view", _VIEWS, f"{_TOLD}; else the one that `channels` and `fileSize` tell of.")
_DRAWN = hotdocs.query("view", {**_VIEWS, "default": "mono"}, f"{_TOLD}.")
_LIVE = hotdocs.query("live", {"type": "boolean", "default": False}, "What is there so far of a recording in progress.")
RANGED = {
    "206": {"description": "The ranges that were asked for."},
    "304": {"description": "It is what the client has."},
    "409": {"description": "The recording is still in progress."},
    "412": {"description": "It is not what the client thinks."},
    "416": {"description": "No such range."},
}

HOT = (
    Hot(
        "GET",
        "/api/v1/recordings/{id}/audio.{format}",
        get_audio,
        docs=hotdocs.operation(
            "Get the sound",
            "sound out",
            "With Range, If-Range and ETag. The bytes of a WAV are the same whole and in any pieces; other formats are "
            "made once, and sent while they are made to who asks first; who asks for a range, or on a condition, waits "
            "up to ten seconds until one is whole.",
            parameters=[
                hotdocs.path("format", {"enum": list(OF_FORMAT)}),
                _VIEW,
                hotdocs.query(
                    "rate",
                    {"type": "integer", "minimum": 4000, "maximum": 192_000},
                    "Else the best there is. Formats other than wav are made at usual rates: the next higher one.",
                ),
                hotdocs.query("download", {"type": "boolean", "default": False}, "As an attachment."),
                _LIVE,
                hotdocs.header("Range", "`bytes=0-99`"),
            ],
            responses={"200": hotdocs.content("The sound.", *OF_FORMAT.values()), **RANGED},
        ),
    ),
    Hot(
        "GET",
        "/api/v1/recordings/{id}/waveform.{format}",
        get_waveform,
        docs=hotdocs.operation(
            "Get the waveform",
            "sound out",
            "BBC audiowaveform data, version 2, as wavesurfer and peaks.js read it.",
            parameters=[
                hotdocs.path("format", {"enum": list(PICTURES)}),
                _DRAWN,
                hotdocs.query("samplesPerPixel", {"type": "integer", "minimum": 1, "default": 256}),
                hotdocs.query("bits", {"enum": [8, 16], "default": 16}),
                _LIVE,
            ],
            responses={
                "200": hotdocs.content("The waveform.", "application/json", "application/octet-stream"),
                **RANGED,
            },
        ),
    ),
)
