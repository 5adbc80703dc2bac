"""Whether sound may come in: the same question at every door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from callvault.domain.access import Action, Caller
from callvault.domain.errors import RecordingDisabled, RecordingEnded
from callvault.services.access import Access
from callvault.services.ingest.openrecordings import FACTS_SECONDS, OpenRecording, OpenRecordings


class Admission:
    def __init__(self, open_recordings: OpenRecordings, access: Access) -> None:
        self._open, self._access = open_recordings, access

    async def allowed(self, caller: Caller, recording_id: str, max_age: float = FACTS_SECONDS) -> OpenRecording:
        """The recording, when the caller may write to it."""
        known = await self._open.get(recording_id, max_age)
        thing = f"recording:{recording_id}"
        self._access.require(caller, Action.WRITE_SOUND, known.recording, thing)
        return known

    async def admitted(self, caller: Caller, recording_id: str) -> OpenRecording:
        """And when it takes in sound."""
        known = await self.allowed(caller, recording_id)
        if not await self._open.enabled(known):
            raise RecordingDisabled
        if not known.recording.in_progress:
            raise RecordingEnded
        return known

    @asynccontextmanager
    async def receiving(self, caller: Caller, recording_id: str) -> AsyncIterator[OpenRecording]:
        """Admitted; and not idle while something comes in, however long it takes."""
        known = await self.admitted(caller, recording_id)
        known.users += 1
        try:
            await self._open.hold(known)
            yield known
        finally:
            known.users -= 1
