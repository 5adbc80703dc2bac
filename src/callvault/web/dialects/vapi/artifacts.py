"""Vapi's seven artifact endpoints: each a 302 to a URL that is signed for this request and expires soon."""

from typing import Any, Final

from starlette.requests import Request

from callvault.domain.access import Action
from callvault.domain.errors import Missing
from callvault.web.auth import needs
from callvault.web.dialects.vapi.schemas import ARTIFACTS
from callvault.web.dialects.vapi.writing import wanted
from callvault.web.parts import Handler, Hot
from callvault.web.responses import Answer, redirect
from callvault.web.visit import visit_of

SECONDS: Final = 300
"""A link is meant to be followed at once."""

DOCS: Final[dict[str, Any]] = {
    "responses": {
        "302": {"description": "Redirect to a short-lived presigned URL for the recording."},
        "401": {"description": "Unauthorized — missing or invalid API token."},
        "403": {"description": "A public key, or one that may not listen."},
        "404": {"description": "Artifact not found."},
    }
}


def _redirecting(endpoint: str) -> Handler:
    @needs(Action.LISTEN)
    async def artifact(request: Request) -> Answer:
        visit = visit_of(request)
        services, caller = visit.services, visit.caller
        try:
            recording = await services.recordings.version_of_call(caller, request.path_params["id"])
            link = await services.delivery.links.secure_url(
                caller,
                recording,
                wanted(endpoint, recording.format),
                seconds=SECONDS,
                attachment=True,
                action=Action.LISTEN,
                base_url=visit.base_url,
            )
        except Missing:
            raise Missing(what="artifact") from None
        return redirect(link.url)

    artifact.__name__ = endpoint.replace("-", "_")
    return artifact


HOT: Final = tuple(
    Hot("GET", f"/call/{{id}}/{name}", _redirecting(name), {"summary": name.replace("-", " ").capitalize(), **DOCS})
    for name in ARTIFACTS
)
