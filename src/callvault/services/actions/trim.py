"""Trim: a stretch of a recording as a version of its own."""

from callvault.domain.access import Caller
from callvault.domain.edits import excerpt, length_us
from callvault.domain.errors import Malformed
from callvault.domain.recording import Recording
from callvault.services.derivations import Derivations, Plan, edits_of
from callvault.services.stale import again_when_stale


class Trim:
    def __init__(self, derivations: Derivations) -> None:
        self._derivations = derivations

    @again_when_stale
    async def __call__(
        self, caller: Caller, recording_id: str, version_id: str, *, start_us: int, end_us: int | None = None
    ) -> Recording:
        """From one time of what is heard to another, or to its end; a version beside it, which stands for no whole."""
        source = await self._derivations.source(caller, recording_id)
        edits = edits_of(await self._derivations.sound(source))
        length = length_us(edits)
        end_us = length if end_us is None else min(end_us, length)
        if not 0 <= start_us < end_us:
            raise Malformed(what="the range", why="it begins before it ends, and before the recording ends")
        plan = Plan(
            operation="trim",
            sources=[source],
            edits=excerpt(edits, start_us, end_us),
            facts={},
            detail={"start_us": start_us, "end_us": end_us},
        )
        return await self._derivations.make(caller, version_id, plan)
