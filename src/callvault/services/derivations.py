"""Derivations: versions of sound that verbs make of others, with their lineage, events and audit in one unit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from callvault.domain.access import Action, Caller
from callvault.domain.call import common_readers
from callvault.domain.edits import checked
from callvault.domain.errors import AlreadyThere
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.recording import COPYING, Clip, Derivation, EditList, Recording
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.delivery.expiry import Expiry
from callvault.services.delivery.views import Views, check_open, facts_of
from callvault.services.recordings import Recordings
from callvault.services.timelines import Sound
from callvault.services.witness import Witness


class VersionFacts(TypedDict, total=False):
    """What of a version is not as of the first that it is made of."""

    status: str
    redacted: bool
    redaction_type: str | None
    format: str
    sample_rate: int
    channels: int
    codec: str
    file_size: int
    quality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A version that shall be made."""

    operation: str
    sources: Sequence[Recording]
    edits: EditList
    facts: VersionFacts
    events: tuple[str, ...] = ("recording.created", "recording.completed")
    jobs: tuple[Job, ...] = ()
    detail: dict[str, Json]
    """For the audit."""
    also: Iterable[Recording] = ()
    """Recordings that must not have changed in the meantime, besides the sources."""


class Derivations:
    def __init__(
        self, store: Store, views: Views, expiry: Expiry, *, clock: Clock, witness: Witness, recordings: Recordings
    ) -> None:
        self._store, self._views, self._expiry, self._clock = store, views, expiry, clock
        self._witness, self._recordings = witness, recordings

    async def source(self, caller: Caller, recording_id: str) -> Recording:
        """What the caller works on who names this version: what he would hear of it."""
        recording = await self._recordings.heard(caller, recording_id, Action.PROCESS)
        check_open(recording, live=False)
        await self._expiry.left_ms(recording)
        return recording

    async def sound(self, recording: Recording) -> Sound:
        return await self._views.timelines.sound(recording)

    async def make(self, caller: Caller, version_id: str, plan: Plan) -> Recording:
        """`StaleWrite` when a source was changed or deleted meanwhile: a version of what is gone would never go. What
        an earlier run of the same request made is returned."""
        version = await self._version(version_id, plan)
        unit = Unit()
        unit.add(version)
        for source in {recording.id: recording for recording in (*plan.sources, *plan.also)}.values():
            unit.change(replace(source, version=source.version + 1))
        for parent in version.derived_from:
            unit.add(Derivation(parent_id=parent, child_id=version.id, workspace_id=version.workspace_id))
        detail: dict[str, Json] = {"operation": plan.operation, "of": list(version.derived_from), **plan.detail}
        self._witness.of_recording(unit, caller, Action.PROCESS, version, *plan.events, **detail)
        unit.enqueue(*plan.jobs)
        try:
            await self._store.commit(unit)
        except AlreadyThere:
            return await self._recordings.retrieve(caller, version_id, Action.PROCESS)
        return version

    async def described(self, version: Recording) -> Recording:
        """With what its sound comes to."""
        view = await self._views.whole(replace(version, status="completed"))
        return replace(version, **facts_of(view)) if view else version

    async def _version(self, version_id: str, plan: Plan) -> Recording:
        now, first = self._clock.now_ms(), plan.sources[0]
        version = replace(
            first,
            id=version_id,
            created_ms=now,
            updated_ms=now,
            last_heard_ms=now,
            status="completed",
            readers=common_readers(source.readers for source in plan.sources),
            derived_from=tuple(dict.fromkeys(source.id for source in plan.sources)),
            operation=plan.operation,
            edits=checked(plan.edits),
            sound_version=1,
            format="wav" if first.operation in COPYING else first.format,
            quality="lossless",
            ended_by=None,
            download_count=0,
            last_accessed_ms=None,
            # It expires and is deleted with its sources; sooner, and a redaction would give way to what it hides.
            expires_ms=None,
            expiry_told=False,
            retention_days=None,
            auto_delete_ms=None,
            link_epoch=0,
            held=False,
            version=1,
        )
        version = await self._timed(await self.described(version))
        return replace(version, **plan.facts)

    async def _timed(self, version: Recording) -> Recording:
        """From the earliest moment that is heard to the latest one."""
        names = {clip.recording_id for clip in version.edits.clips}
        began = {name: original.started_ms for name in names if (original := await self._store.get(Recording, name))}
        starts = [(start, clip) for clip in version.edits.clips if (start := began.get(clip.recording_id)) is not None]
        return replace(
            version,
            started_ms=min((start + clip.start_us // 1000 for start, clip in starts), default=None),
            ended_ms=max((start + clip.end_us // 1000 for start, clip in starts), default=None),
        )


def edits_of(sound: Sound) -> EditList:
    """All that is heard, as an edit list over originals' timelines."""
    clips = [
        Clip(recording_id=stretch.timeline.recording_id, start_us=stretch.start_us, end_us=stretch.end_us)
        for stretch in sound.stretches
    ]
    return EditList(clips=tuple(clips), masks=sound.masks)
