"""Merge: several recordings of a workspace, one behind the other, as one version."""

from collections.abc import Sequence
from typing import Final

from callvault.domain.access import Caller
from callvault.domain.edits import joined
from callvault.domain.errors import Malformed
from callvault.domain.recording import Recording
from callvault.services.derivations import Derivations, Plan, VersionFacts, edits_of
from callvault.services.stale import again_when_stale

MOST: Final = 100


class Merge:
    def __init__(self, derivations: Derivations) -> None:
        self._derivations = derivations

    @again_when_stale
    async def __call__(self, caller: Caller, recording_ids: Sequence[str], version_id: str) -> Recording:
        """In the order given; it belongs to the call of the first, and is for those alone whom all the calls are for.

        It is redacted when all of them are; when some are, it is heard as long as nothing of the others has to be.
        """
        if not 2 <= len(recording_ids) <= MOST:
            raise Malformed(what="the recordings", why=f"they are 2 to {MOST}")
        sources = [await self._derivations.source(caller, recording_id) for recording_id in recording_ids]
        edits = [edits_of(await self._derivations.sound(source)) for source in sources]
        redacted = all(source.redacted for source in sources)
        facts = VersionFacts(redacted=redacted, redaction_type=sources[0].redaction_type if redacted else None)
        plan = Plan(operation="merge", sources=sources, edits=joined(edits), facts=facts, detail={})
        return await self._derivations.make(caller, version_id, plan)
