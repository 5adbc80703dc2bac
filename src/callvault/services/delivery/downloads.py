"""Downloads: what leaves is audited, counted and told, without anybody who listens waiting for it."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from callvault.domain.access import Action, Caller
from callvault.domain.errors import Fault
from callvault.domain.event import Event
from callvault.domain.ids import Json
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.audit import Audit
from callvault.services.stale import again_when_stale

log = logging.getLogger(__name__)
EVERY_SECONDS: Final = 0.5
MOST_WAITING: Final = 20_000
"""When so many wait because the database takes none, the oldest are forgotten: each of them is in the audit."""


@dataclass(frozen=True, slots=True)
class _Download:
    recording: Recording
    at_ms: int
    detail: dict[str, Json]


class Downloads:
    """Every request for bytes is in the audit, with its range; one that is sent the first byte is a download: it counts
    on the recording and is told as `recording.downloaded`, within a second. A crash loses those of that second."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, audit: Audit) -> None:
        self._store, self._clock, self._ids, self._audit = store, clock, ids, audit
        self._waiting: list[_Download] = []
        self._writing: asyncio.Task[None] | None = None

    def asked(
        self,
        caller: Caller,
        recording: Recording,
        what: str,
        *,
        byte_range: str | None = None,
        action: Action = Action.LISTEN,
    ) -> None:
        """Bytes of `what` (`mono.wav`, `pcap` ...) were asked for, `byte_range` as in the request's header."""
        workspace_id, thing = recording.workspace_id, f"recording:{recording.id}"
        self._audit.later(self._audit.entry(caller, action, workspace_id, thing, what=what, range=byte_range))

    def began(self, caller: Caller, recording: Recording, what: str) -> None:
        """The first of the bytes is about to leave."""
        self._waiting = self._waiting[-MOST_WAITING:]
        self._waiting.append(_Download(recording, self._clock.now_ms(), {"what": what, "by": caller.actor}))
        self._writing = self._writing or asyncio.create_task(self._write())

    async def flush(self) -> None:
        """All that waits is written; after a fault it still waits. To be called once at the end."""
        waiting, self._waiting = self._waiting, []
        by_recording: dict[str, list[_Download]] = {}
        for download in waiting:
            by_recording.setdefault(download.recording.id, []).append(download)
        while by_recording:
            recording_id, downloads = by_recording.popitem()
            try:
                await self._count(recording_id, downloads)
            except Fault:
                rest = [download for group in by_recording.values() for download in group]
                self._waiting = [*downloads, *rest, *self._waiting]
                raise

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.flush()
            except Fault as fault:
                log.warning("downloads wait to be counted: %s", fault)
        self._writing = None

    @again_when_stale
    async def _count(self, recording_id: str, downloads: Sequence[_Download]) -> None:
        recording = await self._store.get(Recording, recording_id)
        if recording is None or recording.deleted_ms is not None:
            return
        unit = Unit()
        unit.change(
            replace(
                recording,
                download_count=recording.download_count + len(downloads),
                last_accessed_ms=max(download.at_ms for download in downloads),
                version=recording.version + 1,
            )
        )
        unit.tell(*(self._event(download) for download in downloads))
        await self._store.commit(unit)

    def _event(self, download: _Download) -> Event:
        return Event(
            id=self._ids.uuid(),
            workspace_id=download.recording.workspace_id,
            type="recording.downloaded",
            created_ms=download.at_ms,
            recording_id=download.recording.id,
            call_id=download.recording.call_id,
            readers=download.recording.readers,
            data=download.detail,
        )
