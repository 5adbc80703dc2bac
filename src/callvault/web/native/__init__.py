"""Our own API: recordings and calls in the vocabulary of .do, and every way in and out of the vault."""

from callvault.web.native import (
    calls,
    events,
    holds,
    jobs,
    keys,
    lanes,
    links,
    recordings,
    sessions,
    sound,
    streams,
    timeline,
    transcripts,
    tus,
    webhooks,
    workspace,
)
from callvault.web.parts import Claim, Part

PART = Part(
    name="native",
    title="callvault",
    about="Takes in the sound of calls, plays any second of it at once, and hands it out.",
    claims=(Claim("/api/v1"), Claim("/uploads"), Claim("/streams"), Claim("/link")),
    routers=(
        recordings.router,
        sessions.router,
        links.router,
        timeline.router,
        calls.router,
        transcripts.router,
        holds.router,
        jobs.router,
        events.router,
        webhooks.router,
        keys.router,
        workspace.router,
    ),
    hot=(links.FOLLOW, *sound.HOT, *lanes.HOT, *tus.HOT, transcripts.STREAM, events.STREAM, workspace.EXPORT),
    sockets=streams.SOCKETS,
)
