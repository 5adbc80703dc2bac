"""Expiry: from its time on a recording's sound is handed out to nobody, and no other version of the same sound is."""

from collections.abc import Iterable

from callvault.domain.errors import RecordingExpired
from callvault.domain.recording import Version
from callvault.domain.versions import end_of
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.lineage import sources_of


class Expiry:
    """Goes by the time alone: nothing is handed out late because nobody has told yet that a recording expired."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def left_ms(self, recording: Version) -> int | None:
        """How long its sound is still to be had; None for ever. `RecordingExpired` when it is over."""
        end = recording.expires_ms
        if recording.derived_from:
            end = end_of(recording, await sources_of(self._store, [recording]))
        if end is None:
            return None
        left = end - self._clock.now_ms()
        if left <= 0:
            raise RecordingExpired
        return left

    async def unexpired(self, recordings: Iterable[Version]) -> dict[str, int | None]:
        """How long the sound of those is still to be had whose is, by their ids; None for ever."""
        recordings = list(recordings)
        kin, now = await sources_of(self._store, recordings), self._clock.now_ms()
        ends = {recording.id: end_of(recording, kin) for recording in recordings}
        return {name: None if end is None else end - now for name, end in ends.items() if end is None or now < end}
