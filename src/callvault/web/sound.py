"""Sound and files on their way out of any route: what the desk gives, in ranges where its length is known."""

from typing import Final

from starlette.requests import Request

from callvault.domain.access import Action, Caller
from callvault.domain.recording import Recording
from callvault.services.delivery.desk import Content, Wanted
from callvault.services.delivery.growing import Growing, Passing
from callvault.web.ranges import judged, ranged
from callvault.web.responses import Answer, Headers, begun
from callvault.web.visit import visit_of
from callvault.wire.disposition import serialize

PRIVATE: Final = (b"cache-control", b"private, no-cache")
"""A cache may keep it for the one who asked, and must ask again whether it is still allowed."""


async def sound_answer(
    request: Request,
    recording: Recording,
    wanted: Wanted,
    *,
    filename: str = "",
    attachment: bool = True,
    action: Action = Action.LISTEN,
) -> Answer:
    """What was found for the caller is handed out, written down and counted."""
    visit = visit_of(request)
    content = await visit.services.delivery.desk.open(recording, wanted)
    write_down(request, visit.caller, recording, wanted, content, action=action)
    filename = filename or wanted.filename(recording.id, content.media_type)
    return await content_answer(request, content, filename, attachment)


def write_down(
    request: Request,
    caller: Caller,
    recording: Recording,
    wanted: Wanted,
    content: Content,
    *,
    action: Action = Action.LISTEN,
) -> None:
    """Whoever asks for bytes is in the audit, whatever is answered; a download is what is sent the first of them: a
    player asks for many ranges."""
    visit = visit_of(request)
    if visit.head:
        return
    first = isinstance(content, Growing | Passing) or any(not part.start for part in judged(request, content).leaving)
    visit.services.delivery.downloads.began(
        caller, recording, wanted.name, byte_range=request.headers.get("range"), counted=first, action=action
    )


async def content_answer(request: Request, content: Content, filename: str, attachment: bool) -> Answer:
    headers: Headers = [(b"content-disposition", serialize(filename, attachment=attachment).encode()), PRIVATE]
    if isinstance(content, Growing | Passing):
        body = b"" if visit_of(request).head else await begun(content.stream())
        return Answer(200, [(b"content-type", content.media_type.encode()), *headers], body)
    return ranged(request, content, content.media_type, headers, head=visit_of(request).head)
