"""Links: minted for a view or a file, followed without a key, revoked all at once."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request

from callvault.domain.access import Action
from callvault.domain.recording import Recording, own_file
from callvault.services.delivery.desk import Wanted
from callvault.services.delivery.links import FILENAME_MAX, SECONDS
from callvault.web.auth import Visiting, needs, public
from callvault.web.native import hotdocs
from callvault.web.native.artifacts import MEDIA_TYPES
from callvault.web.native.describing import told
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.recordingschemas import CallRecording
from callvault.web.native.sound import RANGED
from callvault.web.native.spelling import Asked, Told, seconds
from callvault.web.parts import Hot
from callvault.web.responses import Answer
from callvault.web.sound import Taken, taken_answer
from callvault.web.visit import Visit, visit_of
from callvault.wire.mediatypes import OF_FORMAT

router = APIRouter(prefix="/api/v1", tags=["links"], responses=PROBLEMS)
LONGEST = 10 * 365 * 86_400


class LinkRequest(Asked):
    view: str = Field(default_factory=str, max_length=100, description="Else the one of the recording's own file.")
    format: Annotated[str, Field(max_length=10)] = "wav"
    rate: Annotated[int, Field(ge=0, le=192_000, description="0 for the best there is.")] = 0
    artifact: Annotated[str, Field(max_length=40, description="Instead of a view.")] = ""
    live: bool = False
    expires_in: Annotated[int, Field(ge=1, le=LONGEST, description="Seconds; no longer than the workspace allows.")] = (
        SECONDS
    )
    disposition: Literal["inline", "attachment"] = "inline"
    filename: Annotated[str, Field(max_length=FILENAME_MAX)] = ""

    def wanted_of(self, recording: Recording) -> Wanted:
        """What is not said of the view and its rate is as in the recording's own file."""
        view, rate = own_file(recording)
        asked = self.model_fields_set
        view = self.view if "view" in asked else view
        rate = rate if asked.isdisjoint({"view", "rate"}) else self.rate
        return Wanted(view, self.format, rate, self.live, self.artifact)


class LinkOut(Told):
    url: str
    expires_at: float


@router.post("/recordings/{id}/secure-url")
@needs(Action.MINT_LINK)
async def create_secure_url(id: str, visit: Visiting, asked: LinkRequest | None = None) -> LinkOut:
    """A signed URL that needs no key, for what the asker hears of this recording."""
    return await minted(visit, id, asked or LinkRequest())


async def minted(visit: Visit, id: str, asked: LinkRequest) -> LinkOut:
    recording = await visit.services.recordings.heard(visit.caller, id, Action.MINT_LINK)
    link = await visit.services.delivery.links.secure_url(
        visit.caller,
        recording,
        asked.wanted_of(recording),
        seconds=asked.expires_in,
        attachment=asked.disposition == "attachment",
        filename=asked.filename,
        base_url=visit.base_url,
    )
    return LinkOut(url=link.url, expires_at=seconds(link.expires_ms) or 0)


@router.post("/recordings/{id}/links/revoke")
@needs(Action.REVOKE_LINKS)
async def revoke_links(id: str, visit: Visiting) -> CallRecording:
    """No link that was made until now opens it any more."""
    return await told(visit, await visit.services.delivery.links.revoke(visit.caller, id.lower()))


@public("the link is the permission; a key that is sent along is not looked at")
async def follow_link(request: Request) -> Answer:
    visit = visit_of(request)
    followed = await visit.services.delivery.links.follow(
        request.path_params["token"], address=visit.caller.address, request_id=visit.caller.request_id
    )
    taken = Taken(followed.caller, followed.recording, followed.wanted.name, followed.content)
    return await taken_answer(request, taken, followed.filename, followed.attachment)


FOLLOW = Hot(
    "GET",
    "/link/{token}",
    follow_link,
    docs=hotdocs.operation(
        "Follow a link",
        "links",
        "With Range, If-Range and ETag, as the sound itself.",
        responses={
            "200": hotdocs.content("What the link is for.", *OF_FORMAT.values(), *MEDIA_TYPES),
            **RANGED,
            "403": {"description": "The link is not valid, or not any more."},
        },
    ),
)
