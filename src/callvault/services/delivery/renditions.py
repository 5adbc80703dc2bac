"""Renditions: a view in a file format, made once, kept, and handed out while it is being made."""

import asyncio
from typing import Final

from callvault.domain.errors import Malformed, Missing
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.recording import Recording, own_file
from callvault.ports.blobs import Blobs
from callvault.ports.codecs import Codecs
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.delivery.content import StoredContent
from callvault.services.delivery.growing import Growing, Passing
from callvault.services.delivery.making import ENCODERS, Key, Making
from callvault.services.delivery.views import View, Views
from callvault.services.timelines import Unlock, nothing_is_sealed
from callvault.wire.mediatypes import OF_FORMAT

RENDER: Final = "render"
REPORT_SECONDS: Final = 1.0
RATES: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""At which renditions are kept, besides those of the sound itself: who asks for every rate fills no storage."""


class Renditions:
    def __init__(
        self,
        store: Store,
        views: Views,
        codecs: Codecs,
        *,
        clock: Clock,
        ids: Ids,
        unlock: Unlock = nothing_is_sealed,
        clear: Blobs | None = None,
    ) -> None:
        """`clear` is the storage without our seals, where renditions go that the bucket itself delivers."""
        self._store, self._views, self._codecs, self._clock, self._ids = store, views, codecs, clock, ids
        self._making = Making(store, views.blobs, codecs, clock=clock, ids=ids, unlock=unlock, clear=clear)

    async def open(
        self, recording: Recording, view: str = "mono", format: str = "mp3", rate: int = 0, bits: int = 0
    ) -> StoredContent | Growing:
        """The rendition, or the one that is being made: from this request on, or for another that came before. `bits`
        is of a second of one that is not there yet; 0 is as many as speech needs."""
        seen, key = await self._asked(recording, view, format, rate)
        at_work = self._making.at_work(key)
        made = at_work or await self._making.kept(key) or self._making.at_work(key)
        return made or self._making.begin(key, seen, bits)

    async def made(self, recording: Recording, view: str = "mono", format: str = "mp3", rate: int = 0) -> StoredContent:
        """The rendition, when it is there whole."""
        opened = await self.open(recording, view, format, rate)
        return await asyncio.shield(opened.made) if isinstance(opened, Growing) else opened

    async def live(self, recording: Recording, view: str = "mono", format: str = "mp3", rate: int = 0) -> Passing:
        """Of what is there so far of a recording in progress; not kept."""
        seen, _ = await self._asked(recording, view, format, rate, live=True)
        return Passing(OF_FORMAT[format], self._making.encoded(seen, format))

    def job(self, recording: Recording, view: str, format: str, rate: int = 0) -> Job:
        """For somebody's unit: makes the rendition ahead of its first listener."""
        now = self._clock.now_ms()
        return Job(
            id=self._ids.uuid(),
            workspace_id=recording.workspace_id,
            kind=RENDER,
            created_ms=now,
            due_ms=now,
            recording_id=recording.id,
            arguments={"view": view, "format": format, "rate": rate},
        )

    def kinds(self) -> list[JobKind]:
        return [JobKind(RENDER, self._render, at_once=ENCODERS)]

    async def close(self) -> None:
        await self._making.close()

    async def _render(self, job: Job, progress: Progress) -> dict[str, Json] | None:
        recording = await self._store.get(Recording, job.recording_id)
        if recording is None or recording.deleted_ms is not None:
            raise Missing(what="recording")
        return {"size": (await self.run(recording, job, progress)).length}

    async def run(self, recording: Recording, job: Job, progress: Progress) -> StoredContent:
        """The rendition that a job asks for, whole; done again, it is the same one."""
        wanted = job.arguments
        asked = (int(str(wanted["rate"])), int(str(wanted.get("bits", 0))))
        opened = await self.open(recording, str(wanted["view"]), str(wanted["format"]), *asked)
        while isinstance(opened, Growing) and not opened.made.done():
            await asyncio.wait([opened.made], timeout=REPORT_SECONDS)
            await progress.report(opened.fraction)
        return opened.made.result() if isinstance(opened, Growing) else opened

    async def _asked(
        self, recording: Recording, view: str, format: str, rate: int, live: bool = False
    ) -> tuple[View, Key]:
        if format not in OF_FORMAT:
            raise Malformed(what="format", why=f"it is {', '.join(OF_FORMAT)}")
        seen = await self._views.open(recording, view, rate, live=live)
        if format != "wav":
            seen = seen.at(self._made_at(recording, seen, format))
        return seen, (recording.id, view, format, seen.rate, recording.sound_version)

    def _made_at(self, recording: Recording, seen: View, format: str) -> int:
        """The rate of its sound or its own file, else the next one that is kept; and then the nearest that the format
        knows."""
        own = {lane.lane.rate for lane in seen.sound.lanes} | {own_file(recording)[1]}
        kept = min((rate for rate in {*RATES, *own} if rate >= seen.rate), default=RATES[-1])
        return self._codecs.form(format, kept, seen.channels).rate
