"""Sound and files on their way out of any route: what the desk gives, in ranges where its length is known."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request

from callvault.domain.access import Action, Caller
from callvault.domain.recording import Recording
from callvault.services.delivery.desk import Content, Wanted
from callvault.services.delivery.growing import Growing, Passing
from callvault.web.ranges import MATCHES_ANY, judged, ranged
from callvault.web.responses import Answer, Headers, begun, empty
from callvault.web.visit import visit_of
from callvault.wire.disposition import serialize

PRIVATE: Final = (b"cache-control", b"private, no-cache")
"""A cache may keep it for the one who asked, and must ask again whether it is still allowed."""

MAKING_SECONDS: Final = 10.0
"""So long who asks for more than its bytes as they come waits for what is being made: an hour of mp3 takes about as
long."""
OF_THE_WHOLE: Final = ("range", "if-range", "if-match", "if-none-match")


async def sound_answer(
    request: Request,
    recording: Recording,
    wanted: Wanted,
    *,
    filename: str = "",
    attachment: bool = True,
    action: Action = Action.LISTEN,
) -> Answer:
    """What was found for the caller."""
    visit = visit_of(request)
    content = await visit.services.delivery.desk.open(recording, wanted)
    filename = filename or wanted.filename(recording.id, content.media_type)
    taken = Taken(visit.caller, recording, wanted.name, content, action)
    return await taken_answer(request, taken, filename, attachment)


@dataclass(frozen=True, slots=True)
class Taken:
    """What is handed out, and to whom."""

    caller: Caller
    recording: Recording
    what: str
    content: Content
    action: Action = Action.LISTEN


async def taken_answer(request: Request, taken: Taken, filename: str, attachment: bool) -> Answer:
    """Whoever asks for bytes is in the audit, whatever is answered; a download is what is sent the first of them: a
    player asks for many ranges."""
    visit = visit_of(request)
    if visit.head:
        return await _content_answer(request, await _settled(request, taken.content), filename, attachment)
    downloads, who = visit.services.delivery.downloads, (taken.caller, taken.recording, taken.what)
    downloads.asked(*who, byte_range=request.headers.get("range"), action=taken.action)
    content = await _settled(request, taken.content)
    answer = await _content_answer(request, content, filename, attachment)
    if _begins(request, content):
        answer.leaving = partial(downloads.began, *who)
    return answer


async def _settled(request: Request, content: Content) -> Content:
    """What is being made has neither a length nor an ETag before it is whole. Players ask for a range first, and do not
    seek, or even play, when they get none."""
    of_the_whole = visit_of(request).head or any(name in request.headers for name in OF_THE_WHOLE)
    return await content.within(MAKING_SECONDS) if isinstance(content, Growing) and of_the_whole else content


def _begins(request: Request, content: Content) -> bool:
    """Whether the first byte of it leaves."""
    if isinstance(content, Growing | Passing):
        return _may_leave(request)
    return any(not part.start for part in judged(request, content).leaving)


def _may_leave(request: Request) -> bool:
    """What is not whole yet is none of those of which a client can have the ETag."""
    return request.headers.get("if-match", MATCHES_ANY).strip() == MATCHES_ANY


async def _content_answer(request: Request, content: Content, filename: str, attachment: bool) -> Answer:
    headers: Headers = [(b"content-disposition", serialize(filename, attachment=attachment).encode()), PRIVATE]
    if isinstance(content, Growing | Passing):
        if not _may_leave(request):
            return empty(412, headers)
        body = b"" if visit_of(request).head else await begun(content.stream())
        return Answer(200, [(b"content-type", content.media_type.encode()), *headers], body)
    return ranged(request, content, content.media_type, headers, head=visit_of(request).head)
