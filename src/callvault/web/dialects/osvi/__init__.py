"""OSVI: JSON with a recording's URL that lives fifteen minutes."""

from callvault.web.dialects.osvi.errors import render
from callvault.web.dialects.osvi.routes import RECORDING, router
from callvault.web.parts import Claim, HeaderKey, Part

PART = Part(
    name="osvi",
    title="OSVI",
    about="Calls, transcripts and recordings as the OSVI API has them.",
    claims=(Claim("/v1/calls", header="api-token"), Claim("/v1/call"), Claim("/v1/active_agents")),
    routers=(router,),
    hot=(RECORDING,),
    credential=HeaderKey("API-Token"),
    render=render,
)
