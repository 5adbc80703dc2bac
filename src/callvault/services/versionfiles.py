"""Version files: versions that are made for the sake of a file, by a durable job, and told when it is there."""

from dataclasses import dataclass, replace
from typing import Final

from callvault.domain.access import SYSTEM, Action, Caller
from callvault.domain.errors import Malformed, Missing, StaleWrite
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.codecs import Codecs
from callvault.ports.jobs import Duty, JobKind, Progress
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.delivery.making import ENCODERS
from callvault.services.delivery.renditions import Renditions
from callvault.services.delivery.views import RATES, Views
from callvault.services.derivations import Derivations, Plan, VersionFacts, edits_of
from callvault.services.stale import again_when_stale
from callvault.services.witness import Witness
from callvault.wire.mediatypes import OF_FORMAT

MAKE_FILE: Final = "make_file"
BEGUN: Final = ("recording.created", "recording.processing")
LOOK_SECONDS: Final = 3.0
LOOKED_AT: Final = 200
SHARES: Final = {"low": 0.5, "medium": 0.75, "high": 1.0}
"""Of the bits a second that speech needs to be heard as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileWanted:
    operation: str
    format: str
    rate: int = 0
    """0 for the best there is; in any case the nearest that the format knows."""
    channels: int = 0
    """1 or 2; 0 for as many as there are sides."""
    bits: int = 0
    """A second, of all channels; 0 for as many as speech needs."""
    share: float = 1.0
    """Of as many bits as speech needs."""


class VersionFiles:
    def __init__(
        self,
        store: Store,
        derivations: Derivations,
        views: Views,
        renditions: Renditions,
        codecs: Codecs,
        *,
        clock: Clock,
        witness: Witness,
    ) -> None:
        self._store, self._derivations, self._views = store, derivations, views
        self._renditions, self._codecs = renditions, codecs
        self._clock, self._witness = clock, witness

    @again_when_stale
    async def begin(self, caller: Caller, recording_id: str, version_id: str, wanted: FileWanted) -> Recording:
        """A version that is `processing` until its file is there; its job has its id. A WAV is there at once."""
        _check(wanted)
        source = await self._derivations.source(caller, recording_id)
        whole = await self._derivations.described(source)
        asked = replace(wanted, rate=wanted.rate or whole.sample_rate, channels=wanted.channels or whole.channels)
        plan = Plan(
            operation=wanted.operation,
            sources=[source],
            edits=edits_of(await self._derivations.sound(source)),
            facts={},
            detail={"format": wanted.format},
        )
        is_wav = wanted.format == "wav"
        made = await self._of_wav(plan, source, asked) if is_wav else self._coded(plan, version_id, asked)
        return await self._derivations.make(caller, version_id, made)

    def kinds(self) -> list[JobKind]:
        return [JobKind(MAKE_FILE, self._make, at_once=ENCODERS)]

    def duties(self) -> list[Duty]:
        return [Duty("files that were not made", self.fail_unmade, LOOK_SECONDS)]

    async def fail_unmade(self) -> bool:
        """Versions whose jobs have failed, or were cancelled, fail with them, whatever the jobs ended of."""
        over = Query(Job).where("kind", "=", MAKE_FILE).where("state", "in", ("failed", "cancelled"))
        jobs = {job.id: job for job in await self._store.find(over.by("-ended_ms", "-id").page(LOOKED_AT))}
        query = Query(Recording).where("id", "in", tuple(jobs)).where("status", "=", "processing")
        for version in await self._store.find(query.by("id")) if jobs else ():
            job = jobs[version.id]
            changed = self._changed(version, status="failed", failure=job.error_code or job.state)
            unit = Unit()
            unit.change(changed)
            self._witness.of_recording(unit, SYSTEM, Action.PROCESS, changed, "recording.failed", job=job.id)
            try:
                await self._store.commit(unit)
            except StaleWrite:
                continue
        return False

    async def _of_wav(self, plan: Plan, source: Recording, asked: FileWanted) -> Plan:
        view = await self._views.open(source, "stereo" if asked.channels == 2 else "mono", asked.rate)
        facts = VersionFacts(format="wav", sample_rate=view.rate, channels=view.channels, file_size=view.length)
        return replace(plan, facts=facts)

    def _coded(self, plan: Plan, version_id: str, asked: FileWanted) -> Plan:
        form = self._codecs.form(asked.format, asked.rate, asked.channels)
        bits = asked.bits or round(form.bits * asked.share)
        facts = VersionFacts(
            status="processing",
            format=asked.format,
            sample_rate=form.rate,
            channels=asked.channels,
            codec=form.codec,
            file_size=0,
            quality=_quality(bits, form.bits),
        )
        job = self._job(plan, version_id, asked, form.rate, bits)
        return replace(plan, facts=facts, events=BEGUN, jobs=(job,))

    def _job(self, plan: Plan, version_id: str, asked: FileWanted, rate: int, bits: int) -> Job:
        now = self._clock.now_ms()
        view = "stereo" if asked.channels == 2 else "mono"
        return Job(
            id=version_id,
            workspace_id=plan.sources[0].workspace_id,
            kind=MAKE_FILE,
            created_ms=now,
            due_ms=now,
            recording_id=version_id,
            arguments={"view": view, "format": asked.format, "rate": rate, "bits": bits},
        )

    async def _make(self, job: Job, progress: Progress) -> dict[str, Json] | None:
        """Done again, it finds the file there."""
        version = await self._of_job(job)
        content = await self._renditions.run(replace(version, status="completed"), job, progress)
        await self._made(job, progress, content.length)
        return {"size": content.length}

    @again_when_stale
    async def _made(self, job: Job, progress: Progress, size: int) -> None:
        version = await self._of_job(job)
        changed = self._changed(version, status="completed", file_size=size)
        events = ["recording.completed"]
        if version.operation == "compress":
            events.append("recording.compressed")
        unit = Unit()
        unit.change(changed)
        self._witness.of_recording(unit, SYSTEM, Action.PROCESS, changed, *events, job=job.id)
        await progress.finish(unit, {"size": size})

    async def _of_job(self, job: Job) -> Recording:
        version = await self._store.get(Recording, job.recording_id)
        if version is None or version.deleted_ms is not None:
            raise Missing(what="recording")
        return version

    def _changed(self, version: Recording, **facts: str | int) -> Recording:
        return replace(version, **facts, updated_ms=self._clock.now_ms(), version=version.version + 1)  # type: ignore[arg-type]


def _check(wanted: FileWanted) -> None:
    if wanted.format not in OF_FORMAT:
        raise Malformed(what="format", why=f"it is {', '.join(OF_FORMAT)}")
    if wanted.rate and wanted.rate not in RATES:
        raise Malformed(what="rate", why=f"it is {RATES.start} to {RATES.stop - 1}")
    if wanted.channels not in (0, 1, 2):
        raise Malformed(what="channels", why="they are 1 or 2")


def _quality(bits: int, needed: int) -> str:
    if not needed:
        return "lossless"
    return next((name for name in ("high", "medium") if bits >= needed * SHARES[name]), "low")
