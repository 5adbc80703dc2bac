"""AgentPhone: calls and transcripts, and recordings that a call's id alone opens where the workspace wants it so."""

from callvault.web.dialects.agentphone import recordings, routes, transcripts
from callvault.web.dialects.agentphone.errors import render
from callvault.web.dialects.agentphone.webhooks import messages
from callvault.web.dialects.agentphone.webhooks import routes as webhooks
from callvault.web.parts import Claim, Part

PART = Part(
    name="agentphone",
    title="AgentPhone",
    about="Calls, transcripts, recordings and webhooks as the AgentPhone API has them.",
    claims=(
        Claim("/v1/calls"),
        Claim("/v1/numbers"),
        Claim("/v1/agents"),
        Claim("/v1/webhooks"),
        Claim("/credits"),
    ),
    routers=(routes.router, transcripts.router, recordings.router, webhooks.router),
    hot=(recordings.RECORDING, transcripts.STREAM),
    render=render,
    messages=messages.form,
)
