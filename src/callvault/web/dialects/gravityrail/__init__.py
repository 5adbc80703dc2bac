"""Gravity Rail: chats, with the recording as bytes or by a URL, private chats for their participants alone."""

from callvault.web.dialects.gravityrail.errors import render
from callvault.web.dialects.gravityrail.messages import form
from callvault.web.dialects.gravityrail.routes import AUDIO, DOWNLOAD_URL, router
from callvault.web.parts import Claim, Part

PART = Part(
    name="gravityrail",
    title="Gravity Rail",
    about="Chats and their recordings as the Gravity Rail API has them.",
    claims=(Claim("/api/v2"),),
    routers=(router,),
    hot=(AUDIO, DOWNLOAD_URL),
    render=render,
    messages=form,
)
