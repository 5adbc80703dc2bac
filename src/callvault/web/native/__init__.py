"""Our own API: recordings and calls in the vocabulary of .do, and every way in and out of the vault."""

from callvault.web.native import calls, holds, jobs, keys, lanes, recordings, sessions, transcripts, tus, workspace
from callvault.web.parts import Claim, Part

PART = Part(
    name="native",
    title="callvault",
    about="Takes in the sound of calls, plays any second of it at once, and hands it out.",
    claims=(Claim("/api/v1"), Claim("/uploads")),
    routers=(
        recordings.router,
        sessions.router,
        calls.router,
        transcripts.router,
        holds.router,
        jobs.router,
        keys.router,
        workspace.router,
    ),
    hot=(*lanes.HOT, *tus.HOT, transcripts.STREAM, workspace.EXPORT),
)
