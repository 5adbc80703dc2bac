"""Vapi: calls with their artifacts, each handed out by a 302 to a short-lived signed URL."""

from callvault.web.dialects.vapi.artifacts import HOT
from callvault.web.dialects.vapi.errors import render
from callvault.web.dialects.vapi.messages import form
from callvault.web.dialects.vapi.routes import router
from callvault.web.parts import Claim, Part

PART = Part(
    name="vapi",
    title="Vapi",
    about="Calls and their artifacts as the Vapi API has them.",
    claims=(Claim("/call"),),
    routers=(router,),
    hot=HOT,
    render=render,
    messages=form,
)
